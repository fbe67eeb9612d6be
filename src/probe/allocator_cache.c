// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Memory that is out is an error to return, not a reason to exit. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "probe/allocator_internal.h"

/* What makes an answer about a file stale when it changes. All words: no padding to clear. */
struct file_key {
	uint64_t dev;
	uint64_t ino;
	uint64_t size;
	int64_t mtime_s;
	int64_t mtime_ns;
	int64_t ctime_s;
	int64_t ctime_ns;
};

struct cache_entry {
	struct file_key key;
	const struct allocator_object *object; /* NULL: err says why */
	int err;
	UT_hash_handle hh; /* in the order of use: the first is the next to go */
};

struct allocator_cache {
	struct cache_entry *entries;
	struct insn_costs costs;
	bool go;
	const struct named_objects *named;
};

const struct allocator_object *allocator_object__get(const struct allocator_object *object)
{
	((struct allocator_object *)object)->refs++;
	return object;
}

void allocator_object__put(const struct allocator_object *object)
{
	struct allocator_object *owned = (struct allocator_object *)object;

	if (!owned || --owned->refs)
		return;
	free(owned->functions);
	go_malloc__free(owned->go);
	free(owned);
}

struct allocator_cache *allocator_cache__new(const struct insn_costs *costs)
{
	struct allocator_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	if (costs)
		cache->costs = *costs;
	else
		insn_costs__assume(&cache->costs);
	return cache;
}

void allocator_cache__search_go(struct allocator_cache *cache)
{
	cache->go = true;
}

void allocator_cache__set_named(struct allocator_cache *cache, const struct named_objects *named)
{
	cache->named = named;
}

static void drop_entry(struct allocator_cache *cache, struct cache_entry *entry)
{
	HASH_DEL(cache->entries, entry);
	allocator_object__put(entry->object);
	free(entry);
}

void allocator_cache__free(struct allocator_cache *cache)
{
	struct cache_entry *entry, *next;

	if (!cache)
		return;
	HASH_ITER (hh, cache->entries, entry, next)
		drop_entry(cache, entry);
	free(cache);
}

/* Adds at the end of the order of use. False when memory is out; the entry is then not in. */
static bool append_entry(struct allocator_cache *cache, struct cache_entry *entry)
{
	HASH_ADD(hh, cache->entries, key, sizeof(entry->key), entry);
	return entry->hh.tbl;
}

static void remember(struct allocator_cache *cache, const struct file_key *key, int err,
		     const struct allocator_object *object)
{
	struct cache_entry *entry;

	/* What failed for want of memory or by a read error may work the next time. */
	if (err && err != -ENOENT && err != -EINVAL && err != -ENOTSUP)
		return;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	entry->key = *key;
	entry->err = err;
	if (HASH_COUNT(cache->entries) >= ALLOCATOR_CACHE_MAX)
		drop_entry(cache, cache->entries);
	if (!append_entry(cache, entry)) {
		free(entry);
		return;
	}
	if (object)
		entry->object = allocator_object__get(object);
}

static struct cache_entry *recall(struct allocator_cache *cache, const struct file_key *key)
{
	struct cache_entry *entry;

	HASH_FIND(hh, cache->entries, key, sizeof(*key), entry);
	if (!entry)
		return NULL;
	HASH_DEL(cache->entries, entry);
	if (append_entry(cache, entry))
		return entry;
	allocator_object__put(entry->object);
	free(entry);
	return NULL;
}

int allocator_cache__find(struct allocator_cache *cache, int fd, const char *display_name,
			  const char *root, const struct allocator_object **out)
{
	struct allocator_object *object;
	struct named_object *named;
	struct cache_entry *entry;
	struct file_key key;
	struct stat st;
	int err;

	*out = NULL;
	if (fstat(fd, &st))
		return -errno;
	key = (struct file_key){.dev = st.st_dev,
				.ino = st.st_ino,
				.size = (uint64_t)st.st_size,
				.mtime_s = st.st_mtim.tv_sec,
				.mtime_ns = st.st_mtim.tv_nsec,
				.ctime_s = st.st_ctim.tv_sec,
				.ctime_ns = st.st_ctim.tv_nsec};
	named = named_objects__find(cache->named, st.st_dev, st.st_ino);
	if (named)
		named->seen = true;
	entry = recall(cache, &key);
	if (entry) {
		if (entry->object)
			*out = allocator_object__get(entry->object);
		return entry->err;
	}
	err = allocator_object__search(fd, display_name, root, &cache->costs, named, cache->go,
				       &object);
	if (!err) {
		object->dev = st.st_dev;
		object->ino = st.st_ino;
	}
	remember(cache, &key, err, object);
	*out = object;
	return err;
}
