/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_SOURCE_H
#define MEMDRIFT_STORE_STORE_SOURCE_H

#include "store/store_internal.h"
#include "store/store_walk.h"

/*
 * A subject's rows out of the tables that have them, coarse ones first: hours before minutes_ms,
 * minutes before samples_ms, samples from there on. Lives and passes beside them.
 */
struct store_source {
	struct store *store;
	int64_t subject;
	int64_t from_ms;
	int64_t minutes_ms, samples_ms; /* where finer rows begin */
	bool carried;                   /* at samples_ms everything before is folded */
	int64_t resolution_ms;
	int part;        /* the table that is being read */
	int64_t at_ms;   /* the hour or the day of it; -1: not begun */
	bool empty;      /* it had no rows so far */
	int64_t last_ms; /* of passes: nothing lies after it */
	bool lives_begun, passes_begun;
};

/* Of what is not folded, all; of the rest what the resolution asks for, if it is still there. */
int store_source__init(struct store_source *source, struct store *store, int64_t subject,
		       int64_t from_ms, int64_t resolution_ms);
/* Of lives and passes only; the caller has the rows. */
void store_source__init_fold(struct store_source *source, struct store *store, int64_t subject,
			     int64_t from_ms, int64_t resolution_ms);
/* A row of SELECT t_ms and the components, of hours the extremes, too. */
void store_source__take(sqlite3_stmt *statement, bool hours, struct walk_row *row);
/* As walk_source.row; the source is ctx. */
int store_source__next_row(void *ctx, struct walk_row *row);
/* All but emit; ctx is the source unless the caller sets it to what begins with one. */
struct walk_source store_source__walk(struct store_source *source);
/* Statements that are under way are ready again. */
void store_source__end(struct store_source *source);

#endif
