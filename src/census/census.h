/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CENSUS_H
#define MEMDRIFT_CENSUS_CENSUS_H

#include <stdint.h>

#include "analysis/large.h"
#include "model/process.h"

/*
 * Readings of processes during a trace, and what is kept of the last one for when the process has
 * ended: residency by part, arenas and their limit, and of every large mapping the resident bytes
 * and the first words. Nothing here stops or changes a process.
 */
struct census;

/* started_ns: CLOCK_MONOTONIC when the trace began; times in struct residency count from it.
 * sizes: as --large, copied. NULL when memory is out. */
struct census *census__new(uint64_t started_ns, const uint64_t *sizes, size_t size_count);
void census__free(struct census *census);

/*
 * Reads one process now and fills at_start (the first time), at_end and arenas.present, .limit and
 * .limit_source of it. *cost_ns: how long that took, so that the caller can space readings out.
 * 0, -ESRCH when it has ended or its pid is another's, -ENODATA for a kernel thread, -EACCES,
 * -ENOMEM: all then stays as the last reading left it. cost_ns may be NULL.
 */
int census__read(struct census *census, struct process *process, uint64_t *cost_ns);

/*
 * The same when it is time: at most `share` (0.01: one per cent) of the time since the trace began
 * is spent on all readings together, the largest processes' not more often than it takes.
 * Returns 1 when it was read, 0 when it was not yet time, or a negative errno.
 */
int census__read_if_due(struct census *census, struct process *process, double share);

/* Drops what is kept of a process. */
void census__forget(struct census *census, const struct process *process);

/* CPU time spent on all readings, in ns. */
uint64_t census__cost_ns(const struct census *census);

/* Of its executable: an enum go_heap, or a negative errno. Told once per program. */
int census__go_heap(struct census *census, const struct process *process);

/* Callbacks for large__choose. Running processes are asked live, ended ones from what is kept.
 * Valid as long as the census. */
void census__large_facts(struct census *census, struct large_facts *facts);

#endif
