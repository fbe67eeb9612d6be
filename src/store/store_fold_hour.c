// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_fold.h"
#include "store/store_tidy.h"

/* Their rows are read in one go over the hour: at 10 s a pass 1 MB of them at most. In one
 * transaction, which has to fit the least WAL (store__open): at 4 pages each. */
#define SUBJECTS_A_STEP 16
/* 12 MB: a subject that changes 18 times a second. */
#define FOLD_ROWS_MAX 65536

struct chosen {
	int64_t subject[SUBJECTS_A_STEP];
	int count;
	int64_t fold_ms;
};

static int choose(struct store *store, int64_t before_ms, int most, struct chosen *chosen)
{
	sqlite3_stmt *list = store__statement(store, SQL_SUBJECTS_TO_FOLD);
	int got;

	chosen->count = 0;
	if (!list)
		return -EUCLEAN;
	sqlite3_bind_int64(list, 1, before_ms);
	sqlite3_bind_int64(list, 2, most);
	while ((got = store__step(store, list, "read")) > 0) {
		chosen->fold_ms = sqlite3_column_int64(list, 1);
		chosen->subject[chosen->count++] = sqlite3_column_int64(list, 0);
		if (chosen->count == most)
			break;
	}
	sqlite3_reset(list);
	if (got < 0)
		return got;
	if (chosen->count && (chosen->fold_ms < 0 || chosen->fold_ms % HOUR_MS))
		return store__refuse(store, -EUCLEAN,
				     "%s is damaged: an hour of it begins where none does",
				     store->path);
	return 0;
}

static struct fold_row *add_row(struct fold_rows *rows)
{
	size_t room = rows->room ? 2 * rows->room : 1024;

	if (rows->count == rows->room) {
		struct fold_row *grown = reallocarray(rows->row, room, sizeof(*grown));

		if (!grown)
			return NULL;
		rows->row = grown;
		rows->room = room;
	}
	return &rows->row[rows->count++];
}

static int compare_rows(const void *a, const void *b)
{
	const struct fold_row *x = a, *y = b;

	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	return (x->row.t_ms > y->row.t_ms) - (x->row.t_ms < y->row.t_ms);
}

/* -E2BIG: more than FOLD_ROWS_MAX. */
static int read_rows(struct store *store, const struct chosen *chosen, struct fold_rows *rows)
{
	sqlite3_stmt *list = store__statement(store, SQL_SAMPLES_OF_MANY);
	int got;

	if (!list)
		return -EUCLEAN;
	sqlite3_bind_int64(list, 1, chosen->subject[0]);
	sqlite3_bind_int64(list, 2, sample_id(chosen->fold_ms));
	sqlite3_bind_int64(list, 3, sample_id(chosen->fold_ms + HOUR_MS));
	sqlite3_bind_int64(list, 4, chosen->subject[chosen->count - 1]);
	while ((got = store__step(store, list, "read")) > 0) {
		struct fold_row *row = rows->count < FOLD_ROWS_MAX ? add_row(rows) : NULL;

		if (!row) {
			got = rows->count < FOLD_ROWS_MAX ? -ENOMEM : -E2BIG;
			sqlite3_reset(list);
			break;
		}
		store_source__take(list, false, &row->row);
		row->subject = sqlite3_column_int64(list, 1 + COMPONENT_MAX);
	}
	if (!got && rows->count)
		qsort(rows->row, rows->count, sizeof(*rows->row), compare_rows);
	return got;
}

/* The hour in which somebody looked again, at or after the one at t_ms. */
static int skip_gap(struct store *store, int64_t *t_ms)
{
	sqlite3_stmt *next = store__statement(store, SQL_PASS_NEXT);
	int64_t begin;
	int got;

	if (!next)
		return -EUCLEAN;
	sqlite3_bind_int64(next, 1, *t_ms);
	got = store__step(store, next, "read");
	if (got <= 0)
		return got;
	begin = sqlite3_column_int64(next, 0);
	sqlite3_reset(next);
	if (begin > *t_ms)
		*t_ms = begin - begin % HOUR_MS;
	return 0;
}

/* NEVER_MS when nothing of it can come any more after t_ms. */
static int next_fold(struct store *store, int64_t subject, int64_t t_ms, int64_t *fold_ms)
{
	sqlite3_stmt *last = store__statement(store, SQL_LIFE_LAST);
	int got;

	if (!last)
		return -EUCLEAN;
	sqlite3_bind_int64(last, 1, subject);
	got = store__step(store, last, "read");
	*fold_ms = t_ms;
	if (!got || (got > 0 && sqlite3_column_type(last, 1) != SQLITE_NULL &&
		     sqlite3_column_int64(last, 1) <= t_ms))
		*fold_ms = NEVER_MS;
	sqlite3_reset(last);
	return got < 0 ? got : 0;
}

static int end_subject(struct store *store, int64_t subject, int64_t t_ms)
{
	sqlite3_stmt *folded;
	int64_t fold_ms;
	int err = next_fold(store, subject, t_ms, &fold_ms);

	folded = err ? NULL : store__statement(store, SQL_SUBJECT_FOLDED);
	if (!folded)
		return err ? err : -EUCLEAN;
	sqlite3_bind_int64(folded, 1, fold_ms);
	sqlite3_bind_int64(folded, 2, subject);
	return store__run(store, folded, "write");
}

static int fold_chosen(struct store *store, const struct chosen *chosen,
		       const struct fold_rows *rows)
{
	struct fold fold = {
		.rows = rows, .from_ms = chosen->fold_ms, .to_ms = chosen->fold_ms + HOUR_MS};
	int64_t next_ms = fold.to_ms;
	int err = skip_gap(store, &next_ms);

	fold.source.store = store;
	for (int i = 0; !err && i < chosen->count; i++) {
		fold.source.subject = chosen->subject[i];
		/* Rows of subjects that are none. */
		while (fold.at < rows->count && rows->row[fold.at].subject < chosen->subject[i])
			fold.at++;
		err = fold_subject(&fold);
		err = err ? err : end_subject(store, chosen->subject[i], next_ms);
	}
	err = err ? err : store__write_tier(store, TIER_MINUTES);
	return err ? err : store__write_tier(store, TIER_HOURS);
}

int store__fold_some(struct store *store)
{
	int64_t before_ms = store->pass_end_ms - store->pass_end_ms % HOUR_MS;
	struct fold_rows rows = {0};
	struct chosen chosen;
	bool own;
	int err = choose(store, before_ms, SUBJECTS_A_STEP, &chosen);

	if (err || !chosen.count)
		return err;
	err = read_rows(store, &chosen, &rows);
	if (err == -E2BIG && chosen.count > 1) {
		chosen.count = 1;
		rows.count = 0;
		err = read_rows(store, &chosen, &rows);
	}
	if (err == -E2BIG)
		/* The rest of the hour holds what the last of them had. */
		err = 0;
	err = err ? err : store__enter(store, true, &own);
	if (!err)
		err = store__leave(store, own, fold_chosen(store, &chosen, &rows));
	free(rows.row);
	return err ? err : 1;
}
