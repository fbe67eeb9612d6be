// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwind_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
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

static void close_fd(struct unwind_pool *pool, struct pool_object *object)
{
	if (object->fd < 0)
		return;
	close(object->fd);
	object->fd = -1;
	pool->fd_count--;
}

/* Without its tables: nobody looks at them any more. */
static void free_object(struct unwind_pool *pool, struct pool_object *object)
{
	while (object->aliases) {
		struct pool_alias *alias = object->aliases;

		object->aliases = alias->next;
		HASH_DEL(pool->by_file, alias);
		pool->alias_count--;
		free(alias);
	}
	if (object->id.id_bytes)
		HASH_DEL(pool->by_id, object);
	close_fd(pool, object);
	for (unsigned int kind = 0; kind < UNWIND_TABLE_KINDS; kind++)
		free(object->places[kind].rows);
	pool->objects[object->index] = NULL;
	if (object->index < pool->lowest_free)
		pool->lowest_free = object->index;
	pool->object_count--;
	free(object->name);
	free(object);
}

void unwind_pool__free(struct unwind_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX; i++) {
		if (pool->objects[i])
			free_object(pool, pool->objects[i]);
	}
	unwind_rules__free(pool->rules);
	pool_blocks__clear(&pool->blocks);
	free(pool);
}

struct pool_object *unwind_pool__oldest(struct unwind_pool *pool, bool with_blocks)
{
	struct pool_object *oldest = NULL;

	for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX; i++) {
		struct pool_object *object = pool->objects[i];

		if (!object || object->holders ||
		    (with_blocks && !object->places[UNWIND_CALL_SITES].index_count))
			continue;
		if (!oldest || object->used_at < oldest->used_at)
			oldest = object;
	}
	return oldest;
}

void unwind_pool__evict(struct unwind_pool *pool, struct pool_object *object)
{
	pool_tables__withdraw(pool, object);
	free_object(pool, object);
}

/* A number for a new object, or 0 when all are held. */
static uint32_t find_number(struct unwind_pool *pool)
{
	struct pool_object *oldest;

	for (uint32_t i = pool->lowest_free; i < UNWIND_OBJECTS_MAX; i++) {
		if (!pool->objects[i])
			return pool->lowest_free = i;
	}
	pool->lowest_free = UNWIND_OBJECTS_MAX;
	oldest = unwind_pool__oldest(pool, false);
	if (!oldest)
		return 0;
	unwind_pool__evict(pool, oldest);
	pool->stats.evicted++;
	return pool->lowest_free;
}

/* Keeps a descriptor of its own for the full table; without one there will be none. */
static void keep_fd(struct unwind_pool *pool, struct pool_object *object, int fd)
{
	if (object->fd >= 0)
		return;
	if (pool->fd_count >= POOL_FDS_MAX) {
		struct pool_object *oldest = NULL;

		for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX; i++) {
			struct pool_object *other = pool->objects[i];

			if (other && other->fd >= 0 && !other->keeps_fd &&
			    (!oldest || other->used_at < oldest->used_at))
				oldest = other;
		}
		if (!oldest)
			return;
		close_fd(pool, oldest);
	}
	object->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (object->fd >= 0)
		pool->fd_count++;
}

static struct pool_file_key make_key(const struct stat *st)
{
	struct pool_file_key key;

	memset(&key, 0, sizeof(key));
	key.dev = st->st_dev;
	key.inode = st->st_ino;
	key.size = (uint64_t)st->st_size;
	key.changed_s = (uint64_t)st->st_mtim.tv_sec;
	key.changed_ns = (uint64_t)st->st_mtim.tv_nsec;
	return key;
}

/* Without memory or room the file is just not known by itself next time. */
static void add_alias(struct unwind_pool *pool, struct pool_object *object,
		      const struct pool_file_key *key)
{
	struct pool_alias *alias;

	if (pool->alias_count >= POOL_ALIASES_MAX)
		return;
	alias = calloc(1, sizeof(*alias));
	if (!alias)
		return;
	alias->key = *key;
	alias->object = object;
	alias->next = object->aliases;
	object->aliases = alias;
	HASH_ADD(hh, pool->by_file, key, sizeof(alias->key), alias);
	pool->alias_count++;
}

static struct pool_id_key make_id(const struct elf_object *elf, const struct stat *st)
{
	struct pool_id_key id;

	memset(&id, 0, sizeof(id));
	id.size = (uint64_t)st->st_size;
	id.owner = st->st_uid;
	id.id_bytes = (uint32_t)elf_object__build_id(elf, id.id);
	return id;
}

/* 0, -ENOSPC or -ENOMEM. */
static int add_object(struct unwind_pool *pool, const char *display_name,
		      const struct pool_id_key *id, struct pool_object **out)
{
	struct pool_object *object;
	uint32_t number = find_number(pool);

	if (!number)
		return -ENOSPC;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->name = text_printable_dup(display_name);
	if (!object->name) {
		free(object);
		return -ENOMEM;
	}
	object->id = *id;
	object->index = number;
	object->fd = -1;
	pool->objects[number] = object;
	pool->object_count++;
	if (id->id_bytes)
		HASH_ADD(hh, pool->by_id, id, sizeof(object->id), object);
	*out = object;
	return 0;
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
	if (err == -ENODATA || err == -ENOSPC || err == -ENOEXEC)
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
	struct pool_file_key key = make_key(st);
	struct elf_object *elf = NULL;
	struct pool_id_key id;
	int err = elf_object__open(fd, display_name, &elf);

	*out = NULL;
	if (err == -ENOMEM)
		return err;
	memset(&id, 0, sizeof(id));
	if (elf)
		id = make_id(elf, st);
	if (id.id_bytes)
		HASH_FIND(hh, pool->by_id, &id, sizeof(id), *out);
	err = 0;
	if (!*out) {
		err = add_object(pool, display_name, &id, out);
		if (!err)
			err = load_call_sites(pool, *out, elf);
		if (err && *out)
			unwind_pool__evict(pool, *out);
	}
	if (!err)
		add_alias(pool, *out, &key);
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
	key = make_key(&st);
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
	keep_fd(pool, object, fd);
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
	key = make_key(&st);
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
