/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_FAMILIES_H
#define MEMDRIFT_METRICS_FAMILIES_H

#include "metrics/metrics.h"

/* The parts of metrics__write, in their order; src/metrics only. */
void metrics__write_processes(const struct metrics *metrics, FILE *out);
void metrics__write_incidents(const struct metrics *metrics, FILE *out);
void metrics__write_own(const struct metrics *metrics, FILE *out);

#endif
