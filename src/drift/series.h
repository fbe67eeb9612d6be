/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_SERIES_H
#define MEMDRIFT_DRIFT_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "drift/component.h"

#define SERIES_UNKNOWN (-1) /* of any value: what is known is never negative */

struct sample {
	double t_s; /* since the series' start */
	uint32_t pid;
	uint64_t start_time; /* with the pid: which process it was; any unit, compared only */
	int64_t value[COMPONENT_MAX];
};

/*
 * One process, or its successors under one identity, over time. Samples ascend in t_s; their
 * distance may change (history is decimated as it ages) and there are gaps.
 */
struct series {
	char *name; /* owned */
	double interval_s;
	double start_unix;
	int64_t limit_bytes; /* of its control group; SERIES_UNKNOWN: none, or not known */
	int64_t arena_limit; /* as glibc has it; SERIES_UNKNOWN */
	double cpus;         /* 0: unknown */
	struct sample *samples;
	size_t count, room;
};

void series__init(struct series *series);
/* A copy is taken. 0, -ENOMEM, -EINVAL when it does not lie after the last one. */
int series__add(struct series *series, const struct sample *sample);
/* All components unknown. */
void sample__init(struct sample *sample, double t_s);
/* What the arena limit is, when it is not told glibc's own on 64 bit: 8 for each processor of the
 * host (malloc/arena.c, NARENAS_FROM_NCORES). NAN: neither is known. */
double series__arena_limit(const struct series *series);
void series__free(struct series *series);

#endif
