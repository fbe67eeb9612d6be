// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/glibc_ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "census/malloc_par.h"
#include "census/proc_maps.h"

/* Offsets in struct malloc_state (malloc/malloc.c), by version. */
struct state_layout {
	uint16_t bins;
	uint16_t next;
	uint16_t system_mem;
};

static const struct state_layout layouts[] = {
	{.bins = 0x70, .next = 0x870, .system_mem = 0x888}, /* 2.27 to 2.42 */
	{.bins = 0x68, .next = 0x868, .system_mem = 0x880}, /* 2.26 */
	{.bins = 0x18, .next = 0x818, .system_mem = 0x830}, /* 2.43 */
};

/* More arenas than 8 x 8,192 CPUs means that the ring is none. */
#define RING_MAX (8 * 8192 + 1)

/* libc's data and bss are some 60 KiB; of a larger segment (static programs) this much is read. */
#define SEGMENT_BYTES_MAX (4u << 20)

static bool is_writable_private(const struct maps_entry *entry)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;

	return entry && !entry->shared && (entry->prot & rw) == rw;
}

/* A thread arena lies in a heap: one that is known, or one that was made since. */
static bool is_thread_arena(struct pagemap *pm, const struct glibc_arenas *arenas, uint64_t arena)
{
	const struct glibc_heap *known = glibc_arenas__find(arenas, arena);
	struct glibc_heap heap;

	if (known)
		return known->is_first && known->arena == arena;
	return glibc_heap__peek(pm, arena & ~(GLIBC_HEAP_BYTES - 1), &heap) == 0 && heap.is_first &&
	       heap.arena == arena;
}

/*
 * The bins of an arena: each is a list through its own pair of words, an empty one points to
 * itself, less the chunk header's 16 bytes. The first few suffice to know an arena by.
 */
static bool has_bins(struct pagemap *pm, const struct state_layout *layout, uint64_t arena)
{
	uint64_t pairs[8][2], at = arena + layout->bins;

	if (pagemap__peek(pm, at, pairs, sizeof(pairs)))
		return false;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++, at += sizeof(*pairs)) {
		bool empty = pairs[i][0] == at - 16 && pairs[i][1] == at - 16;

		if (!empty &&
		    (!pairs[i][0] || !pairs[i][1] || pairs[i][0] % 16 || pairs[i][1] % 16))
			return false;
	}
	return true;
}

/* system_mem and its maximum, as got from the kernel: whole pages, but for the main arena of a
 * program that used brk before malloc did (static ones do). */
static bool has_sizes(struct pagemap *pm, const struct state_layout *layout, uint64_t arena)
{
	uint64_t mem[2];

	return pagemap__peek(pm, arena + layout->system_mem, mem, sizeof(mem)) == 0 &&
	       mem[0] % 16 == 0 && mem[0] <= mem[1] && mem[1] < SPACE_ADDRESS_MAX;
}

static int64_t follow_ring(struct pagemap *pm, const struct maps_entry *entries, size_t n,
			   const struct glibc_arenas *arenas, const struct state_layout *layout,
			   uint64_t first, uint64_t *main_arena)
{
	uint64_t arena = first, found_main = 0;
	int64_t count = 0;

	do {
		if (++count > RING_MAX)
			return -ENOENT;
		if (!is_thread_arena(pm, arenas, arena)) {
			if (found_main ||
			    !is_writable_private(proc_maps__find(entries, n, arena)) ||
			    !has_bins(pm, layout, arena) || !has_sizes(pm, layout, arena))
				return -ENOENT;
			found_main = arena;
		}
		if (pagemap__peek(pm, arena + layout->next, &arena, sizeof(arena)))
			return -ENOENT;
	} while (arena != first);
	if (!found_main)
		return -ENOENT;
	*main_arena = found_main;
	return count;
}

/* A malloc_state in the segment's words whose next is its own address. */
static uint64_t find_lone_arena(struct pagemap *pm, const struct state_layout *layout,
				const uint8_t *data, size_t size, uint64_t address)
{
	for (size_t at = 0; at + layout->system_mem + 16 <= size; at += 8) {
		uint64_t arena = address + at, next;

		memcpy(&next, data + at + layout->next, sizeof(next));
		if (next == arena && has_bins(pm, layout, arena) && has_sizes(pm, layout, arena))
			return arena;
	}
	return 0;
}

/* Reads what is resident of [address, address + size) and leaves zeroes for the rest. */
static void read_segment(struct pagemap *pm, uint64_t address, uint8_t *data, size_t size)
{
	for (size_t at = 0; at < size; at += 4096) {
		size_t len = MIN(size - at, 4096);

		if (pagemap__peek(pm, address + at, data + at, len))
			memset(data + at, 0, len);
	}
}

static uint64_t search_segment(struct pagemap *pm, const struct maps_entry *entry,
			       uint16_t *bins_offset)
{
	size_t size = MIN(entry->end - entry->start, SEGMENT_BYTES_MAX);
	uint8_t *data = malloc(size);
	uint64_t arena = 0;

	if (!data)
		return 0;
	read_segment(pm, entry->start, data, size);
	for (size_t i = 0; !arena && i < sizeof(layouts) / sizeof(*layouts); i++) {
		arena = find_lone_arena(pm, &layouts[i], data, size, entry->start);
		*bins_offset = layouts[i].bins;
	}
	free(data);
	return arena;
}

static int64_t find_lone_main(struct pagemap *pm, const struct maps_entry *entries, size_t n,
			      uint64_t *main_arena, uint16_t *bins_offset)
{
	for (size_t i = 0; i < n; i++) {
		if (!entry_may_be_glibc_data(entries, n, i))
			continue;
		*main_arena = search_segment(pm, &entries[i], bins_offset);
		if (*main_arena)
			return 1;
	}
	return -ENOENT;
}

int64_t glibc_ring__follow(struct pagemap *pm, const struct maps_entry *entries, size_t n,
			   const struct glibc_arenas *arenas, uint64_t *main_arena,
			   uint16_t *bins_offset)
{
	for (size_t i = 0; i < arenas->heap_count; i++) {
		if (!arenas->heaps[i].is_first)
			continue;
		for (size_t k = 0; k < sizeof(layouts) / sizeof(*layouts); k++) {
			int64_t count = follow_ring(pm, entries, n, arenas, &layouts[k],
						    arenas->heaps[i].arena, main_arena);

			if (count > 0) {
				*bins_offset = layouts[k].bins;
				return count;
			}
		}
		break; /* one arena's ring is every arena's */
	}
	return arenas->heap_count ? -ENOENT
				  : find_lone_main(pm, entries, n, main_arena, bins_offset);
}
