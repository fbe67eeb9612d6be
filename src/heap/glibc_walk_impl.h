/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_WALK_IMPL_H
#define MEMDRIFT_HEAP_GLIBC_WALK_IMPL_H

#include "heap/glibc_walk.h"
#include "heap/glibc_window.h"

/* struct malloc_chunk (malloc/malloc.c), as far as the walk needs it. */
struct chunk_header {
	uint64_t prev_bytes; /* only when the chunk before is free */
	uint64_t size;       /* and three flags */
	uint64_t link;       /* of a cached chunk: the next one on its list */
	uint64_t key;        /* of a chunk in a tcache */
};

enum {
	PREV_INUSE = 1,
	IS_MMAPPED = 2,
	SIZE_FLAGS = 7,
	CHUNK_MIN_BYTES = 32,
	FENCEPOST_BYTES = 16,
};

static inline uint64_t chunk_bytes(const struct chunk_header *chunk)
{
	return chunk->size & ~(uint64_t)SIZE_FLAGS;
}

/* All of a walk that a step back restores. */
struct walk_place {
	uint64_t at;         /* the chunk that comes next */
	uint64_t free_start; /* where the free memory in front of it begins; 0: in use */
	size_t cached_count;
	size_t cell_count;
	uint64_t cell,
		in_use_before; /* the cell that is being filled, and what was in use before it */
	struct glibc_tally tally;
};

/* Chunks in use that a step back can go to, some KB apart. */
#define WALK_MARKS 16

struct walk {
	const struct glibc_walk_job *job;
	struct memory memory;  /* the region's own bounds */
	struct page_runs runs; /* its pages, when they were read again */
	struct glibc_window window;
	uint64_t end, limit;   /* of the region, as they are now */
	uint32_t largest_fast; /* chunks up to this size may be in fastbins; 0: none */
	uint64_t tcache_max;   /* chunks up to this size may be in a tcache */
	uint64_t key;          /* that of all thread caches; 0: each has its own, or none */
	bool look_at_all;      /* nothing in a chunk tells at once that it is not cached */
	size_t listed;         /* the first entry of job->listed that is not behind us */

	struct walk_place now;
	struct walk_place marks[WALK_MARKS];
	size_t mark_count; /* ever made */
	uint64_t failed_at;
	uint32_t tries;      /* at failed_at */
	uint32_t page_reads; /* how often its pages were read again */
	uint32_t map_reads;  /* and how often its mappings */
	int err;
};

/* The chunk at addr as it is now; false, with walk->err, when it cannot be read. */
bool walk__fetch(struct walk *walk, uint64_t addr, struct chunk_header *out);

/* A header can be that of a chunk at addr. */
static inline bool header_is_plausible(const struct walk *walk, uint64_t addr, uint64_t size)
{
	uint64_t bytes = size & ~(uint64_t)SIZE_FLAGS;

	return bytes >= CHUNK_MIN_BYTES && !(size & (8 | IS_MMAPPED)) && bytes <= walk->end - addr;
}

/* The place of now becomes one to come back to, and may begin another cell. */
void walk__mark(struct walk *walk);
/* What is in use of the cell that is being filled goes on record. */
void walk__close_cell(struct walk *walk);

/* The chunk at now.at, whose header is good, and those behind it up to the region's end. */
void walk__chunks(struct walk *walk, struct chunk_header chunk);

/* Marks are this far apart at least: 16 of them reach over several short windows. */
#define MARK_BYTES 2048

/* The chunk at now.at, of `bytes`, in use or not, goes into the sums. */
void walk__count(struct walk *walk, const struct chunk_header *chunk, uint64_t bytes, bool in_use);

/* The chunks in the window, up to the first that does not fit or reaches out of it, or walk->err.
 * The one at now fits. */
void walk__window(struct walk *walk);

/*
 * The chunk at `failed` (or its header) does not follow from that at now.at. Moves now to where to
 * go on and gives that chunk; false when the walk is over.
 */
bool walk__recover(struct walk *walk, uint64_t failed, struct chunk_header *chunk);

/*
 * Where the region ends now. It may have grown since its mappings were read, and may say to have
 * grown when it has not: they are read again before anything behind them is believed.
 */
uint64_t walk__end_now(struct walk *walk);

/* How often the same place is read again. */
#define WALK_TRIES 3

/* Whether chunks follow each other from addr on; the first of them. */
bool walk__chain_begins(struct walk *walk, uint64_t addr, struct chunk_header *chunk);

/* Leaves out what lies between `from` and the next chain of chunks. */
bool walk__resync(struct walk *walk, uint64_t from, struct chunk_header *chunk);

/* Free memory ends at addr: what malloc_trim would return of it is added. */
void walk__close_free(struct walk *walk, uint64_t addr);
/* The last chunk of the region, which is the arena's top. */
void walk__close_top(struct walk *walk, uint64_t bytes);

/* Cached, by what it holds or by the lists: adds it to the chunks on record. */
enum cached_kind { NOT_CACHED, IN_FASTBIN, IN_TCACHE };
enum cached_kind walk__cached(struct walk *walk, uint64_t addr, const struct chunk_header *chunk);
/* Adds one whose links are mangled; walk->err when there is no memory for it. */
void walk__record(struct walk *walk, uint64_t addr, const struct chunk_header *chunk,
		  enum cached_kind kind);
/* Looks whether a chunk in use is a thread's cache. */
void walk__look_for_tcache(struct walk *walk, uint64_t addr, uint64_t bytes);

#endif
