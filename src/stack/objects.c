// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/objects_internal.h"

struct object_cache *object_cache__new(void)
{
	return calloc(1, sizeof(struct object_cache));
}

void object_cache__want(struct object_cache *cache, bool keep_files, bool use_servers)
{
	cache->keep_files = keep_files;
	cache->use_servers = use_servers;
}

static void close_one(struct object_cache *cache, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	cache->open_fds--;
}

void object_cache__close(struct object_cache *cache, struct object *object)
{
	close_one(cache, &object->fd);
	close_one(cache, &object->debug_fd);
}

void object_cache__free(struct object_cache *cache)
{
	struct shared_symbols *shared, *next;

	if (!cache)
		return;
	HASH_ITER (hh, cache->shared, shared, next) {
		HASH_DEL(cache->shared, shared);
		symbol_table__free(shared->table);
		free(shared);
	}
	HASH_CLEAR(hh, cache->by_key);
	for (uint32_t i = 0; i < cache->count; i++) {
		struct object *object = cache->objects[i];

		object_cache__close(cache, object);
		free(object->path);
		free(object);
	}
	free(cache);
}

/* Base name of a path; the path itself when it ends with a slash or has none. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static struct object *insert_object(struct object_cache *cache, const struct object_key *key,
				    const char *path, uint32_t pid)
{
	struct object *object;

	if (cache->count >= OBJECTS_MAX)
		return NULL;
	object = calloc(1, sizeof(*object));
	if (!object)
		return NULL;
	object->path = strdup(path);
	if (!object->path) {
		free(object);
		return NULL;
	}
	object->key = *key;
	object->name = base_name(object->path);
	object->pid = pid;
	object->fd = object->debug_fd = -1;
	object->index = cache->count;
	cache->objects[cache->count++] = object;
	HASH_ADD(hh, cache->by_key, key, sizeof(object->key), object);
	return object;
}

uint32_t object_cache__add(struct object_cache *cache, int fd, const char *path, uint32_t pid)
{
	struct object *object;
	struct object_key key;
	struct stat st;

	/* Reading a device or a pipe may have effects or never end. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return object_cache__add_name(cache, base_name(path));
	}
	memset(&key, 0, sizeof(key));
	key.dev = st.st_dev;
	key.inode = st.st_ino;
	key.size = (uint64_t)st.st_size;
	key.changed_s = (uint64_t)st.st_mtim.tv_sec;
	key.changed_ns = (uint64_t)st.st_mtim.tv_nsec;
	HASH_FIND(hh, cache->by_key, &key, sizeof(key), object);
	if (object) {
		close(fd);
		return object->index;
	}
	object = insert_object(cache, &key, path, pid);
	if (!object) {
		close(fd);
		return OBJECT_NONE;
	}
	object->fd = fd;
	cache->open_fds++;
	object_cache__hold_debug_file(cache, object);
	if (cache->open_fds > OBJECT_FDS_MAX) {
		object_cache__load(cache, object);
		object_cache__close(cache, object);
	}
	return object->index;
}

uint32_t object_cache__add_name(struct object_cache *cache, const char *name)
{
	struct object *object;
	struct object_key key;
	unsigned int hash;

	HASH_JEN(name, strlen(name), hash);
	memset(&key, 0, sizeof(key));
	/* Two names with one hash take the next: a chain as long as there are such names. */
	for (key.name_hash = (uint64_t)hash << 16 | 1;; key.name_hash++) {
		HASH_FIND(hh, cache->by_key, &key, sizeof(key), object);
		if (!object)
			object = insert_object(cache, &key, name, 0);
		if (!object)
			return OBJECT_NONE;
		if (!strcmp(object->path, name))
			return object->index;
	}
}

const char *object_cache__name(const struct object_cache *cache, uint32_t object)
{
	return object < cache->count ? cache->objects[object]->name : "";
}
