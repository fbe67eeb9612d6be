/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_LIST_H
#define MEMDRIFT_METRICS_LIST_H

#include "metrics/metrics.h"

/* The processes of one scrape; src/metrics only. */
struct metrics_entry {
	struct metrics_subject subject;
	uint64_t bytes;  /* resident and swapped out */
	bool by_drift;   /* there because it drifts; else for its size */
	bool whole_path; /* in its labels: another has the same file name */
	char *labels;    /* owned, set by metrics_list__name: unit="…",exe="…",slot="0" */
};

struct metrics_list {
	struct metrics_entry *entries; /* room for top_max + METRICS_DRIFTING_MAX */
	size_t count, top, top_max, drifting;
	struct metrics_entry *smallest; /* of the top ones, once they are full; NULL: to be found */
	uint64_t followed;
	uint64_t unlisted, unlisted_rss_bytes, unlisted_swap_bytes;
};

/*
 * Gives each entry labels that no other one has, and sorts by them: the executable's file name, or
 * its path where two share the rest. What has none even so becomes one of the unlisted.
 */
void metrics_list__name(struct metrics_list *list);

/* Counts it as one that is not shown. */
void metrics_list__leave_out(struct metrics_list *list, const struct metrics_subject *subject);

#endif
