/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_REPORT_DIFF_H
#define MEMDRIFT_ANALYSIS_REPORT_DIFF_H

#include "analysis/report_read.h"

/*
 * What changed between two reports. Processes are paired, best evidence first; what a report does
 * not know is left out of sums, never taken as 0. A process that only one report has counts in its
 * sums, and the other's get nothing for it.
 */
enum diff_match {
	DIFF_UNMATCHED,
	DIFF_SAME_PROCESS, /* PID and start time */
	DIFF_COMM_AND_EXE,
	DIFF_EXE,
	DIFF_COMM, /* from another file, or that is not known */
	DIFF_MATCHES,
};

struct diff_change {
	int64_t a, b;
	double error; /* of the difference, 95 %: 0 exact, NAN not known */
};

/* A stack and size bucket of a pair. */
struct diff_group {
	const char *stack; /* as in struct report_group; not owned */
	int64_t min_bytes, max_bytes;
	struct diff_change bytes, count; /* the error of counts is not known by group */
};

struct diff_pair {
	const struct report_process *a, *b; /* one may be NULL */
	enum diff_match match;
	/* By name: how many of it either report had left. They are paired in the order of their
	 * start when that is more than one. */
	size_t a_alike, b_alike;
	bool live_known; /* on both sides, or on the only one */
	struct diff_change live_bytes, live_count;
	struct diff_change unlisted; /* bytes in no group of the report */
	struct diff_group *groups; /* the largest change of bytes first; none of an unmatched one */
	size_t group_count;
	/*
	 * Bytes with a frame that is known by its address alone ("[unknown]+0x…"). The same code
	 * has another address in another process: unless it is the same one, such frames are
	 * compared without it.
	 */
	struct diff_change nameless;
	struct report_group *own[2]; /* of either side, when that changed them; with their stacks */
	size_t own_count[2];
};

struct diff_totals {
	struct diff_change rss, live_bytes, live_count;
	size_t matched, only_a, only_b;
	/* Pairs of which only one report knows it: in neither sum. */
	size_t rss_left_out, live_left_out;
};

struct report_diff {
	const struct report *a, *b; /* not owned; must outlive it */
	struct diff_pair *pairs;    /* matched first, the largest change first */
	size_t pair_count;
	struct diff_totals totals;
};

/* 0 or -ENOMEM. */
int report_diff__build(struct report_diff *diff, const struct report *a, const struct report *b);
void report_diff__free(struct report_diff *diff);

int64_t diff_change__delta(const struct diff_change *change);
/* There is a change, and it is no larger than its error. */
bool diff_change__within_error(const struct diff_change *change);

bool diff_pair__rss_known(const struct diff_pair *pair);
struct diff_change diff_pair__rss(const struct diff_pair *pair);
/* "process", "comm-and-exe", "exe", "comm"; NULL of an unmatched one. */
const char *diff_match__name(enum diff_match match);

#endif
