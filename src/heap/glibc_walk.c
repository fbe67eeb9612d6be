// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_walk.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "heap/glibc_walk_impl.h"

/* Marks are this far apart at least: 16 of them reach over more than a short window. */
#define MARK_BYTES 512

/* M_MXFAST's default: chunks of up to 128 bytes (set_max_fast). More than that is rare. */
#define LARGEST_FAST 0x80

/* The 64 small bins of a tcache; 12 more from 2.42 on, up to 4 MiB. */
#define TCACHE_SMALL_MAX 0x410
#define TCACHE_LARGE_MAX (4u << 20)

void glibc_tally__add(struct glibc_tally *sum, const struct glibc_tally *more)
{
	sum->in_use_bytes += more->in_use_bytes;
	sum->free_bytes += more->free_bytes;
	sum->cached_bytes += more->cached_bytes;
	sum->top_bytes += more->top_bytes;
	sum->trimmable_bytes += more->trimmable_bytes;
	sum->largest_free_bytes = MAX(sum->largest_free_bytes, more->largest_free_bytes);
	sum->overhead_bytes += more->overhead_bytes;
	sum->unwalked_bytes += more->unwalked_bytes;
	sum->torn_bytes += more->torn_bytes;
	sum->skipped_front_bytes += more->skipped_front_bytes;
}

bool walk__fetch(struct walk *walk, uint64_t addr, struct chunk_header *out)
{
	int err = 0;
	const uint8_t *data = glibc_window__header(&walk->window, addr, &err);

	if (!data) {
		walk->err = err;
		return false;
	}
	memcpy(out, data, sizeof(*out));
	return true;
}

void walk__mark(struct walk *walk)
{
	walk->marks[walk->mark_count++ % WALK_MARKS] = walk->now;
}

/* The chunk at now.at, of `bytes`, in use or not, goes into the sums. */
static void count_chunk(struct walk *walk, const struct chunk_header *chunk, uint64_t bytes,
			bool in_use)
{
	struct glibc_tally *tally = &walk->now.tally;
	uint64_t at = walk->now.at;

	if (!in_use) {
		tally->free_bytes += bytes;
		tally->largest_free_bytes = MAX(tally->largest_free_bytes, bytes);
		if (!walk->now.free_start)
			walk->now.free_start = at;
		return;
	}
	if (bytes <= walk->tcache_max) {
		enum cached_kind kind = walk__cached(walk, at, chunk);

		if (kind != NOT_CACHED)
			tally->cached_bytes += bytes;
		/* malloc_trim empties the fastbins first: their chunks join what is free beside
		 * them. Those in a tcache stay. */
		if (kind == IN_FASTBIN && !walk->now.free_start)
			walk->now.free_start = at;
		if (kind == IN_FASTBIN)
			return;
		if (walk->now.free_start)
			walk__close_free(walk, at);
		if (kind == IN_TCACHE)
			return;
		if (is_tcache_size(bytes))
			walk__look_for_tcache(walk, at, bytes);
	} else if (walk->now.free_start) {
		walk__close_free(walk, at);
	}
	tally->in_use_bytes += bytes;
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

static void walk_chunks(struct walk *walk, struct chunk_header chunk)
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
		if (__builtin_expect(!header_is_plausible(walk, addr, next.size), 0)) {
			if (!pass_fenceposts(walk, addr, &chunk, &next, &over))
				over = !walk__recover(walk, addr, &chunk);
			continue;
		}
		if (__builtin_expect(!ends_agree(&next, bytes), 0)) {
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
		chunk = next;
	}
}

/* What is resident of the region now: the walk reads no other page. */
static void add_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct walk *walk = ctx;

	if (!walk->err)
		walk->err = page_runs__add(&walk->runs, start, end);
}

static int open_walk(struct walk *walk)
{
	const struct glibc_walk_job *job = walk->job;
	const struct glibc_region *region = job->region;
	uint64_t size = region->end - region->base;
	int err = pagemap__each_run(job->subject->pm, region->base & ~4095ULL,
				    (region->end + 4095) & ~4095ULL, add_run, walk);

	/* Without PAGEMAP_SCAN a longer range than 64 GiB is as it was when the subject was read.
	 */
	if (err == -EOPNOTSUPP)
		err = walk->err = 0;
	walk->memory = (struct memory){
		.pid = job->memory->pid,
		.runs = walk->runs.count ? &walk->runs : job->memory->runs,
		.deadline_ns = job->memory->deadline_ns,
		.bytes_max = MAX(size / 100 * job->bytes_percent, GLIBC_WINDOW_MAX),
	};
	if (!err)
		err = walk->err;
	return err ? err : glibc_window__open(&walk->window, &walk->memory);
}

/* The first chunk: where it must be, or the first chain of chunks after that. What lies before the
 * main arena's is the program's own. */
static bool find_first(struct walk *walk, struct chunk_header *chunk)
{
	const struct glibc_region *region = walk->job->region;
	bool found;

	walk->now.at = region->start;
	if (walk__chain_begins(walk, region->start, chunk))
		return true;
	found = walk__resync(walk, region->start, chunk);
	if (found && region->is_main) {
		walk->now.tally.skipped_front_bytes = walk->now.at - region->start;
		walk->now.tally.unwalked_bytes = 0;
	}
	return found;
}

int glibc_walk__region(const struct glibc_walk_job *job, struct glibc_tally *tally)
{
	struct walk walk = {.job = job, .end = job->region->end};
	struct chunk_header chunk;
	int err = open_walk(&walk);

	walk.now.tally.overhead_bytes = job->region->start - job->region->base;
	walk.largest_fast = job->layout->bins == 0x18 ? 0 : LARGEST_FAST;
	walk.tcache_max = job->layout->to >= 42 ? TCACHE_LARGE_MAX : TCACHE_SMALL_MAX;
	walk.now.cached_count = job->cached->count;
	if (!err && find_first(&walk, &chunk))
		walk_chunks(&walk, chunk);
	glibc_window__close(&walk.window);
	page_runs__free(&walk.runs);
	job->memory->bytes_read += walk.memory.bytes_read;
	job->memory->calls += walk.memory.calls;
	glibc_tally__add(tally, &walk.now.tally);
	return walk.err == -ESRCH || walk.err == -ENOMEM ? walk.err : err;
}
