// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_regions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "census/proc_maps.h"

#define ALIGN_UP(n, to) (((n) + (to)-1) & ~((uint64_t)(to)-1))

void glibc_map__free(struct glibc_map *map)
{
	glibc_arenas__free(&map->arenas);
	free(map->states);
	free(map->regions);
	memset(map, 0, sizeof(*map));
}

static void add_region(struct glibc_map *map, const struct glibc_region *region)
{
	map->regions[map->region_count++] = *region;
}

/* One that says to hold more than all that is mapped is none, or overwritten: not to be believed.
 */
static bool read_state(struct subject *subject, const struct glibc_map *map, uint64_t address,
		       uint64_t most, struct glibc_state *state)
{
	return !glibc_state__read(&subject->memory, &map->layout, address, state) &&
	       state->system_bytes <= most;
}

/* The main arena, when it is known, and each arena that lies in its first heap. */
static int read_states(struct subject *subject, struct glibc_map *map)
{
	const struct glibc_arenas *arenas = &map->arenas;
	uint64_t most = subject__mapped(subject);

	map->states = calloc(arenas->heap_count + 1, sizeof(*map->states));
	map->regions = calloc(arenas->heap_count + 1, sizeof(*map->regions));
	if (!map->states || !map->regions)
		return -ENOMEM;
	if (read_state(subject, map, arenas->main_arena, most, &map->states[0]))
		map->state_count = 1;
	for (size_t i = 0; i < arenas->heap_count; i++) {
		const struct glibc_heap *heap = &arenas->heaps[i];
		struct glibc_state *state = &map->states[map->state_count];

		if (!heap->is_first)
			continue;
		if (heap->arena - heap->base == 0x20)
			glibc_layout__narrow(&map->layout, 26, 34);
		else
			glibc_layout__narrow(&map->layout, 35, GLIBC_LATER);
		if (read_state(subject, map, heap->arena, most, state))
			map->state_count++;
	}
	return map->state_count ? 0 : -EAGAIN;
}

static bool has_main(const struct glibc_map *map)
{
	return map->state_count && map->states[0].address == map->arenas.main_arena;
}

/*
 * A thread is attached to one arena at most. Those that began while we read are allowed for; beyond
 * that the word is not a number of threads, and nothing else would tell.
 */
static void check_threads(const struct subject *subject, struct glibc_map *map)
{
	uint64_t most = 2 * (uint64_t)subject->stat.nr_threads + 64;

	for (size_t i = 0; i < map->state_count; i++) {
		if (map->states[i].threads > most)
			map->states[i].threads = UINT64_MAX;
	}
}

/* States behind the main one are in the order of their addresses. */
static int64_t find_state(const struct glibc_map *map, uint64_t address)
{
	size_t low = has_main(map), high = map->state_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->states[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < map->state_count && map->states[low].address == address ? (int64_t)low : -1;
}

/* A heap's chunks follow its header, in the first heap also the arena's own struct. */
static void add_heap(struct glibc_map *map, const struct glibc_heap *heap)
{
	int64_t arena = find_state(map, heap->arena);
	uint64_t header = heap->arena & (GLIBC_HEAP_BYTES - 1);
	struct glibc_region region = {
		.base = heap->base,
		.end = heap->base + heap->size_bytes,
		.limit = heap->base + heap->mapped_bytes,
		.arena = arena,
	};

	if (arena < 0)
		return;
	if (heap->is_first)
		header += glibc_state__bytes(&map->layout);
	region.start = heap->base + ALIGN_UP(header, 16);
	if (region.start < region.end)
		add_region(map, &region);
}

/*
 * All that arenas say to have may not be more than is mapped. What an arena has beyond its heaps
 * (some of which were not found: the main arena's mappings, heaps whose header is overwritten) lies
 * in what no other arena has; one that says more is overwritten: not to be believed.
 */
static int drop_incredible(const struct subject *subject, struct glibc_map *map,
			   const struct glibc_region *main)
{
	uint64_t *own = calloc(map->state_count, sizeof(*own)), spare = subject__mapped(subject);
	size_t kept = 0;

	if (!own)
		return -ENOMEM;
	if (has_main(map))
		own[0] = main->end - main->base;
	for (size_t i = 0; i < map->arenas.heap_count; i++) {
		int64_t arena = find_state(map, map->arenas.heaps[i].arena);

		spare -= map->arenas.heaps[i].mapped_bytes;
		if (arena >= 0)
			own[arena] += map->arenas.heaps[i].mapped_bytes;
	}
	spare -= main->end - main->base;
	for (size_t i = 0; i < map->state_count; i++) {
		uint64_t system_bytes = map->states[i].system_bytes;
		uint64_t beyond = system_bytes - MIN(system_bytes, own[i]);

		if (beyond > spare)
			continue;
		spare -= beyond;
		map->states[kept++] = map->states[i];
	}
	map->state_count = kept;
	free(own);
	return kept ? 0 : -EAGAIN;
}

static int add_regions(const struct subject *subject, struct glibc_map *map)
{
	struct glibc_region main = {0};
	bool found = has_main(map) && glibc_map__main_region(map, subject, &main);
	int err;

	if (!found)
		main = (struct glibc_region){0};
	err = drop_incredible(subject, map, &main);
	if (err)
		return err;
	if (found && has_main(map))
		add_region(map, &main);
	for (size_t i = 0; i < map->arenas.heap_count; i++)
		add_heap(map, &map->arenas.heaps[i]);
	return 0;
}

static int by_address(const void *left, const void *right)
{
	const struct glibc_region *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

int glibc_map__read(struct subject *subject, struct glibc_map *out, const char **reason)
{
	struct glibc_map map = {0};
	int err;

	glibc_arenas__init(&map.arenas);
	err = glibc_arenas__read(subject->pid, subject->entries, subject->n, subject->pm,
				 &map.arenas);
	if (!err && !map.arenas.has_glibc) {
		*reason = "glibc's malloc is not in this process";
		err = -ENOENT;
	}
	if (!err && !map.arenas.main_arena && !map.arenas.heap_count) {
		*reason = "glibc's malloc was never used";
		err = -ENOENT;
	}
	if (!err && !map.arenas.bins_offset)
		err = -EAGAIN;
	if (!err) {
		glibc_layout__init(&map.layout, map.arenas.bins_offset);
		map.has_par =
			malloc_par__read(subject->pm, subject->entries, subject->n, &map.par) == 0;
		err = read_states(subject, &map);
	}
	if (!err)
		err = add_regions(subject, &map);
	if (err) {
		glibc_map__free(&map);
		return err;
	}
	check_threads(subject, &map);
	qsort(map.regions, map.region_count, sizeof(*map.regions), by_address);
	*out = map;
	return 0;
}
