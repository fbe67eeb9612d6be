/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_BUDGET_H
#define MEMDRIFT_PROBE_BUDGET_H

#include <stdbool.h>

/*
 * What tracing costs one process: its probe hits, each at the cost measured for its kind of site,
 * as a share of the CPU time that the process used meanwhile.
 *
 * CPU time comes in ticks of 10 ms, so a share is formed over at least this much of it: an error
 * of one tick at each end is then at most 20 % of the share.
 */
#define BUDGET_WINDOW_NS 100e6

struct budget_meter {
	bool started;
	double cost_ns, cpu_ns; /* at the start of the window */
	double first_cost_ns, first_cpu_ns, last_cost_ns, last_cpu_ns; /* of the whole time */
};

/*
 * cost_ns and cpu_ns are totals since any fixed moment. True when the share of the window that
 * just filled is over `limit`; false while it fills, and when limit is negative (no limit).
 */
bool budget_meter__update(struct budget_meter *meter, double cost_ns, double cpu_ns, double limit);

/* For a process that is known from its birth; otherwise the first update starts the meter. */
void budget_meter__start(struct budget_meter *meter, double cost_ns, double cpu_ns);

/* Adds what the process paid, and the CPU time that it used meanwhile, as of the last update. */
void budget_meter__add(const struct budget_meter *meter, double *cost_ns, double *cpu_ns);

#endif
