// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "store/store_tidy.h"

/* Ids of subjects in a step; 2 pages each, as SUBJECTS_A_STEP. */
#define SPREAD_SUBJECTS 32

static int read_number(struct store *store, sqlite3_stmt *get, int64_t *number)
{
	int got = get ? store__step(store, get, "read") : -EUCLEAN;

	if (got <= 0)
		return got;
	*number = sqlite3_column_int64(get, 0);
	got = sqlite3_column_type(get, 0) != SQLITE_NULL;
	sqlite3_reset(get);
	return got;
}

/* The next subject that has rows: 1, or 0. */
static int find_subject(struct store *store, int64_t *subject)
{
	sqlite3_stmt *find = store__statement(store, SQL_RECENT_SUBJECT);

	if (!find)
		return -EUCLEAN;
	sqlite3_bind_int64(find, 1, store->spread_at);
	sqlite3_bind_int64(find, 2, store->spread_id);
	return read_number(store, find, subject);
}

/* Until all subjects are done the rows are in both tables; a reader takes each once. */
static int copy_rows(struct store *store, int64_t from, int64_t to)
{
	sqlite3_stmt *copy = store__statement(store, SQL_RECENT_SPREAD);
	int err;

	if (!copy)
		return -EUCLEAN;
	sqlite3_bind_int64(copy, 1, from);
	sqlite3_bind_int64(copy, 2, to);
	sqlite3_bind_int64(copy, 3, store->spread_id);
	err = store__run(store, copy, "write");
	if (!err)
		store->tiers[TIER_SAMPLES].rows += sqlite3_changes64(store->db);
	return err ? err : store__write_tier(store, TIER_SAMPLES);
}

static int end_spread(struct store *store)
{
	sqlite3_stmt *delete = store__statement(store, SQL_RECENT_DELETE);
	int err;

	if (!delete)
		return -EUCLEAN;
	sqlite3_bind_int64(delete, 1, store->spread_id);
	err = store__run(store, delete, "write");
	store->spread_id = 0;
	return err ? err : store__load_recent(store);
}

static int spread_step(struct store *store)
{
	int64_t subject, to;
	int got = find_subject(store, &subject), err;

	if (got <= 0)
		return got < 0 ? got : end_spread(store);
	to = subject < INT64_MAX - SPREAD_SUBJECTS ? subject + SPREAD_SUBJECTS - 1 : INT64_MAX;
	err = copy_rows(store, subject, to);
	if (!err)
		store->spread_at = to;
	return err;
}

int store__spread_some(struct store *store)
{
	bool own;
	int err;

	if (!store->spread_id) {
		int got = read_number(store, store__statement(store, SQL_RECENT_LAST),
				      &store->spread_id);

		if (got <= 0)
			return got;
		store->spread_at = INT64_MIN;
	}
	err = store__enter(store, true, &own);
	err = err ? err : spread_step(store);
	err = store__leave(store, own, err);
	/* All over again: what is there already is not added twice. */
	if (err)
		store->spread_id = 0;
	return err ? err : 1;
}
