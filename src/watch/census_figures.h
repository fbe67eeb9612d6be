/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_CENSUS_FIGURES_H
#define MEMDRIFT_WATCH_CENSUS_FIGURES_H

#include <stdint.h>

/*
 * What watch keeps of a census (census/explanation.h): fixed size, no pointers, so that it crosses
 * a pipe. SERIES_UNKNOWN (-1) where a figure is not known.
 */
#define CENSUS_ROWS_MAX 8
#define CENSUS_ROW_NAME 24

struct census_row {
	char name[CENSUS_ROW_NAME]; /* of the ledger's component, as in explain: "malloc-arenas" */
	int64_t resident_bytes, swapped_bytes;
};

struct census_figures {
	/* Resident bytes by the ledger; all unknown unless it agrees. */
	int64_t brk, arena_resident, direct_mapping, thread_stack;
	/* glibc's arenas; committed without the main one, whose heap is brk. */
	int64_t arena_committed, arenas;
	/*
	 * What the program holds of malloc: glibc's chunks in use in arenas and those with a
	 * mapping of their own; or jemalloc's stats.allocated, or what another allocator's
	 * structures say. "Outstanding" of malloc, whole: it grows with a leak of large blocks as
	 * well. free: glibc's free chunks in arenas; jemalloc's active less allocated.
	 */
	int64_t malloc_in_use, malloc_free;
	int64_t malloc_in_use_error; /* half width, from what changed or was not walked; 0 exact */
	int64_t malloc_mmapped;      /* of in_use: chunks with a mapping of their own */
	int64_t go_heap, go_alloc, go_idle;

	int64_t arena_limit;
	char arena_limit_source[96]; /* "8 x 2 online CPUs" */
	char malloc_owner[32];       /* "glibc", "jemalloc", ...; "" unknown */
	int64_t limit_bytes;         /* of the control group; -1 none or unknown */
	double cpu_quota;            /* CPUs; 0 none */
	int32_t cpus_online, cpuset_cpus;

	uint8_t ledger_agrees; /* 0, 1: its sum is the kernel's, or off by under 1 MiB or 1 % in a
				* process at work */
	int64_t rss_bytes;     /* that the ledger sums up to */
	int64_t swap_bytes;
	/* The largest, greatest first. */
	uint32_t row_count;
	struct census_row rows[CENSUS_ROWS_MAX];

	uint64_t start_time; /* ticks, of the process that was read */
	uint64_t bytes_read; /* of its memory */
};

/* Reads a process: 0 or a negative errno, as explanation__read. Takes as long as that does. */
int census_figures__read(uint32_t pid, struct census_figures *out);

struct explanation;
void census_figures__of(const struct explanation *explanation, struct census_figures *out);

#endif
