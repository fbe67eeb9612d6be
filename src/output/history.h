/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_HISTORY_H
#define MEMDRIFT_OUTPUT_HISTORY_H

#include <stdio.h>

#include "analysis/history.h"
#include "output/result.h"

/*
 * What watch's database tells, for people: of the host, or of each chosen subject with its trend.
 * 0, -ENOMEM or -EIO.
 */
int history_text__write(FILE *out, const struct history *history,
			const struct text_options *options);
/* The same facts: one JSON object and a newline, schema memdrift.history/1. 0, -ENOMEM or -EIO. */
int history_json__write(FILE *out, const struct history *history);
/* A series as JSON lines, which `memdrift analyze` reads. 0, -ENOMEM or -EIO. */
int history_series__write(FILE *out, const struct series *series);

#endif
