// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "census/proc_maps.h"
#include "heap/glibc_walk_impl.h"
#include "model/model.h"

/* So many chunks that follow each other are no accident: each size has 60 bits of which any other
 * value ends the chain. */
#define CHAIN_CHUNKS 8

/* A chain may leave the window where chunks are large: so many headers are read apart for all
 * chains that one search tries. */
#define FAR_HEADERS 512

#define SEARCH_BYTES (64u << 10)

/* 64 MB take half a millisecond. */
#define PAGE_READS_MAX 16

/* A thousand mappings take a millisecond. */
#define MAP_READS_MAX 16

struct search {
	struct walk *walk;
	uint32_t far_headers;
};

static bool is_over(int err)
{
	return err == -ERESTART || err == -ETIME || err == -EDQUOT || err == -ESRCH ||
	       err == -EACCES || err == -ENOMEM;
}

/* The header at addr, from the window where it holds it. */
static bool peek_header(struct search *search, uint64_t addr, struct chunk_header *out)
{
	struct glibc_window *window = &search->walk->window;
	int err;

	memset(out, 0, sizeof(*out));
	if (addr >= window->at && addr - window->at + 16 <= window->have) {
		memcpy(out, window->data + (addr - window->at), 16);
		return true;
	}
	if (search->far_headers >= FAR_HEADERS)
		return false;
	search->far_headers++;
	err = memory__read(&search->walk->memory, addr, out, 16);
	if (is_over(err))
		search->walk->err = err;
	return !err;
}

static bool chain_begins(struct search *search, uint64_t addr)
{
	struct walk *walk = search->walk;
	struct chunk_header chunk, next;

	if (!peek_header(search, addr, &chunk))
		return false;
	for (int i = 0; i < CHAIN_CHUNKS; i++) {
		uint64_t bytes = chunk_bytes(&chunk);

		if (!header_is_plausible(walk, addr, chunk.size))
			/* Fenceposts end a heap that is not its arena's last. */
			return i > 1 && bytes <= FENCEPOST_BYTES && walk->end - addr <= 32;
		addr += bytes;
		/* A chain that ends exactly where the region does is right, be it short. */
		if (addr == walk->end)
			return true;
		if (!peek_header(search, addr, &next))
			return false;
		if (!(next.size & PREV_INUSE) && next.prev_bytes != bytes)
			return false;
		chunk = next;
	}
	return true;
}

bool walk__chain_begins(struct walk *walk, uint64_t addr, struct chunk_header *chunk)
{
	struct search search = {.walk = walk};

	return walk__fetch(walk, addr, chunk) && chain_begins(&search, addr);
}

/* Where the next resident page after addr begins; the region's end when there is none. */
static uint64_t next_resident(struct walk *walk, uint64_t addr)
{
	const struct page_runs *runs = walk->memory.runs;
	size_t low = 0, high = runs->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (runs->runs[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < runs->count ? MIN(runs->runs[low].start, walk->end) : walk->end;
}

/* Position of the first chain in what the window holds, or where the search goes on. */
static bool search_window(struct search *search, uint64_t *addr)
{
	struct walk *walk = search->walk;
	struct glibc_window *window = &walk->window;
	uint64_t end = MIN(window->at + window->have - 15, walk->end);

	for (; *addr < end; *addr += 16) {
		uint64_t size;

		memcpy(&size, window->data + (*addr - window->at) + 8, sizeof(size));
		if (header_is_plausible(walk, *addr, size) && chain_begins(search, *addr))
			return true;
		if (is_over(walk->err))
			return false;
	}
	return false;
}

bool walk__resync(struct walk *walk, uint64_t from, struct chunk_header *chunk)
{
	struct search search = {.walk = walk};
	uint64_t addr = from;

	if (walk->now.free_start)
		walk__close_free(walk, walk->now.at);
	walk->mark_count = 0; /* what lies behind is settled */
	walk->err = 0;
	while (addr < walk->end) {
		int err = glibc_window__load(&walk->window, addr, SEARCH_BYTES);

		if (is_over(err))
			walk->err = err;
		if (is_over(walk->err))
			break;
		if (err) {
			addr = next_resident(walk, addr);
			continue;
		}
		if (search_window(&search, &addr)) {
			walk->now.tally.unwalked_bytes += addr - walk->now.at;
			walk->now.at = addr;
			glibc_window__drop(&walk->window);
			return walk__fetch(walk, addr, chunk) &&
			       header_is_plausible(walk, addr, chunk->size);
		}
	}
	walk->now.tally.unwalked_bytes += walk->end - MIN(walk->now.at, walk->end);
	walk->now.at = walk->end;
	return false;
}

/* Goes back to the mark that is `steps` behind; false when there is none. */
static bool step_back(struct walk *walk, size_t steps)
{
	size_t kept = MIN(walk->mark_count, WALK_MARKS);

	if (!kept)
		return false;
	steps = MIN(steps, kept);
	walk->mark_count -= steps - 1;
	walk->now = walk->marks[(walk->mark_count - 1) % WALK_MARKS];
	walk->job->cached->count = walk->now.cached_count;
	walk->job->cells->count = walk->now.cell_count;
	return true;
}

static void add_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct walk *walk = ctx;

	if (page_runs__add(&walk->runs, start, end))
		walk->err = -ENOMEM;
}

/* Which pages are resident changes as the process runs: pages that it has touched since would be
 * left out, those that it gave back would fail. */
static void renew_pages(struct walk *walk)
{
	const struct glibc_walk_job *job = walk->job;
	struct page_runs old = walk->runs;

	if (walk->page_reads == PAGE_READS_MAX)
		return;
	walk->page_reads++;
	walk->runs = (struct page_runs){0};
	if (pagemap__each_run(job->subject->pm, job->region->base & ~4095ULL,
			      (walk->end + 4095) & ~4095ULL, add_run, walk)) {
		page_runs__free(&walk->runs);
		walk->runs = old;
		return;
	}
	page_runs__free(&old);
	walk->memory.runs = &walk->runs;
	walk->memory.near = 0;
}

uint64_t walk__end_now(struct walk *walk)
{
	const struct glibc_walk_job *job = walk->job;
	uint64_t end = glibc_map__region_end(job->map, job->region, job->subject->pm);
	struct maps_entry *entries;
	size_t n;

	if (end > walk->limit && walk->map_reads < MAP_READS_MAX) {
		walk->map_reads++;
		if (!proc_maps__read(job->subject->pid, &entries, &n)) {
			walk->limit = glibc_map__limit(job->map, job->region, entries, n);
			maps_entries__free(entries, n);
		}
	}
	return MIN(end, walk->limit);
}

bool walk__recover(struct walk *walk, uint64_t failed, struct chunk_header *chunk)
{
	if (is_over(walk->err)) {
		walk__resync(walk, walk->now.at, chunk);
		return false;
	}
	if (failed > walk->failed_at) {
		walk->failed_at = failed;
		walk->tries = 0;
	}
	walk->tries++;
	glibc_window__drop(&walk->window);
	walk->end = MAX(walk__end_now(walk), walk->now.at);
	if (walk->err == -ENODATA || walk->err == -EFAULT)
		renew_pages(walk);
	walk->err = walk->err == -ENOMEM ? -ENOMEM : 0;
	if (walk->tries <= WALK_TRIES && step_back(walk, 1U << (2 * (walk->tries - 1))) &&
	    walk__fetch(walk, walk->now.at, chunk) &&
	    header_is_plausible(walk, walk->now.at, chunk->size))
		return true;
	return walk__resync(walk, walk->now.at + 16, chunk);
}
