// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/malloc_owner.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "census/link_map.h"
#include "census/proc_maps.h"
#include "model/model.h"

static bool defines_malloc(const struct allocator_object *object)
{
	for (size_t i = 0; i < object->function_count; i++)
		if (family_set__has_malloc(&object->functions[i].names))
			return true;
	return false;
}

/* The object whose file is mapped at addr. */
static const struct malloc_object *object_at(const struct malloc_object *objects, size_t count,
					     const struct maps_entry *maps, size_t n, uint64_t addr)
{
	const struct maps_entry *there = proc_maps__find(maps, n, addr), *own;

	for (size_t i = 0; there && i < count; i++) {
		own = proc_maps__find(maps, n, objects[i].start);
		if (own && own->inode == there->inode && own->dev_major == there->dev_major &&
		    own->dev_minor == there->dev_minor)
			return &objects[i];
	}
	return NULL;
}

const struct malloc_object *malloc_owner__find(uint32_t pid, const struct malloc_object *objects,
					       size_t count)
{
	uint64_t *dynamic = calloc(LINK_MAP_MAX, sizeof(*dynamic));
	const struct malloc_object *owner = NULL;
	struct maps_entry *maps = NULL;
	int listed = -ENOMEM;
	size_t n = 0;

	if (dynamic && !proc_maps__read(pid, &maps, &n))
		listed = link_map__read(pid, dynamic, LINK_MAP_MAX);
	for (int i = 0; i < listed && !owner; i++) {
		const struct malloc_object *object = object_at(objects, count, maps, n, dynamic[i]);

		if (object && defines_malloc(object->object))
			owner = object;
	}
	/*
	 * No list: a static program, whose malloc is the only one, or one that was started through
	 * the loader's path. Of two mallocs nobody can tell then which it is.
	 */
	for (size_t i = 0; !listed && i < count; i++) {
		if (!defines_malloc(objects[i].object))
			continue;
		if (owner) {
			owner = NULL;
			break;
		}
		owner = &objects[i];
	}
	maps_entries__free(maps, n);
	free(dynamic);
	return owner;
}

struct gather {
	struct malloc_object *objects;
	size_t count;
};

static int add_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct gather *gather = ctx;
	struct malloc_object *bigger, *added;

	bigger = reallocarray(gather->objects, gather->count + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	gather->objects = bigger;
	added = &bigger[gather->count];
	added->path = strdup(mapping->path);
	if (!added->path)
		return -ENOMEM;
	added->start = mapping->start;
	added->object = allocator_object__get(mapping->object);
	gather->count++;
	return 0;
}

int malloc_owner__read(uint32_t pid, struct allocators *out)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct malloc_object *owner;
	struct gather gather = {0};
	int err;

	out->malloc_owner[0] = out->malloc_object[0] = '\0';
	if (!cache)
		return -ENOMEM;
	err = allocator_cache__each_mapped(cache, (pid_t)pid, add_object, &gather, NULL);
	owner = err ? NULL : malloc_owner__find(pid, gather.objects, gather.count);
	if (owner) {
		strlcpy(out->malloc_object, owner->path, sizeof(out->malloc_object));
		/* A malloc of the program's own is somebody's, but nobody knows whose. */
		if (owner->object->kind != ALLOCATOR_UNKNOWN)
			strlcpy(out->malloc_owner, allocator_kind__name(owner->object->kind),
				sizeof(out->malloc_owner));
	}
	for (size_t i = 0; i < gather.count; i++) {
		allocator_object__put(gather.objects[i].object);
		free(gather.objects[i].path);
	}
	free(gather.objects);
	allocator_cache__free(cache);
	return err == -ENOMEM ? err : 0;
}
