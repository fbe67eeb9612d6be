// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "unwind/pool_internal.h"

static void close_fd(struct unwind_pool *pool, struct pool_object *object)
{
	if (object->fd < 0)
		return;
	close(object->fd);
	object->fd = -1;
	pool->fd_count--;
}

void pool_objects__free(struct unwind_pool *pool, struct pool_object *object)
{
	while (object->aliases && pool->by_file) {
		struct pool_alias *alias = object->aliases;

		object->aliases = alias->next;
		HASH_DEL(pool->by_file, alias);
		pool->alias_count--;
		free(alias);
	}
	if (object->id.id_bytes && pool->by_id)
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

struct pool_object *pool_objects__oldest(struct unwind_pool *pool, bool with_blocks)
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

void pool_objects__evict(struct unwind_pool *pool, struct pool_object *object)
{
	pool_tables__withdraw(pool, object);
	pool_objects__free(pool, object);
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
	oldest = pool_objects__oldest(pool, false);
	if (!oldest)
		return 0;
	pool_objects__evict(pool, oldest);
	pool->stats.evicted++;
	return pool->lowest_free;
}

void pool_objects__keep_fd(struct unwind_pool *pool, struct pool_object *object, int fd)
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

struct pool_file_key pool_objects__file_key(const struct stat *st)
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

void pool_objects__add_alias(struct unwind_pool *pool, struct pool_object *object,
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

struct pool_id_key pool_objects__id_key(const struct elf_object *elf, const struct stat *st)
{
	struct pool_id_key id;

	memset(&id, 0, sizeof(id));
	id.size = (uint64_t)st->st_size;
	id.owner = st->st_uid;
	id.id_bytes = (uint32_t)elf_object__build_id(elf, id.id);
	return id;
}

int pool_objects__add(struct unwind_pool *pool, const char *display_name,
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
