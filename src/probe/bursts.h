/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_BURSTS_H
#define MEMDRIFT_PROBE_BURSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "memdrift/config.h"
#include "model/estimate.h"

struct coverage;
struct tracer;

/*
 * The governors of a trace at work: a thread of its own reads what each process has paid and takes
 * its probes off and puts them on again, because whoever reads the ring can be busy for seconds
 * (with the pages of a large process, with the symbols of a large program) while a program turns
 * hot. With COVERAGE_EACH every process has a governor, with COVERAGE_ALL one is for all.
 *
 * Everything may be called from any thread; only bursts__new and bursts__free not twice at a time.
 */
struct bursts;

/*
 * budget: share of CPU time; negative: probes stay, only accounts are kept. Both outlive it. Starts
 * nothing before the first bursts__add. NULL: out of memory, or no thread can be had.
 */
struct bursts *bursts__new(struct tracer *tracer, struct coverage *coverage, double budget);
/* Ends the thread. Probes stay as they are. NULL is fine. */
void bursts__free(struct bursts *bursts);

/*
 * A process has its probes (or, when they are paused for all, is going to have them). from_birth:
 * all of its CPU time is known to count; else what it used before now does not. Known ones stay as
 * they are.
 */
void bursts__add(struct bursts *bursts, uint32_t pid, uint64_t start_ns, bool from_birth);

/* What is known of one process at its end, or at the end of the trace. */
struct bursts_view {
	bool was_detached;
	double cost_ns;                 /* hits x cost */
	double cpu_ns;                  /* that it used meanwhile */
	struct alloc_estimate estimate; /* valid when was_detached */
};

/*
 * The end of the trace: closes the windows, so that views and totals stay what they are, and
 * attaches and detaches no more. Probes stay as they are.
 */
void bursts__stop(struct bursts *bursts);
/* After bursts__stop. -ENOENT when it is not known. */
int bursts__view(struct bursts *bursts, uint32_t pid, uint64_t start_ns, struct bursts_view *view);
/*
 * At any time: the process has ended. The view of it, and it is forgotten. cpu_ns is all that it
 * used in its life, 0 when unknown; counts are its last ones, NULL when unknown. 0 or -ENOENT.
 */
int bursts__end(struct bursts *bursts, uint32_t pid, uint64_t start_ns, double cpu_ns,
		const struct alloc_counts *counts, struct bursts_view *view);

/*
 * Whether its probes ever were off since the process was added, and since when (CLOCK_MONOTONIC):
 * what it allocated and freed from then on was not all seen. False for one that is not known.
 */
bool bursts__was_detached(struct bursts *bursts, uint32_t pid, uint64_t start_ns,
			  uint64_t *since_ns);

/* Of all processes together, ended ones included; as of the last looks at each. */
struct bursts_totals {
	double cost_ns;
	double cpu_ns;
	double attach_ns; /* of cost_ns: what attaching cost the targets, hits outside windows */
	double detach_ns; /* and what detaching did */
	uint64_t bursts;  /* windows that began after a gap */
	uint64_t detached_ns; /* CLOCK_MONOTONIC, of the first detach; 0: there was none */
	uint32_t detached;    /* processes that ever were */
};
void bursts__totals(struct bursts *bursts, struct bursts_totals *totals);

#endif
