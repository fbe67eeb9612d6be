/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_BURST_LOG_H
#define MEMDRIFT_ANALYSIS_BURST_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/config.h"
#include "model/estimate.h"

/*
 * What was seen of one process in bursts, and what that says of the time between them.
 *
 * A burst slows its program down: n calls in a window are a rate of n / (CPU time - n x cost of a
 * hit), per CPU second as it would have been without probes. Bursts begin at moments that do not
 * depend on what the program does then, counted in its CPU time; they do not end so (a busy moment
 * uses the budget up sooner). So the begin of each window stands for the gap before it, whatever
 * the window's length.
 */

/*
 * By how much the cost of a hit in a program differs from the calibrated one. Calibration itself
 * varies by some percent and its loop has everything in the cache: measured in programs 1.02 to
 * 1.32. The middle is GOVERNOR_HIT_FACTOR.
 */
#define BURST_COST_LOW  0.85
#define BURST_COST_BEST 1.15
#define BURST_COST_HIGH 1.5

/* The begin of a window: as much CPU time, or all of it when it ends before. */
#define BURST_BEGIN_NS 50e6
/*
 * A CPU clock is as old as the last tick where the program runs on another CPU: 4 ms at the 250 Hz
 * of most distributions. A window's CPU time is off by 1.6 ms (the difference of two uniform
 * errors), so windows are taken together until what is left after the cost is 10 times that.
 */
#define BURST_CLOCK_ERROR_NS 1.6e6
#define BURST_CLOCK_FACTOR   10

/*
 * Windows kept: 4 minutes of the fastest bursts apart from each other. Then neighbours are merged,
 * two by two.
 */
#define BURST_WINDOWS_MAX 1024

struct burst_window {
	double gap_ns;  /* CPU time less cost since the window before */
	double cpu_ns;  /* of the window's begin */
	double cost_ns; /* of the hits in it, as calibrated */
	double calls;
};

/* Totals since any fixed moment. */
struct burst_reading {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	double cpu_ns;
	double cost_ns; /* of all hits, as calibrated */
	const struct alloc_counts *counts;
};

/* Weights by which what was seen in windows stands for the gaps. */
struct burst_shares {
	double rows[CALL_ROWS];
	double requests[SIZE_BUCKETS];
	double bytes[SIZE_BUCKETS];
};

struct burst_log {
	struct burst_window *windows;
	uint32_t count, room;
	uint32_t bursts;
	bool open;
	bool began;       /* the begin of the open window is in the list */
	double gap_ns;    /* before the open window */
	uint64_t from_ns; /* the first window's begin */
	/* At the edges: of the open window, of the last one closed. */
	uint64_t opened_ns;
	double opened_cpu_ns, opened_cost_ns, closed_cpu_ns, closed_cost_ns;
	double first_cpu_ns, first_cost_ns;
	struct alloc_counts opened;
	/* Sums over closed windows. */
	double window_ns, window_cpu_ns, window_cost_ns, window_calls;
	struct burst_shares seen, unseen;
};

/* Follows a process from this moment on, which is before the first window; counts are not used. */
void burst_log__init(struct burst_log *log, const struct burst_reading *reading);
void burst_log__free(struct burst_log *log);

/* All probes are in place: a window begins. */
void burst_log__open(struct burst_log *log, const struct burst_reading *reading);
/* To be called now and then inside a window. */
void burst_log__look(struct burst_log *log, const struct burst_reading *reading);
/* The probes are about to be taken off, or the trace ends. No window open: nothing happens. */
void burst_log__close(struct burst_log *log, const struct burst_reading *reading);

/* `end`: at the end of the trace, or the process's; counts may be NULL. The log must be closed. */
void burst_log__estimate(const struct burst_log *log, const struct burst_reading *end,
			 struct alloc_estimate *estimate);

#endif
