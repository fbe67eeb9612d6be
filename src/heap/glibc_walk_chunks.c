// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "heap/glibc_tcache_shape.h"
#include "heap/glibc_walk_impl.h"

void walk__count(struct walk *walk, const struct chunk_header *chunk, uint64_t bytes, bool in_use)
{
	struct glibc_tally *tally = &walk->now.tally;
	enum cached_kind kind = NOT_CACHED;
	uint64_t at = walk->now.at;

	if (in_use && bytes <= walk->tcache_max)
		kind = walk__cached(walk, at, chunk);
	/* malloc_trim empties the fastbins first: their chunks join what is free beside them. Those
	 * in a tcache stay. */
	if (in_use && kind != IN_FASTBIN)
		walk__close_free(walk, at);
	else if (!walk->now.free_start)
		walk->now.free_start = at;
	if (kind != NOT_CACHED) {
		tally->cached_bytes += bytes;
		if (kind == IN_FASTBIN && !walk->largest_fast)
			tally->listed_bytes += bytes;
	} else if (in_use) {
		tally->in_use_bytes += bytes;
		if (is_tcache_size(bytes))
			walk__look_for_tcache(walk, at, bytes);
	} else {
		tally->free_bytes += bytes;
		tally->largest_free_bytes = MAX(tally->largest_free_bytes, bytes);
	}
}

static bool is_mark_due(const struct walk *walk)
{
	return !walk->mark_count ||
	       walk->now.at - walk->marks[(walk->mark_count - 1) % WALK_MARKS].at >= MARK_BYTES;
}

/*
 * Where an arena went on in another heap, two headers of 16 bytes close the old one (sysmalloc):
 * at a heap's end 0x10 and 0, in the main arena, before memory that others got from sbrk, twice
 * 0x10.
 */
static uint64_t fencepost_bytes(struct walk *walk, uint64_t addr, const struct chunk_header *chunk)
{
	uint64_t bytes = chunk_bytes(chunk), left = walk->end - addr;
	struct chunk_header second;

	if (bytes == 0 && left == FENCEPOST_BYTES)
		return left;
	if (bytes != FENCEPOST_BYTES || left < 2 * FENCEPOST_BYTES ||
	    !walk__fetch(walk, addr + FENCEPOST_BYTES, &second))
		return 0;
	if (chunk_bytes(&second) == 0 && left == 2 * FENCEPOST_BYTES)
		return left;
	return walk->job->region->is_main && chunk_bytes(&second) == FENCEPOST_BYTES &&
			       (second.size & PREV_INUSE)
		       ? 2 * FENCEPOST_BYTES
		       : 0;
}

/* Goes over fenceposts at addr, when these are some: true. *over: nothing follows. */
static bool pass_fenceposts(struct walk *walk, uint64_t addr, struct chunk_header *chunk,
			    const struct chunk_header *fence, bool *over)
{
	uint64_t bytes = fencepost_bytes(walk, addr, fence);
	bool in_use = fence->size & PREV_INUSE;

	if (!bytes)
		return false;
	walk__count(walk, chunk, addr - walk->now.at, in_use);
	walk__close_free(walk, addr);
	walk->now.tally.overhead_bytes += bytes;
	walk->now.at = addr + bytes;
	*over = walk->now.at == walk->end || !walk__resync(walk, walk->now.at, chunk);
	return true;
}

/* A free chunk's size stands at both of its ends. */
static bool ends_agree(const struct chunk_header *next, uint64_t bytes)
{
	return (next->size & PREV_INUSE) || next->prev_bytes == bytes;
}

void walk__chunks(struct walk *walk, struct chunk_header chunk)
{
	bool over = false;

	while (!over) {
		uint64_t bytes = chunk_bytes(&chunk), addr = walk->now.at + bytes;
		struct chunk_header next;

		if (addr == walk->end) {
			walk__close_top(walk, bytes);
			return;
		}
		if (!walk__fetch(walk, addr, &next)) {
			over = !walk__recover(walk, addr, &chunk);
			continue;
		}
		if (!header_is_plausible(walk, addr, next.size)) {
			if (!pass_fenceposts(walk, addr, &chunk, &next, &over))
				over = !walk__recover(walk, addr, &chunk);
			continue;
		}
		if (!ends_agree(&next, bytes)) {
			if (addr > walk->failed_at || walk->tries < WALK_TRIES) {
				over = !walk__recover(walk, addr, &chunk);
				continue;
			}
			walk->now.tally.torn_bytes += bytes;
		}
		if ((next.size & PREV_INUSE) && is_mark_due(walk))
			walk__mark(walk);
		walk__count(walk, &chunk, bytes, next.size & PREV_INUSE);
		walk->now.at = addr;
		walk__window(walk);
		if (walk->err) /* -ERESTART or -ENOMEM: what was counted is of no use */
			return;
		/* It was good as a successor, but may have been read anew. */
		over = !(walk__fetch(walk, walk->now.at, &chunk) &&
			 header_is_plausible(walk, walk->now.at, chunk.size)) &&
		       !walk__recover(walk, walk->now.at, &chunk);
	}
}
