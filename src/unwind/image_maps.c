// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/image_maps.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/mapped_file.h"

static bool is_held(uint32_t object)
{
	return object != UNWIND_OBJECT_ANONYMOUS && object != UNWIND_OBJECT_UNREAD;
}

/* The object of a mapping, held; false: it is none of the program's code. */
static bool find_object(const struct image_source *source, uint32_t pid,
			const struct maps_entry *entry, uint32_t *object)
{
	struct unwind_pool *pool = source->pool;
	int fd;

	*object = UNWIND_OBJECT_ANONYMOUS;
	if (!entry->inode) {
		if (!strcmp(entry->path, "[vdso]")) {
			if (unwind_pool__vdso(pool, object))
				*object = UNWIND_OBJECT_UNREAD;
			else
				unwind_pool__hold(pool, *object);
			return true;
		}
		/* The kernel's own: return probes are told by their absence. */
		return strncmp(entry->path, "[uprobes", 8) && strcmp(entry->path, "[vsyscall]");
	}
	fd = mapped_file__open(pid, entry->start, entry->end, entry->inode, entry->path);
	*object = UNWIND_OBJECT_UNREAD;
	if (fd < 0)
		return true;
	unwind_pool__object(pool, fd, entry->path, (pid_t)pid, object);
	if (is_held(*object)) {
		unwind_pool__hold(pool, *object);
		source->opened(source->ctx, fd, *object);
	}
	close(fd);
	return true;
}

/* Whether the mapping goes on where the last one ends. */
static bool continues(const struct unwind_mapping *last, const struct unwind_mapping *mapping)
{
	return last->start + ((uint64_t)last->page_count << UNWIND_PAGE_SHIFT) == mapping->start &&
	       last->object == mapping->object &&
	       (mapping->object == UNWIND_OBJECT_ANONYMOUS ||
		last->file_page + last->page_count == mapping->file_page);
}

static void add(struct image_maps *maps, struct unwind_pool *pool,
		const struct unwind_mapping *mapping)
{
	struct unwind_mapping *last = maps->count ? &maps->mappings[maps->count - 1] : NULL;

	if (last && continues(last, mapping) &&
	    mapping->page_count <= UINT32_MAX - last->page_count) {
		last->page_count += mapping->page_count;
		if (is_held(mapping->object))
			unwind_pool__release(pool, mapping->object);
		return;
	}
	maps->mappings[maps->count++] = *mapping;
}

void image_maps__fill(struct image_maps *maps, const struct image_source *source, uint32_t pid,
		      const struct maps_entry *entries, size_t n)
{
	maps->count = 0;
	for (size_t i = 0; i < n && maps->count < UNWIND_MAPPINGS_MAX; i++) {
		const struct maps_entry *entry = &entries[i];
		uint64_t pages = (entry->end - entry->start) >> UNWIND_PAGE_SHIFT;
		uint64_t file_page = entry->offset >> UNWIND_PAGE_SHIFT;
		struct unwind_mapping mapping = {.start = entry->start};

		if (!(entry->prot & PROT_EXEC) || !pages || pages > UINT32_MAX ||
		    file_page > UINT32_MAX || !find_object(source, pid, entry, &mapping.object))
			continue;
		mapping.page_count = (uint32_t)pages;
		mapping.file_page = entry->inode ? (uint32_t)file_page : 0;
		add(maps, source->pool, &mapping);
	}
}

void image_maps__release(struct image_maps *maps, struct unwind_pool *pool)
{
	for (uint32_t i = 0; i < maps->count; i++)
		if (is_held(maps->mappings[i].object))
			unwind_pool__release(pool, maps->mappings[i].object);
	maps->count = 0;
}
