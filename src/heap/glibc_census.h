/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_CENSUS_H
#define MEMDRIFT_HEAP_GLIBC_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "census/check.h"
#include "census/claims.h"
#include "census/subject.h"

/*
 * All memory of glibc's malloc in a process, by walking its heaps chunk by chunk, without symbols
 * and without stopping it. Layouts of glibc 2.26 to 2.43 are told by structure, not by version.
 *
 * in use: handed to the program, chunk headers included. free: in bins, fastbins, thread caches and
 * tops. trimmable: whole resident pages in free chunks, what malloc_trim(0) would return now.
 */
struct glibc_arena {
	uint64_t address; /* of its malloc_state */
	bool is_main;
	uint32_t heaps;
	int64_t threads;       /* attached; -1: what is there cannot be their number */
	uint64_t system_bytes; /* malloc_state.system_mem */
	uint64_t in_use_bytes;
	uint64_t free_bytes;   /* cached and top included */
	uint64_t cached_bytes; /* of free: in thread caches and fastbins */
	uint64_t top_bytes;    /* of free: the top chunk */
	uint64_t trimmable_bytes;
	uint64_t largest_free_bytes; /* the top apart */
	uint64_t unwalked_bytes;     /* not resident, not consistent, or out of time */
	struct check walked;         /* bytes walked against system_bytes, arena headers apart */
};

struct glibc_census {
	char layout[32];            /* "2.35 to 2.41": whose structures these are */
	struct glibc_arena *arenas; /* main arena first, then by address; owned */
	size_t arena_count;
	int64_t arena_limit; /* -1: unknown */
	char limit_source[96];
	bool ring_closed; /* the arenas' own list gave the same number */

	/* Sums over the arenas; chunks of their own mapping are apart. */
	uint64_t system_bytes, in_use_bytes, free_bytes, cached_bytes, top_bytes, trimmable_bytes,
		unwalked_bytes;
	/* Half width of the interval that holds the true in-use bytes, from how much changed or
	 * stayed unwalked; 0 when the process stood still. */
	uint64_t in_use_error_bytes;
	bool stood_still; /* two looks gave the same */
	uint32_t walks;

	uint64_t mmapped_chunks, mmapped_bytes; /* each chunk a mapping of its own */
	struct check mmapped;                   /* bytes against mp_.mmapped_mem */
	uint64_t mmap_threshold_bytes;          /* 0: unknown */
	uint64_t trim_threshold_bytes;          /* 0: unknown */
	uint32_t tcaches;                       /* thread caches found */
};

/* Bounds of one reading. */
struct glibc_bounds {
	uint64_t time_ns;        /* for all of it; 0: GLIBC_TIME_NS */
	uint64_t bytes_per_heap; /* read at most, as a multiple of a heap's size in percent; 0: 400
				  */
};
#define GLIBC_TIME_NS (5000ULL * 1000 * 1000)

/*
 * Reads all of it and claims its memory. bounds may be NULL. 0; -ENOENT: glibc's malloc is not
 * mapped or was never used (reason, a constant, says which); -ESRCH, -ENOMEM.
 * *out is owned by the caller, freed with glibc_census__free.
 */
int glibc_census__read(struct subject *subject, const struct glibc_bounds *bounds,
		       struct claims *claims, struct glibc_census *out, const char **reason);
void glibc_census__free(struct glibc_census *census);

#endif
