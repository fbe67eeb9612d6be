/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_GOVERNOR_H
#define MEMDRIFT_PROBE_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Keeps what tracing costs a program to a share of its CPU time. A program that stays below the
 * budget keeps its probes. Otherwise they come for a window and go for a gap, both planned when the
 * window before has ended, from what windows have cost on average: so when a window begins, and
 * when it ends, does not depend on what the program does at that moment, and windows are a fair
 * sample of its CPU time. Only a window that costs far more than planned is cut.
 *
 * An account sees to it that the budget holds: CPU time pays into it at the budget's rate, hits are
 * charged to it. Its balance stretches and shortens the gaps, and without credit no window begins.
 *
 * Arithmetic alone: no clock, no BPF. One governor is for one program, or for several that share
 * their probes (readings are then the sums). Times are nanoseconds.
 */

/*
 * What a window is planned to cost. A program that does nothing but malloc stands still for so
 * long, so it is no more than a scheduler's time slice; 10 to 20 times the price of an attach and
 * detach on 6.18.
 */
#define GOVERNOR_BURST_NS 10e6
/*
 * Where attaching itself costs more (perf links of 6.1, one site after the other), windows are
 * longer and rarer, up to this.
 */
#define GOVERNOR_BURST_MAX_NS 200e6
/* A window is cut when it costs so many times what was planned. */
#define GOVERNOR_CUT_FACTOR 3
/* The first look at a program of which nothing is known is cut at this cost. */
#define GOVERNOR_FIRST_LOOK_NS 3e6
/* CPU time of a window, at most: what is known of the program is not older than that. */
#define GOVERNOR_WINDOW_MAX_NS 1e9
/* Credit is kept for this much CPU time: an idle hour does not buy three minutes of standstill. */
#define GOVERNOR_KEPT_CPU_NS 1e9
/*
 * What a hit costs in a program, against the calibrated cost in a loop that does nothing else:
 * measured 1.02 (all in the cache) to 1.32 (1 MB read between two calls) on 6.18.
 */
#define GOVERNOR_HIT_FACTOR 1.15
/*
 * What the target pays for an attach and the detach after it besides hits: a copied page per site,
 * interrupts that flush its TLB, hits of a breakpoint whose program is gone already. Measured 0.2
 * to 0.4 ms for the 9 sites of libc on 6.18 (the 8 and 30 ms that the calls take are memdrift's
 * own).
 */
#define GOVERNOR_EDGE_NS 0.3e6

/* Totals since any fixed moment. */
struct governor_reading {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	double cpu_ns;   /* of all threads */
	double cost_ns;  /* hits, stacks and frames, each x its calibrated cost */
};

enum governor_verdict { GOVERNOR_STAY, GOVERNOR_ATTACH, GOVERNOR_DETACH };

struct governor {
	double budget; /* share of CPU time; negative: no limit */
	bool attached;
	bool was_detached;
	uint64_t random;
	struct governor_reading last;
	double credit_ns;
	double balance_ns; /* the credit of late, when windows ended */
	double price_ns;   /* of an attach and the detach after it, as paid of late */
	bool paid;         /* that is known */
	double share;      /* of a window's CPU time that was cost, of late */
	uint32_t windows;  /* that `share` is the average of */
	bool calm;         /* no gaps: it keeps to the budget */
	/* The window: begun at, and planned to take so much CPU time. */
	struct governor_reading begun;
	double window_ns;
	/* The gap: the CPU clock at which the next window begins. */
	double begin_at_ns;
	double edge_ns; /* cost when the last window ended */
	/* CPUs in use of late. */
	double cpus;
	struct governor_reading cpus_from;
};

/* seed: gaps are of random length, so that a periodic program does not hide in them. */
void governor__init(struct governor *governor, double budget, uint64_t seed);

/* The probes are in place since `reading`, for the first time. */
void governor__start(struct governor *governor, const struct governor_reading *reading);

/* What is to be done now. The caller does it and tells of it, or tries again at the next look. */
enum governor_verdict governor__update(struct governor *governor,
				       const struct governor_reading *reading);

/* The probes are in place again; `before` was read before their attaching began. */
void governor__attached(struct governor *governor, const struct governor_reading *before,
			const struct governor_reading *reading);
/* They are being taken off. */
void governor__detached(struct governor *governor, const struct governor_reading *reading);

/* When governor__update wants to be asked again at the latest, CLOCK_MONOTONIC. */
uint64_t governor__look_ns(const struct governor *governor);

#endif
