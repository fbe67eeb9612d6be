/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_METRICS_FAMILY_H
#define MEMDRIFT_METRICS_FAMILY_H

#include <stdint.h>
#include <stdio.h>

/*
 * The text format's lines (prometheus.io, "Exposition formats", version 0.0.4); src/metrics only.
 * labels: "key=\"value\",…" with the values escaped, or NULL.
 */
void family__begin(FILE *out, const char *name, const char *type, const char *help);
void family__count(FILE *out, const char *name, const char *labels, uint64_t value);
void family__number(FILE *out, const char *name, const char *labels, double value);
/* ns as seconds. */
void family__ns(FILE *out, const char *name, const char *labels, uint64_t ns);

#endif
