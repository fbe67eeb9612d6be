/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_GROWTH_H
#define MEMDRIFT_ANALYSIS_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/process.h"

/* Which part of a process's resident memory moved during the trace. */
enum growth_part {
	GROWTH_ARENAS,
	GROWTH_DIRECT,
	GROWTH_BRK,
	GROWTH_GO_HEAP,
	GROWTH_THREAD_STACKS,
	GROWTH_FILES,
	GROWTH_OTHER,   /* read, and none of the above */
	GROWTH_UNKNOWN, /* RSS less all of the above */
	GROWTH_PARTS
};

struct growth {
	bool rss_known;    /* RSS was sampled at least once */
	bool moved_known;  /* both readings exist: `moved` holds; else only `held` may */
	bool held_known;   /* the reading at the end exists: `held` holds */
	int64_t rss_bytes; /* last sample less first */
	int64_t moved[GROWTH_PARTS];
	int64_t held[GROWTH_PARTS]; /* at to_s; UNKNOWN is negative when RSS fell since */
	double from_s;              /* `moved` is of this time of the trace */
	double to_s;                /* to this, when `held` was read */
	/*
	 * RSS was sampled first or last at another moment than the parts were read, and can have
	 * moved in between: UNKNOWN holds that as well, and is not what nobody could explain.
	 */
	bool is_partial;
};

/* "malloc arenas", "direct mappings", ... */
const char *growth_part__name(enum growth_part part);

void growth__measure(const struct process *process, struct growth *growth);

/*
 * The answer in a sentence or two, NUL-terminated, cut to size (384 suffices):
 * "+560.0 MB in malloc arenas, +44.0 MB in the brk heap; the Go heap holds none of it (+0.1 MB)."
 * `is_go`: the program is a Go program, whose heap is named even when it did not move.
 */
void growth__sentence(const struct growth *growth, bool is_go, char *buf, size_t size);

/* Bytes mapped since the trace began that are still mapped: the total of unreleased_bytes. */
uint64_t process__unreleased_bytes(const struct process *process);
/* Requests for mappings of which some byte still is; the brk area is one. */
uint64_t process__unreleased_count(const struct process *process);

#endif
