// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_walk.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "heap/glibc_walk_impl.h"

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
	sum->listed_bytes += more->listed_bytes;
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

void walk__close_cell(struct walk *walk)
{
	struct walk_place *now = &walk->now;

	if (now->tally.in_use_bytes == now->in_use_before)
		return;
	if (glibc_cells__add(walk->job->cells, now->cell,
			     now->tally.in_use_bytes - now->in_use_before))
		walk->err = -ENOMEM;
	now->cell_count = walk->job->cells->count;
	now->in_use_before = now->tally.in_use_bytes;
}

void walk__mark(struct walk *walk)
{
	uint64_t cell = walk->now.at >> GLIBC_CELL_SHIFT;

	if (cell != walk->now.cell) {
		walk__close_cell(walk);
		walk->now.cell = cell;
	}
	walk->marks[walk->mark_count++ % WALK_MARKS] = walk->now;
}

static int open_walk(struct walk *walk)
{
	const struct glibc_walk_job *job = walk->job;
	const struct glibc_region *region = job->region;
	uint64_t size = region->end - region->base;
	const struct glibc_layout *layout = &job->map->layout;

	walk->memory = (struct memory){
		.pid = job->memory->pid,
		.runs = job->memory->runs,
		.deadline_ns = job->memory->deadline_ns,
		.bytes_max = MAX(size / 100 * job->bytes_percent, GLIBC_WINDOW_MAX),
	};
	walk->largest_fast = layout->links_mangled && layout->from < 43 ? LARGEST_FAST : 0;
	walk->tcache_max = layout->to >= 42 ? TCACHE_LARGE_MAX : TCACHE_SMALL_MAX;
	walk->key = layout->key;
	walk->look_at_all = job->listed_count || layout->key_kind == TCACHE_KEY_OWNER;
	walk->now.cached_count = job->cached->count;
	walk->now.cell_count = job->cells->count;
	walk->now.tally.overhead_bytes = region->start - region->base;
	return glibc_window__open(&walk->window, &walk->memory);
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
	/* Few chunks are told by where the last one ends. */
	walk->end = MAX(walk__end_now(walk), region->start);
	walk->err = 0;
	if (walk->end != region->end && walk__chain_begins(walk, region->start, chunk))
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
	struct walk walk = {.job = job, .end = job->region->end, .limit = job->region->limit};
	struct chunk_header chunk;
	int err = open_walk(&walk);

	if (!err && find_first(&walk, &chunk))
		walk__chunks(&walk, chunk);
	walk__close_cell(&walk);
	glibc_window__close(&walk.window);
	page_runs__free(&walk.runs);
	job->memory->bytes_read += walk.memory.bytes_read;
	job->memory->calls += walk.memory.calls;
	glibc_tally__add(tally, &walk.now.tally);
	return walk.err == -ESRCH || walk.err == -ENOMEM || walk.err == -ERESTART ? walk.err : err;
}
