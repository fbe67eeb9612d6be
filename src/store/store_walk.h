/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_WALK_H
#define MEMDRIFT_STORE_STORE_WALK_H

#include <stdint.h>

#include "drift/component.h"

/*
 * A subject's values over time, from what the database has of it: rows, each in force until the
 * next one; lives, when there was a process; and runs of passes, when somebody looked. All times
 * in ms of Unix time, all of it hostile (a file of anybody's).
 */
struct walk_row {
	int64_t t_ms;
	int64_t value[COMPONENT_MAX]; /* SERIES_UNKNOWN */
	int64_t rss_min, rss_max;
};

struct walk_life {
	int64_t begin_ms, end_ms; /* end INT64_MAX: goes on */
	uint64_t start_time;
	uint32_t pid;
};

struct walk_run {
	int64_t begin_ms, end_ms; /* of the first and the last pass of count */
	int64_t count;
};

/* What was in a bucket of time: of the life that was longest in it. */
struct walk_bucket {
	int64_t begin_ms;
	double t_ms; /* the mean of the time that is covered */
	struct walk_life life;
	struct walk_row mean; /* by time; of a component in which it is known */
};

/*
 * Each gives the next one in order of time: 1, 0 at the end, or a negative errno. Width is how
 * long the bucket is that the time lies in; 0: a bucket for each row, and for each pass between.
 * emit's errors end the walk.
 */
struct walk_source {
	int (*row)(void *ctx, struct walk_row *row);
	int (*life)(void *ctx, struct walk_life *life);
	int (*run)(void *ctx, struct walk_run *run);
	int64_t (*width_ms)(void *ctx, int64_t t_ms);
	int (*emit)(void *ctx, const struct walk_bucket *bucket);
	void *ctx;
};

/* In [from, to); from is moved back to the beginning of its bucket. 0 or a negative errno. */
int store_walk(const struct walk_source *source, int64_t from_ms, int64_t to_ms);

#endif
