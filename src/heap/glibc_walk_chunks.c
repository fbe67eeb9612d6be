// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "heap/glibc_walk_impl.h"

/* Marks are this far apart at least: 16 of them reach over more than a short window. */
#define MARK_BYTES 1024

/* The chunk at now.at, of `bytes`, in use or not, goes into the sums. */
static void count_chunk(struct walk *walk, const struct chunk_header *chunk, uint64_t bytes,
			bool in_use)
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
	count_chunk(walk, chunk, addr - walk->now.at, in_use);
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

/* Whether a chunk that is in use may be cached, or a thread's cache: most are neither. */
static inline bool needs_a_look(const struct walk *walk, uint64_t at, uint64_t bytes,
				const struct chunk_header *chunk)
{
	uint64_t next = chunk->link ^ ((at + 16) >> 12);

	if (bytes > walk->tcache_max)
		return false;
	if (walk->look_at_all || chunk->key == walk->key || is_tcache_size(bytes))
		return true;
	return bytes <= walk->largest_fast && next % 16 == 0 && next <= SPACE_ADDRESS_MAX;
}

/*
 * The chunks that lie in the window with their successor's header, as long as nothing is odd: what
 * is done for each of millions. Leaves now at the first that is left to do.
 */
static void walk_window(struct walk *walk)
{
	const struct glibc_window *window = &walk->window;
	uint64_t limit = window->at + window->have - sizeof(struct chunk_header);
	uint64_t at = walk->now.at, next_mark = at, free_start = walk->now.free_start;
	uint64_t in_use_bytes = 0, free_bytes = 0, largest = 0, n = 0;

	limit = MIN(limit, walk->end - 1);
	for (;; n++) {
		const struct chunk_header *chunk = (const void *)(window->data + (at - window->at));
		const struct chunk_header *next;
		uint64_t bytes = chunk_bytes(chunk), addr = at + bytes, in_use;

		if (addr > limit)
			break;
		next = (const void *)((const char *)chunk + bytes);
		in_use = -(next->size & PREV_INUSE);
		if (!header_is_plausible(walk, addr, next->size) ||
		    (!in_use && next->prev_bytes != bytes))
			break;
		if (in_use && (at >= next_mark || needs_a_look(walk, at, bytes, chunk) ||
			       (free_start && at - free_start > 4096))) {
			walk->now.at = at;
			walk->now.free_start = free_start;
			walk->now.tally.in_use_bytes += in_use_bytes;
			walk->now.tally.free_bytes += free_bytes;
			in_use_bytes = free_bytes = 0;
			if (at >= next_mark) {
				walk__mark(walk);
				next_mark = at + MARK_BYTES;
			}
			count_chunk(walk, chunk, bytes, true);
			free_start = walk->now.free_start;
			if (walk->err)
				break;
		} else {
			/* Without a branch: which chunks are free is not to be foreseen. */
			in_use_bytes += bytes & in_use;
			free_bytes += bytes & ~in_use;
			largest = MAX(largest, bytes & ~in_use);
			free_start = in_use ? 0 : free_start ? free_start : at;
		}
		at = addr;
	}
	walk->now.at = at;
	walk->now.free_start = free_start;
	walk->now.tally.in_use_bytes += in_use_bytes;
	walk->now.tally.free_bytes += free_bytes;
	walk->now.tally.largest_free_bytes = MAX(walk->now.tally.largest_free_bytes, largest);
	walk->window.uses += n;
}

void walk__chunks(struct walk *walk, struct chunk_header chunk)
{
	bool over = false;

	while (!over && walk->err != -ERESTART) {
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
		count_chunk(walk, &chunk, bytes, next.size & PREV_INUSE);
		walk->now.at = addr;
		walk_window(walk);
		if (walk->err == -ERESTART)
			return;
		over = !walk__fetch(walk, walk->now.at, &chunk) &&
		       !walk__recover(walk, walk->now.at, &chunk);
	}
}
