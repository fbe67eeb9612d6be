/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_ANALYSIS_H
#define MEMDRIFT_OUTPUT_ANALYSIS_H

#include <stdio.h>

#include "drift/replay.h"
#include "drift/series.h"
#include "output/result.h"

/* What analyze says. */

/* One line of JSON (contract.md, analyze). 0 or a negative errno. */
int analysis_json__write(FILE *out, const struct series *series, const struct replay *replay);

/* The table of all series is written at the end: what drifts comes first. */
struct analysis_row {
	char *name; /* printable; owned */
	double start_unix;
	struct judgement judgement;
	size_t alarms;
};

struct analysis_table {
	struct analysis_row *rows; /* owned */
	size_t count, room;
	size_t verdicts[DRIFT_VERDICT_MAX];
	size_t settled,
		wrong_alarms; /* of those that do not drift: grew and settled; had an alarm */
};

/* keep_silent: rows of those that do not drift are kept too. 0 or -ENOMEM. */
int analysis_table__add(struct analysis_table *table, const struct series *series,
			const struct replay *replay, bool keep_silent);
int analysis_table__write(struct analysis_table *table, FILE *out,
			  const struct text_options *options);
void analysis_table__free(struct analysis_table *table);

#endif
