/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_OWN_COST_H
#define MEMDRIFT_WATCH_OWN_COST_H

#include <stdint.h>

/* What watch itself costs, and what it missed; all counts since it started. */
#define WATCH_LOSSES(X)                                                                   \
	X(passes_late, "passes that began more than an interval late")                    \
	X(processes_gone, "processes that ended while they were read")                    \
	X(subjects_dropped, "processes not followed: more than watch may hold")           \
	X(censuses_failed, "readings of a process's heaps that failed or did not agree")  \
	X(censuses_deferred, "readings of heaps put off: the budget was spent")           \
	X(bursts_failed, "bursts of tracing that brought no evidence")                    \
	X(oom_unplaced, "kills for memory whose process was not found, or not its group") \
	X(oom_records, "records of killed processes that found the ring buffer full")     \
	X(evidence_dropped, "files of evidence that were too large to keep")              \
	X(store_errors, "intervals that could not be written to the database")

#define WATCH_LOSS_ENUM(name, text) WATCH_LOSS_##name,
enum watch_loss { WATCH_LOSSES(WATCH_LOSS_ENUM) WATCH_LOSS_MAX };
#undef WATCH_LOSS_ENUM

struct own_cost {
	uint64_t cpu_ns;          /* of watch itself */
	uint64_t children_cpu_ns; /* of its censuses and bursts */
	uint64_t rss_bytes;
	uint64_t bpf_map_bytes;
	uint64_t passes, pass_ns; /* and the CPU time of all of them */
	uint64_t looks, look_ns;  /* judgements */
	double look_overdue_s; /* of the look that waits longest for the budget, in series' time */
	uint64_t censuses, census_ns;
	uint64_t bursts;
	double hit_tax_ns; /* what every system call of the host pays while mapping probes are on */
	uint64_t losses[WATCH_LOSS_MAX];
};

/* Brings cpu_ns, children_cpu_ns (of those that were waited for) and rss_bytes up to date. */
void own_cost__read(struct own_cost *cost);
/* Memory of all BPF maps that this process has open, as the kernel accounts it (memlock in
 * /proc/self/fdinfo). Reads a file for each open descriptor: for after attaching, not for passes.
 */
uint64_t own_cost__bpf_map_bytes(void);

#endif
