// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* How far a region goes: what the process's memory says, within what is mapped. */
#include <string.h>
#include <sys/param.h>

#include "heap/glibc_regions.h"

#define ALIGN_UP(n, to) (((n) + (to)-1) & ~((uint64_t)(to)-1))

/* Chunk sizes carry three flags (malloc/malloc.c). */
#define SIZE_BITS 7u

static uint64_t top_end(struct pagemap *pm, uint64_t top)
{
	uint64_t size;

	if (top > SPACE_ADDRESS_MAX || pagemap__peek(pm, top + 8, &size, sizeof(size)))
		return 0;
	size &= ~(uint64_t)SIZE_BITS;
	return size % 16 || size > SPACE_ADDRESS_MAX ? 0 : top + size;
}

uint64_t glibc_map__limit(const struct glibc_map *map, const struct glibc_region *region,
			  const struct maps_entry *entries, size_t n)
{
	uint64_t until = region->is_main ? SPACE_ADDRESS_MAX : region->base + GLIBC_HEAP_BYTES;
	size_t i;

	/* No chunk lies in two arenas: a thread's heap was found by its own header and the ring. */
	for (i = 0; region->is_main && i < map->arenas.heap_count; i++) {
		const struct glibc_heap *heap = &map->arenas.heaps[i];

		if (heap->base + heap->mapped_bytes > region->base) {
			until = heap->base;
			break;
		}
	}
	return until > region->base ? entries__anonymous_end(entries, n, region->base, until) : 0;
}

/* Where its chunks begin, at the earliest. A part of the brk area may be unmapped. */
static uint64_t main_start(const struct subject *subject, const struct maps_entry *top)
{
	uint64_t start = top->start, end = 0;

	for (const struct maps_entry *entry = subject->entries; entry <= top; entry++) {
		if (strcmp(entry->path, "[heap]") != 0)
			continue;
		if (!end || entry->start != end)
			start = entry->start;
		end = entry->end;
	}
	return strcmp(top->path, "[heap]") != 0 ? top->start : start;
}

/*
 * The main arena lies in the brk area, from mp_.sbrk_base on. Where sbrk failed it goes on in
 * mappings of its own (MMAP_AS_MORECORE_SIZE), of which the one with the top is known. A top whose
 * size reaches out of what is mapped is none: the walk then ends in front of it.
 */
bool glibc_map__main_region(const struct glibc_map *map, const struct subject *subject,
			    struct glibc_region *region)
{
	const struct glibc_state *state = &map->states[0];
	uint64_t end = top_end(subject->pm, state->top);
	const struct maps_entry *entry = subject__entry(subject, state->top);

	*region = (struct glibc_region){.is_main = true};
	if (!entry || !entry_is_anonymous_rw(entry) || end <= state->top)
		return false;
	region->start = main_start(subject, entry);
	if (map->has_par && map->par.sbrk_base > region->start && map->par.sbrk_base < end)
		region->start = map->par.sbrk_base;
	region->start = ALIGN_UP(region->start, 16);
	region->base = region->start;
	region->limit = glibc_map__limit(map, region, subject->entries, subject->n);
	region->end = MIN(end, region->limit);
	return region->start < region->end && state->top < region->limit;
}

uint64_t glibc_map__region_end(const struct glibc_map *map, const struct glibc_region *region,
			       struct pagemap *pm)
{
	uint64_t words[4], top, end;

	if (!region->is_main) {
		if (pagemap__peek(pm, region->base, words, sizeof(words)) || words[2] % 4096 ||
		    words[2] > GLIBC_HEAP_BYTES || words[2] <= region->start - region->base)
			return region->end;
		return region->base + words[2];
	}
	if (pagemap__peek(pm, map->states[0].address + map->layout.bins - 0x10, &top, sizeof(top)))
		return region->end;
	end = top % 16 || top < region->start ? 0 : top_end(pm, top);
	return end > region->start ? end : region->end;
}
