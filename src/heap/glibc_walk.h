/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_WALK_H
#define MEMDRIFT_HEAP_GLIBC_WALK_H

#include <stdint.h>

#include "census/subject.h"
#include "heap/glibc_cached.h"
#include "heap/glibc_cells.h"
#include "heap/glibc_regions.h"

/* What the chunks of a region, or of an arena, add up to. */
struct glibc_tally {
	uint64_t in_use_bytes;
	uint64_t free_bytes; /* in bins */
	uint64_t cached_bytes;
	uint64_t top_bytes;
	uint64_t trimmable_bytes;
	uint64_t largest_free_bytes;
	uint64_t overhead_bytes; /* heap headers, arenas, fenceposts */
	uint64_t unwalked_bytes;
	uint64_t torn_bytes;   /* of free chunks whose two ends did not agree, after all tries */
	uint64_t listed_bytes; /* of cached ones: in fastbins by a list that was read before */
	uint64_t skipped_front_bytes; /* before the main arena's first chunk */
};

void glibc_tally__add(struct glibc_tally *sum, const struct glibc_tally *more);

/* Everything that the walk of one region works with. */
struct glibc_walk_job {
	const struct subject *subject;
	const struct glibc_map *map;
	const struct glibc_region *region;
	struct memory *memory;  /* its bounds hold; counts are added to it */
	uint32_t bytes_percent; /* read at most, of the region's size */
	const uint64_t *listed; /* cached_lists__read */
	size_t listed_count;
	struct glibc_layout *layout;   /* learns */
	struct glibc_tcaches *tcaches; /* those that are found are added */
	struct cached_chunks *cached;  /* as well */
	struct glibc_cells *cells;     /* as well */
};

/*
 * Walks a region chunk by chunk. A process that runs changes it meanwhile: where two chunks do not
 * fit it goes back to one that did and reads again, three times, then looks for the next place
 * where a chain of chunks begins and leaves out what lies between. 0 (bounds that were reached
 * included: what is left is unwalked), -ERESTART (a thread's cache taught how cached chunks are
 * known, which the walk did not know), -ESRCH, -ENOMEM.
 */
int glibc_walk__region(const struct glibc_walk_job *job, struct glibc_tally *tally);

#endif
