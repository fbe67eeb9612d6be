// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "store/store_tidy.h"

static int delete_before(struct store *store, enum store_sql sql, int64_t subject, int64_t t_ms,
			 int64_t *deleted)
{
	sqlite3_stmt *statement = store__statement(store, sql);
	int err;

	if (!statement)
		return -EUCLEAN;
	sqlite3_bind_int64(statement, 1, subject);
	sqlite3_bind_int64(statement, 2, t_ms);
	err = store__run(store, statement, "write");
	if (!err && deleted)
		*deleted = sqlite3_changes64(store->db);
	return err;
}

static int shrink_tier(struct store *store, enum store_tier tier, enum store_sql sql,
		       int64_t subject, int64_t before_ms)
{
	struct tier_state *state = &store->tiers[tier];
	int64_t deleted = 0;
	int err = delete_before(store, sql, subject, before_ms, &deleted);

	state->rows = state->rows > deleted ? state->rows - deleted : 0;
	if (store->round_forced)
		state->dropped += deleted;
	return err;
}

static int read_fold_ms(struct store *store, int64_t subject, int64_t *fold_ms)
{
	sqlite3_stmt *get = store__statement(store, SQL_SUBJECT_GET);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, subject);
	got = store__step(store, get, "read");
	*fold_ms = got > 0 ? sqlite3_column_int64(get, 8) : 0;
	sqlite3_reset(get);
	return got < 0 ? got : 0;
}

/* With its last life the subject goes, and all that was of it; its incidents stay. */
static int forget_subject(struct store *store, int64_t subject)
{
	int64_t deleted = 0;
	int err = delete_before(store, SQL_SUBJECT_DELETE, subject, NEVER_MS, &deleted);

	if (err || !deleted)
		return err;
	err = shrink_tier(store, TIER_SAMPLES, SQL_SAMPLES_END, subject, INT64_MAX);
	err = err ? err : shrink_tier(store, TIER_MINUTES, SQL_MINUTES_END, subject, INT64_MAX);
	err = err ? err : shrink_tier(store, TIER_HOURS, SQL_HOURS_END, subject, INT64_MAX);
	return err ? err : delete_before(store, SQL_STATE_DELETE, subject, 0, NULL);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int shrink_subject(struct store *store, int64_t subject)
{
	const struct tier_state *tiers = store->tiers;
	int64_t fold_ms;
	int err = read_fold_ms(store, subject, &fold_ms);

	/* What is not folded yet is needed. */
	err = err ? err
		  : shrink_tier(store, TIER_SAMPLES, SQL_SAMPLES_DELETE, subject,
				earlier(fold_ms, tiers[TIER_SAMPLES].from_ms));
	err = err ? err
		  : shrink_tier(store, TIER_MINUTES, SQL_MINUTES_DELETE, subject,
				tiers[TIER_MINUTES].from_ms);
	if (err || !tiers[TIER_HOURS].from_ms)
		return err;
	err = shrink_tier(store, TIER_HOURS, SQL_HOURS_DELETE, subject, tiers[TIER_HOURS].from_ms);
	err = err ? err
		  : delete_before(store, SQL_LIVES_DELETE, subject, tiers[TIER_HOURS].from_ms,
				  NULL);
	return err ? err : forget_subject(store, subject);
}

static int next_subject(struct store *store, int64_t after, int64_t *subject)
{
	sqlite3_stmt *next = store__statement(store, SQL_SUBJECT_NEXT);
	int got;

	if (!next)
		return -EUCLEAN;
	sqlite3_bind_int64(next, 1, after);
	got = store__step(store, next, "read");
	if (got <= 0)
		return got;
	*subject = sqlite3_column_int64(next, 0);
	got = sqlite3_column_type(next, 0) != SQLITE_NULL;
	sqlite3_reset(next);
	return got;
}

static int end_round(struct store *store)
{
	sqlite3_stmt *passes = store__statement(store, SQL_PASSES_DELETE);

	store->round_at = 0;
	if (!passes)
		return -EUCLEAN;
	sqlite3_bind_int64(passes, 1, store->tiers[TIER_HOURS].from_ms);
	return store__run(store, passes, "write");
}

int store__round_some(struct store *store, int count)
{
	/* round_at is one more than the last subject that is done. */
	int64_t subject = store->round_at - 1;
	int got = 1, err;
	bool own;

	err = store__enter(store, true, &own);
	while (!err && count-- > 0) {
		got = next_subject(store, subject, &subject);
		if (got <= 0)
			break;
		err = shrink_subject(store, subject);
	}
	if (!err && !got)
		err = end_round(store);
	else if (!err)
		store->round_at = subject + 1;
	for (int tier = 0; !err && tier < TIER_MAX; tier++)
		err = store__write_tier(store, tier);
	err = store__leave(store, own, err ? err : got < 0 ? got : 0);
	return err ? err : 1;
}
