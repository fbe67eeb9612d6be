/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_EXPOSITION_H
#define MEMDRIFT_METRICS_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

/*
 * The text format's lines (prometheus.io, "Exposition formats", version 0.0.4); src/metrics only.
 * labels: "key=\"value\",…" with the values escaped, or NULL.
 */
void exposition__begin(FILE *out, const char *name, const char *type, const char *help);
void exposition__count(FILE *out, const char *name, const char *labels, uint64_t value);
void exposition__number(FILE *out, const char *name, const char *labels, double value);
/* ns as seconds. */
void exposition__ns(FILE *out, const char *name, const char *labels, uint64_t ns);

#endif
