/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_CENSUS_CHILD_H
#define MEMDRIFT_WATCH_CENSUS_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/child.h"
#include "drift/series.h"
#include "watch/census_figures.h"

/*
 * A census of one process, read in a process of our own: what reads hostile memory has bounds that
 * the kernel keeps, and watch never waits for it.
 */
#define CENSUS_CPU_S_MAX 20
/* Beyond what is mapped: heaps of 4 GB take 64 MB. */
#define CENSUS_MEMORY_BYTES_MAX (512ull << 20)
#define CENSUS_NS_MAX           (30ull * 1000000000) /* of wall time; then it is killed */

struct census_child {
	struct child child; /* .fd is to be polled for POLLIN; child.pid 0: none runs */
	uint32_t pid;       /* whom it reads */
	uint64_t start_time;
	uint64_t deadline_ns; /* monotonic_ns: finish is to be called then at the latest */
	uint32_t received;    /* bytes of the answer that are here */
	struct census_answer {
		int32_t err;
		struct census_figures figures;
	} answer;
};

/* 0 or a negative errno of making a process. */
int census_child__start(struct census_child *census, uint32_t pid, uint64_t start_time);
static inline bool census_child__runs(const struct census_child *census)
{
	return census->child.pid > 0;
}

/*
 * When the fd is readable or the deadline is over; never waits. -EAGAIN: not yet. Else it is over,
 * the child is gone, *cpu_ns is the CPU time it took, and the result is 0 with *out set, or
 * -ESRCH (the process ended, or another has its pid), -ETIMEDOUT, -EPIPE (it was killed by its
 * bounds, or crashed), or what explanation__read gave.
 */
int census_child__finish(struct census_child *census, uint64_t now_ns, struct census_figures *out,
			 uint64_t *cpu_ns);
/* Ends it, whatever it does; nothing when none runs. */
void census_child__stop(struct census_child *census);

/* Into the COMPONENTS_CENSUS of a sample; the others stay. */
void census_figures__into(const struct census_figures *figures, struct sample *sample);

#endif
