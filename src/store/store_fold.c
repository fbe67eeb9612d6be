// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "store/store_tidy.h"
#include "store/store_source.h"

/* Hours that one step folds: after a long time off there are many. */
#define FOLD_MS_MAX (24 * HOUR_MS)

struct fold {
	struct store_source source; /* first: the walk's ctx */
	enum store_tier tier;
	struct walk_row last; /* that is in the table */
	bool has_last;
};

/* Only a row that tells more than that the one before it still holds is kept. */
static bool is_news(const struct fold *fold, const struct walk_row *row)
{
	if (!fold->has_last)
		return true;
	for (int i = 0; i < COMPONENT_CENSUS; i++)
		if (row->value[i] != fold->last.value[i])
			return true;
	for (int i = COMPONENT_CENSUS; i < COMPONENT_MAX; i++)
		if (row->value[i] >= 0)
			return true;
	return fold->tier == TIER_HOURS &&
	       (row->rss_min != fold->last.rss_min || row->rss_max != fold->last.rss_max);
}

static int write_row(void *ctx, const struct walk_bucket *bucket)
{
	struct fold *fold = ctx;
	struct store *store = fold->source.store;
	const struct walk_row *row = &bucket->mean;
	sqlite3_stmt *add;
	int err;

	if (!is_news(fold, row))
		return 0;
	add = store__statement(store, fold->tier == TIER_HOURS ? SQL_HOUR_ADD : SQL_MINUTE_ADD);
	if (!add)
		return -EUCLEAN;
	sqlite3_bind_int64(add, 1, fold->source.subject);
	sqlite3_bind_int64(add, 2, row->t_ms);
	for (int i = 0; i < COMPONENT_MAX; i++)
		bind_value(add, 3 + i, row->value[i]);
	if (fold->tier == TIER_HOURS) {
		bind_value(add, 3 + COMPONENT_MAX, row->rss_min);
		bind_value(add, 4 + COMPONENT_MAX, row->rss_max);
	}
	err = store__run(store, add, "write");
	store->tiers[fold->tier].rows++;
	fold->last = *row;
	fold->has_last = true;
	return err;
}

static int read_last(struct fold *fold, int64_t before_ms)
{
	struct store *store = fold->source.store;
	sqlite3_stmt *get =
		store__statement(store, fold->tier == TIER_HOURS ? SQL_HOURS : SQL_MINUTES);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, fold->source.subject);
	sqlite3_bind_int64(get, 2, before_ms - 1);
	sqlite3_bind_int64(get, 3, before_ms);
	got = store__step(store, get, "read");
	fold->has_last = got > 0;
	if (got <= 0)
		return got;
	for (int i = 0; i < COMPONENT_MAX; i++)
		fold->last.value[i] = column_value(get, 1 + i);
	if (fold->tier == TIER_HOURS) {
		fold->last.rss_min = column_value(get, 1 + COMPONENT_MAX);
		fold->last.rss_max = column_value(get, 2 + COMPONENT_MAX);
	}
	sqlite3_reset(get);
	return 0;
}

static int fold_tier(struct store *store, int64_t subject, enum store_tier tier, int64_t from_ms,
		     int64_t to_ms)
{
	struct fold fold = {.tier = tier};
	struct walk_source walk;
	int err;

	store_source__init_fold(&fold.source, store, subject, from_ms,
				tier == TIER_HOURS ? HOUR_MS : MINUTE_MS);
	err = read_last(&fold, from_ms);
	if (err)
		return err;
	walk = store_source__walk(&fold.source);
	walk.emit = write_row;
	err = store_walk(&walk, from_ms, to_ms);
	store_source__end(&fold.source);
	return err;
}

/* NEVER_MS when nothing of it can come any more after to_ms. */
static int next_fold(struct store *store, int64_t subject, int64_t to_ms, int64_t *fold_ms)
{
	sqlite3_stmt *last = store__statement(store, SQL_LIFE_LAST);
	int got;

	if (!last)
		return -EUCLEAN;
	sqlite3_bind_int64(last, 1, subject);
	got = store__step(store, last, "read");
	*fold_ms = to_ms;
	if (!got || (got > 0 && sqlite3_column_type(last, 1) != SQLITE_NULL &&
		     sqlite3_column_int64(last, 1) <= to_ms))
		*fold_ms = NEVER_MS;
	sqlite3_reset(last);
	return got < 0 ? got : 0;
}

static int fold_subject(struct store *store, int64_t subject, int64_t from_ms, int64_t to_ms)
{
	sqlite3_stmt *folded;
	int64_t fold_ms;
	int err;

	/* Of a file that is not as we write them. */
	if (from_ms < 0 || from_ms % HOUR_MS)
		return store__refuse(store, -EUCLEAN,
				     "%s is damaged: an hour of it begins where "
				     "none does",
				     store->path);
	if (to_ms - from_ms > FOLD_MS_MAX)
		to_ms = from_ms + FOLD_MS_MAX;
	err = fold_tier(store, subject, TIER_MINUTES, from_ms, to_ms);
	err = err ? err : fold_tier(store, subject, TIER_HOURS, from_ms, to_ms);
	err = err ? err : next_fold(store, subject, to_ms, &fold_ms);
	folded = err ? NULL : store__statement(store, SQL_SUBJECT_FOLDED);
	if (!folded)
		return err ? err : -EUCLEAN;
	sqlite3_bind_int64(folded, 1, fold_ms);
	sqlite3_bind_int64(folded, 2, subject);
	return store__run(store, folded, "write");
}

static int find_unfolded(struct store *store, int64_t *subject, int64_t *fold_ms)
{
	sqlite3_stmt *find = store__statement(store, SQL_SUBJECT_TO_FOLD);
	int got;

	if (!find)
		return -EUCLEAN;
	sqlite3_bind_int64(find, 1, store->pass_end_ms - store->pass_end_ms % HOUR_MS);
	got = store__step(store, find, "read");
	if (got <= 0)
		return got;
	*subject = sqlite3_column_int64(find, 0);
	*fold_ms = sqlite3_column_int64(find, 1);
	sqlite3_reset(find);
	return 1;
}

int store__fold_some(struct store *store, int count)
{
	int64_t subject, fold_ms, to_ms = store->pass_end_ms - store->pass_end_ms % HOUR_MS;
	int err = 0, got = find_unfolded(store, &subject, &fold_ms);
	bool own;

	if (got <= 0)
		return got;
	err = store__enter(store, true, &own);
	while (!err && count-- > 0 && got > 0) {
		err = fold_subject(store, subject, fold_ms, to_ms);
		got = err ? err : find_unfolded(store, &subject, &fold_ms);
	}
	err = err ? err : got < 0 ? got : 0;
	err = err ? err : store__write_tier(store, TIER_MINUTES);
	err = err ? err : store__write_tier(store, TIER_HOURS);
	err = store__leave(store, own, err);
	return err ? err : got > 0;
}
