// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwind_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "unwind/pool_internal.h"

struct unwind_pool *unwind_pool__new(const struct unwind_memory *memory)
{
	struct unwind_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->memory = *memory;
	pool->rules = unwind_rules__new(memory->rules);
	if (!pool->rules || pool_blocks__init(&pool->blocks, memory->block_count)) {
		unwind_pool__free(pool);
		return NULL;
	}
	pool->lowest_free = UNWIND_OBJECT_UNREAD + 1;
	memory->objects[UNWIND_OBJECT_ANONYMOUS].otherwise = UNWIND_FRAME_POINTER;
	memory->objects[UNWIND_OBJECT_UNREAD].otherwise = UNWIND_UNKNOWN;
	return pool;
}

void unwind_pool__free(struct unwind_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX; i++) {
		if (pool->objects[i])
			pool_objects__free(pool, pool->objects[i]);
	}
	unwind_rules__free(pool->rules);
	pool_blocks__clear(&pool->blocks);
	free(pool);
}

static void set_otherwise(struct unwind_pool *pool, const struct pool_object *object,
			  enum unwind_rule_kind rule)
{
	__atomic_store_n(&pool->memory.objects[object->index].otherwise, rule, __ATOMIC_RELEASE);
}

/* The table of call sites, or what holds without one. 0 or -ENOMEM. */
static int load_call_sites(struct unwind_pool *pool, struct pool_object *object,
			   struct elf_object *elf)
{
	int err = elf ? pool_tables__load(pool, object, elf, UNWIND_CALL_SITES) : -ENOEXEC;

	if (!err || err == -ENOMEM)
		return err;
	object->without_frames = err == -ENODATA;
	/* One that found no room stays unknown: frame pointers are a guess there, and marked as
	 * one. */
	if (err == -ENODATA || err == -ENOEXEC)
		set_otherwise(pool, object, UNWIND_FRAME_POINTER);
	if (err == -ENODATA)
		pool->stats.objects_without_frames++;
	else if (err != -ENOSPC)
		pool->stats.unreadable++;
	return 0;
}

static int open_object(struct unwind_pool *pool, int fd, const struct stat *st,
		       const char *display_name, struct pool_object **out)
{
	struct pool_file_key key = pool_objects__file_key(st);
	struct elf_object *elf = NULL;
	struct pool_id_key id;
	int err = elf_object__open(fd, display_name, &elf);

	*out = NULL;
	if (err == -ENOMEM)
		return err;
	memset(&id, 0, sizeof(id));
	if (elf)
		id = pool_objects__id_key(elf, st);
	if (id.id_bytes)
		HASH_FIND(hh, pool->by_id, &id, sizeof(id), *out);
	err = 0;
	if (!*out) {
		err = pool_objects__add(pool, display_name, &id, out);
		if (!err)
			err = load_call_sites(pool, *out, elf);
		if (err && *out)
			pool_objects__evict(pool, *out);
	}
	if (!err)
		pool_objects__add_alias(pool, *out, &key);
	elf_object__close(elf);
	return err;
}

/* One that found no room may find some now. */
static int retry(struct unwind_pool *pool, struct pool_object *object, int fd)
{
	struct elf_object *elf;
	int err = 0;

	if (!object->wanted[UNWIND_CALL_SITES] ||
	    !pool_tables__fits_now(pool, object, UNWIND_CALL_SITES))
		return 0;
	if (elf_object__open(fd, object->name, &elf))
		return 0;
	err = load_call_sites(pool, object, elf);
	elf_object__close(elf);
	return err;
}

int unwind_pool__object(struct unwind_pool *pool, int fd, const char *display_name, pid_t pid,
			uint32_t *index)
{
	struct pool_object *object = NULL;
	struct pool_file_key key;
	struct pool_alias *alias;
	struct stat st;
	int err = 0;

	*index = UNWIND_OBJECT_UNREAD;
	if (fstat(fd, &st))
		return -errno;
	key = pool_objects__file_key(&st);
	HASH_FIND(hh, pool->by_file, &key, sizeof(key), alias);
	if (alias)
		object = alias->object;
	else
		err = open_object(pool, fd, &st, display_name, &object);
	if (!err)
		err = retry(pool, object, fd);
	if (err) {
		log_debug("cannot take unwind tables of %s (pid %d): %s", display_name, (int)pid,
			  strerror(-err));
		return err;
	}
	object->used_at = ++pool->clock;
	pool_objects__keep_fd(pool, object, fd);
	*index = object->index;
	return 0;
}

static struct pool_object *find_object(const struct unwind_pool *pool, uint32_t index)
{
	return index < UNWIND_OBJECTS_MAX ? pool->objects[index] : NULL;
}

/* Whether the descriptor still leads to what the object's tables are of. */
static bool is_unchanged(const struct pool_object *object)
{
	struct pool_file_key key;
	struct stat st;

	if (fstat(object->fd, &st))
		return false;
	key = pool_objects__file_key(&st);
	for (const struct pool_alias *alias = object->aliases; alias; alias = alias->next) {
		if (!memcmp(&alias->key, &key, sizeof(key)))
			return true;
	}
	return false;
}

int unwind_pool__load_full(struct unwind_pool *pool, uint32_t index)
{
	struct pool_object *object = find_object(pool, index);
	struct elf_object *elf;
	int err;

	if (!object || object->places[UNWIND_FULL].index_count || object->without_frames)
		return 0;
	if (object->wanted[UNWIND_CALL_SITES] || !pool_tables__fits_now(pool, object, UNWIND_FULL))
		return -ENOSPC;
	if (object->fd < 0 || !is_unchanged(object))
		return -ESTALE;
	err = elf_object__open(object->fd, object->name, &elf);
	if (err)
		return err;
	err = pool_tables__load(pool, object, elf, UNWIND_FULL);
	elf_object__close(elf);
	return err == -ENODATA ? 0 : err;
}

void unwind_pool__hold(struct unwind_pool *pool, uint32_t index)
{
	struct pool_object *object = find_object(pool, index);

	if (!object)
		return;
	object->holders++;
	object->used_at = ++pool->clock;
}

void unwind_pool__release(struct unwind_pool *pool, uint32_t index)
{
	struct pool_object *object = find_object(pool, index);

	if (object && object->holders)
		object->holders--;
}

void unwind_pool__stats(const struct unwind_pool *pool, struct unwind_pool_stats *stats)
{
	*stats = pool->stats;
	stats->objects = pool->object_count;
	stats->blocks_total = pool->blocks.count;
	stats->blocks_used = pool->blocks.count - pool->blocks.free_count;
	stats->rules_used = unwind_rules__count(pool->rules);
	stats->rules_refused = unwind_rules__refused(pool->rules);
}
