/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CENSUS_INTERNAL_H
#define MEMDRIFT_CENSUS_CENSUS_INTERNAL_H

#include <uthash.h>

#include "census/census.h"
#include "census/glibc_arenas.h"
#include "census/heads.h"
#include "census/page_runs.h"
#include "census/pagemap.h"

struct reading_key {
	uint64_t start_ns;
	uint64_t pid; /* 64 bits: no padding, the key is compared as bytes */
};

/* What is kept of the last reading of a process. */
struct reading {
	UT_hash_handle hh;
	struct reading_key key;
	uint64_t read_ns; /* CLOCK_MONOTONIC; 0 before the first */
	uint64_t cost_ns; /* CPU time of the last one */
	struct glibc_arenas arenas;
	struct page_runs runs;
	struct heads heads;
	int go_heap;            /* enum go_heap, or a negative errno */
	uint32_t go_heap_execs; /* how many programs it had loaded then */
};

struct census {
	uint64_t started_ns;
	uint64_t smallest_bytes; /* of the sizes of large mappings */
	struct reading *readings;
	uint64_t cost_ns;
	struct { /* the process that was asked about last: reports ask many things of each */
		struct reading_key key;
		struct pagemap *pm;
	} live;
};

struct reading *census__reading(const struct census *census, const struct process *process);

#endif
