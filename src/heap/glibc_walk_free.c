// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/glibc_tcache_shape.h"
#include "heap/glibc_walk_impl.h"

#define PAGE_BYTES 4096ULL

/* sizeof(struct malloc_chunk): what a free chunk keeps of itself at its start. */
#define FREE_CHUNK_BYTES 0x30

static uint64_t resident_bytes(const struct walk *walk, uint64_t start, uint64_t end)
{
	uint64_t bytes;

	return start < end && page_runs__count(walk->memory.runs, start, end, &bytes) == 0 ? bytes
											   : 0;
}

/* mtrim: from the first page that begins behind the chunk's links on, whole pages. */
void walk__close_free(struct walk *walk, uint64_t addr)
{
	uint64_t start = walk->now.free_start, from, size;

	walk->now.free_start = 0;
	if (!start || addr - start <= PAGE_BYTES - 1 + FREE_CHUNK_BYTES)
		return;
	from = (start + FREE_CHUNK_BYTES + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	size = (addr - from) & ~(PAGE_BYTES - 1);
	walk->now.tally.trimmable_bytes += resident_bytes(walk, from, from + size);
}

/* systrim, of the main arena alone: whole pages at its end, of which MINSIZE + 1 bytes stay. Free
 * memory in front of the top has joined it by then. */
void walk__close_top(struct walk *walk, uint64_t bytes)
{
	uint64_t top = walk->now.at, start = walk->now.free_start ? walk->now.free_start : top;
	uint64_t keep = CHUNK_MIN_BYTES + 1, size = walk->end - start;

	walk->now.tally.top_bytes += bytes;
	walk->now.free_start = 0;
	walk->now.at = walk->end;
	if (!walk->job->region->is_main || size <= keep)
		return;
	size = (size - keep) & ~(PAGE_BYTES - 1);
	walk->now.tally.trimmable_bytes += resident_bytes(walk, walk->end - size, walk->end);
}

/* Whether the lists that were read have the chunk. The walk asks by rising address, but for steps
 * back. */
static enum cached_kind listed_kind(struct walk *walk, uint64_t addr)
{
	const struct glibc_walk_job *job = walk->job;
	size_t at = walk->listed;

	if (!job->listed_count)
		return NOT_CACHED;
	while (at > 0 && job->listed[at - 1] >= addr)
		at--;
	while (at < job->listed_count && job->listed[at] < addr)
		at++;
	walk->listed = at;
	if (at == job->listed_count || (job->listed[at] & ~1ULL) != addr)
		return NOT_CACHED;
	return job->listed[at] & 1 ? IN_TCACHE : IN_FASTBIN;
}

static bool has_tcache_key(const struct walk *walk, uint64_t key)
{
	const struct glibc_walk_job *job = walk->job;

	if (job->map->layout.key_kind == TCACHE_KEY_RANDOM)
		return key == job->map->layout.key;
	return job->map->layout.key_kind == TCACHE_KEY_OWNER && key && key % 16 == 0 &&
	       glibc_tcaches__has(job->tcaches, key);
}

/* A mangled link leads to nothing or into the same arena; 8 bytes of anything else hardly do. */
static bool has_fast_link(const struct walk *walk, uint64_t addr, uint64_t link)
{
	const struct glibc_walk_job *job = walk->job;
	uint64_t next = link ^ ((addr + CHUNK_HEADER_BYTES) >> 12);
	const struct glibc_heap *heap;

	if (!next)
		return true;
	if (next % 16 || next > SPACE_ADDRESS_MAX)
		return false;
	if (next >= job->region->start && next < walk->end)
		return true;
	if (job->region->is_main)
		return false;
	heap = glibc_arenas__find(&job->map->arenas, next);
	return heap && heap->arena == job->map->states[job->region->arena].address;
}

void walk__record(struct walk *walk, uint64_t addr, const struct chunk_header *chunk,
		  enum cached_kind kind)
{
	const struct glibc_walk_job *job = walk->job;
	struct cached_chunk cached = {
		.address = addr,
		.next = reveal_link(&job->map->layout, addr + CHUNK_HEADER_BYTES, chunk->link),
		.bytes = chunk_bytes(chunk),
		.arena = job->region->arena,
		.in_tcache = kind == IN_TCACHE,
	};

	if (cached_chunks__add(job->cached, &cached))
		walk->err = -ENOMEM;
	walk->now.cached_count = job->cached->count;
}

enum cached_kind walk__cached(struct walk *walk, uint64_t addr, const struct chunk_header *chunk)
{
	const struct glibc_walk_job *job = walk->job;
	const struct glibc_layout *layout = &job->map->layout;
	enum cached_kind kind = NOT_CACHED;

	if (has_tcache_key(walk, chunk->key))
		kind = IN_TCACHE;
	else if (layout->links_mangled && chunk_bytes(chunk) <= walk->largest_fast &&
		 has_fast_link(walk, addr, chunk->link))
		kind = IN_FASTBIN;
	else if (!layout->links_mangled)
		kind = listed_kind(walk, addr);
	if (kind != NOT_CACHED && layout->links_mangled)
		walk__record(walk, addr, chunk, kind);
	return kind;
}

void walk__look_for_tcache(struct walk *walk, uint64_t addr, uint64_t bytes)
{
	const struct glibc_walk_job *job = walk->job;
	const struct glibc_window *window = &walk->window;
	uint64_t size = bytes + CHUNK_TAIL_BYTES;
	uint8_t data[TCACHE_CHUNK_MAX + CHUNK_TAIL_BYTES];

	if (addr >= window->at && addr - window->at + size <= window->have)
		memcpy(data, window->data + (addr - window->at), size);
	else if (memory__read(&walk->memory, addr, data, size))
		return;
	if (!glibc_tcache__plausible(data, bytes))
		return;
	if (glibc_tcaches__add(job->tcaches, job->memory, job->layout, addr, data, bytes) ==
	    -ENOMEM)
		walk->err = -ENOMEM;
	/* Nothing that was cached could be known as such so far. */
	else if (job->layout->key_kind != job->map->layout.key_kind)
		walk->err = -ERESTART;
}
