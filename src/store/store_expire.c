// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "store/store_tidy.h"

/* In one transaction. */
#define SUBJECTS_A_STEP 64

static int delete_of(struct store *store, enum store_sql sql, int64_t id)
{
	sqlite3_stmt *statement = store__statement(store, sql);

	if (!statement)
		return -EUCLEAN;
	sqlite3_bind_int64(statement, 1, id);
	return store__run(store, statement, "write");
}

/* What is not folded yet is needed. */
static int unfolded_from(struct store *store, int64_t *t_ms)
{
	sqlite3_stmt *get = store__statement(store, SQL_SUBJECTS_FOLDED_TO);
	int got = get ? store__step(store, get, "read") : -EUCLEAN;

	if (got <= 0)
		return got;
	if (sqlite3_column_type(get, 0) != SQLITE_NULL && sqlite3_column_int64(get, 0) < *t_ms)
		*t_ms = sqlite3_column_int64(get, 0);
	sqlite3_reset(get);
	return 0;
}

static int shrink(struct store *store, enum store_tier tier)
{
	static const enum store_sql sql[TIER_MAX] = {
		[TIER_SAMPLES] = SQL_SAMPLES_DELETE,
		[TIER_MINUTES] = SQL_MINUTES_DELETE,
		[TIER_HOURS] = SQL_HOURS_DELETE,
	};
	struct tier_state *state = &store->tiers[tier];
	int64_t before = state->from_ms, deleted;
	int err = 0;

	/* A day goes when all of it may. */
	if (tier == TIER_HOURS)
		before -= DAY_MS - 1;
	if (tier == TIER_SAMPLES) {
		err = unfolded_from(store, &before);
		before = sample_id(before);
	}
	err = err ? err : delete_of(store, sql[tier], before);
	if (err)
		return err;
	deleted = sqlite3_changes64(store->db);
	if (!deleted)
		return 0;
	state->rows = state->rows > deleted ? state->rows - deleted : 0;
	if (store->squeezed)
		state->dropped += deleted;
	err = store__write_tier(store, tier);
	return err ? err : 1;
}

int store__expire_some(struct store *store)
{
	bool own;
	int got = 0, err = store__enter(store, true, &own);

	for (int tier = 0; !err && !got && tier < TIER_MAX; tier++)
		got = shrink(store, tier);
	if (!err && !got)
		err = delete_of(store, SQL_PASSES_DELETE, store->tiers[TIER_HOURS].from_ms);
	err = store__leave(store, own, err ? err : got < 0 ? got : 0);
	return err ? err : got;
}

static int next_ended(struct store *store, int64_t *subject)
{
	sqlite3_stmt *next = store__statement(store, SQL_SUBJECT_NEXT);
	int got;

	if (!next)
		return -EUCLEAN;
	sqlite3_bind_int64(next, 1, *subject);
	sqlite3_bind_int64(next, 2, NEVER_MS);
	got = store__step(store, next, "read");
	if (got <= 0)
		return got;
	*subject = sqlite3_column_int64(next, 0);
	got = sqlite3_column_type(next, 0) != SQLITE_NULL;
	sqlite3_reset(next);
	return got;
}

/* With its last life the subject goes, and what was of it; its incidents stay. */
static int end_subject(struct store *store, int64_t subject)
{
	sqlite3_stmt *lives = store__statement(store, SQL_LIVES_DELETE);
	int err;

	if (!lives)
		return -EUCLEAN;
	sqlite3_bind_int64(lives, 1, subject);
	sqlite3_bind_int64(lives, 2, store->tiers[TIER_HOURS].from_ms);
	err = store__run(store, lives, "write");
	err = err ? err : delete_of(store, SQL_SUBJECT_DELETE, subject);
	if (err || !sqlite3_changes(store->db))
		return err;
	err = delete_of(store, SQL_CARRIED_DELETE, subject);
	return err ? err : delete_of(store, SQL_STATE_DELETE, subject);
}

int store__end_some(struct store *store)
{
	int64_t subject = store->ended_at;
	int got = 1, err;
	bool own;

	if (subject < 0)
		return 0;
	err = store__enter(store, true, &own);
	for (int i = 0; !err && got > 0 && i < SUBJECTS_A_STEP; i++) {
		got = next_ended(store, &subject);
		err = got > 0 ? end_subject(store, subject) : got;
	}
	store->ended_at = !err && got > 0 ? subject : -1;
	err = store__leave(store, own, err);
	return err ? err : got;
}
