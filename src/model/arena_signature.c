// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* How glibc makes a heap, seen from its mapping calls (malloc/arena.c: new_heap). */
#include <sys/mman.h>

#include "model/arenas.h"
#include "model/space.h"

#define PROT_COMMITTED (PROT_READ | PROT_WRITE)

/* Where the kernel places mappings of 64-bit programs by itself, far above Go's first heap arenas.
 */
#define MMAP_AREA_START 0x700000000000ull

/*
 * 128 MiB reserved, one or two pieces cut off so that an aligned 64 MiB stay; or 64 MiB that came
 * out aligned, with the hint that the last such reservation left, or as the fallback when there is
 * no room for 128. All by the thread that now commits the beginning. Up to glibc 2.40 with
 * MAP_NORESERVE, later without: then 64 MiB alone are a sign only with that hint, which points
 * into the kernel's own area.
 */
static bool is_fresh_heap(const struct mapping *piece, uint64_t addr, uint32_t tid)
{
	const struct origin *origin = piece->origin;

	return piece->start == addr && origin->address == addr && origin->tid == tid &&
	       !origin->arena_signature && !origin->before_trace && !origin->found_late &&
	       origin__is_private_anonymous(origin) && origin->first_prot == PROT_NONE &&
	       !origin->committed_bytes && origin->live_bytes == ARENA_HEAP_BYTES &&
	       (origin->created_bytes == 2 * ARENA_HEAP_BYTES ||
		(origin->created_bytes == ARENA_HEAP_BYTES &&
		 (origin->map_flags & MAP_NORESERVE ||
		  (origin->hinted && addr >= MMAP_AREA_START))));
}

/* What may be one of glibc's heaps: made as one, or made when nobody looked. */
static bool may_be_heap(const struct mapping *piece)
{
	const struct origin *origin = piece->origin;

	return (piece->prot & PROT_COMMITTED) == PROT_COMMITTED &&
	       (origin->arena_signature || origin->before_trace || origin->found_late) &&
	       !origin->is_heap && origin__is_private_anonymous(origin);
}

/*
 * sysmalloc makes a further heap only after grow_heap has refused the arena's current one: with
 * what is asked for it would pass 64 MiB. The new heap's first commit is that size and more, so
 * without a heap committed up to 64 MiB less this commit (and a page of rounding) it is a new
 * arena.
 */
static bool some_heap_is_full(const struct space *space, uint64_t commit_bytes)
{
	uint64_t spare = commit_bytes + SPACE_PAGE_BYTES, start = 0, end = 0;
	const struct mapping *piece;

	if (spare > ARENA_HEAP_BYTES)
		spare = ARENA_HEAP_BYTES;
	space__for_each (piece, space) {
		uint64_t base;

		if (!may_be_heap(piece))
			continue;
		if (piece->start != end)
			start = piece->start;
		end = piece->end;
		base = (start + ARENA_HEAP_BYTES - 1) & ~(ARENA_HEAP_BYTES - 1);
		if (end > base && base + ARENA_HEAP_BYTES - spare <= end)
			return true;
	}
	return false;
}

bool arena_signature(struct space *space, uint64_t addr, uint64_t len, uint32_t prot, uint32_t tid,
		     bool *undecided)
{
	struct mapping *piece;

	if ((prot & PROT_COMMITTED) != PROT_COMMITTED || addr % ARENA_HEAP_BYTES || !len ||
	    len > ARENA_HEAP_BYTES)
		return false;
	piece = space__find(space, addr);
	if (!piece || !is_fresh_heap(piece, addr, tid))
		return false;
	*undecided = some_heap_is_full(space, len);
	piece->origin->arena_signature = true;
	return true;
}
