// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_fold.h"

static int next_row(void *ctx, struct walk_row *row)
{
	struct fold *fold = ctx;

	while (fold->at < fold->rows->count) {
		const struct fold_row *next = &fold->rows->row[fold->at];

		if (next->subject != fold->source.subject)
			return 0;
		fold->at++;
		*row = next->row;
		if (row->t_ms < fold->to_ms)
			fold->carried = *row;
		return 1;
	}
	return 0;
}

/* What was in force when the hour began comes first. */
static int first_row(void *ctx, struct walk_row *row)
{
	struct fold *fold = ctx;

	if (fold->carried_done)
		return next_row(ctx, row);
	fold->carried_done = true;
	if (!fold->has_carried)
		return next_row(ctx, row);
	*row = fold->carried;
	row->t_ms = fold->from_ms;
	return 1;
}

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

static int64_t group_of(const struct fold *fold, int64_t t_ms)
{
	return t_ms - t_ms % (fold->tier == TIER_HOURS ? DAY_MS : HOUR_MS);
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
	sqlite3_bind_int64(add, 1, group_of(fold, row->t_ms));
	sqlite3_bind_int64(add, 2, fold->source.subject);
	sqlite3_bind_int64(add, 3, row->t_ms);
	for (int i = 0; i < COMPONENT_MAX; i++)
		bind_value(add, 4 + i, row->value[i]);
	if (fold->tier == TIER_HOURS) {
		bind_value(add, 4 + COMPONENT_MAX, row->rss_min);
		bind_value(add, 5 + COMPONENT_MAX, row->rss_max);
	}
	err = store__run(store, add, "write");
	store->tiers[fold->tier].rows++;
	fold->last = *row;
	fold->has_last = true;
	return err;
}

/* The last row of the group that the hour is in. */
static int read_last(struct fold *fold)
{
	struct store *store = fold->source.store;
	bool hours = fold->tier == TIER_HOURS;
	sqlite3_stmt *get = store__statement(store, hours ? SQL_HOUR_LAST : SQL_MINUTE_LAST);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, group_of(fold, fold->from_ms));
	sqlite3_bind_int64(get, 2, fold->source.subject);
	got = store__step(store, get, "read");
	fold->has_last = got > 0;
	if (got <= 0)
		return got;
	store_source__take(get, hours, &fold->last);
	sqlite3_reset(get);
	return 0;
}

static int read_carried(struct fold *fold)
{
	sqlite3_stmt *get = store__statement(fold->source.store, SQL_CARRIED_GET);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, fold->source.subject);
	got = store__step(fold->source.store, get, "read");
	fold->has_carried = got > 0;
	if (got <= 0)
		return got;
	store_source__take(get, false, &fold->carried);
	sqlite3_reset(get);
	return 0;
}

static int write_carried(struct fold *fold)
{
	sqlite3_stmt *put = store__statement(fold->source.store, SQL_CARRIED_PUT);

	if (!put)
		return -EUCLEAN;
	sqlite3_bind_int64(put, 1, fold->source.subject);
	for (int i = 0; i < COMPONENT_CENSUS; i++)
		bind_value(put, 2 + i, fold->carried.value[i]);
	return store__run(fold->source.store, put, "write");
}

static int fold_tier(struct fold *fold, enum store_tier tier)
{
	struct walk_source walk;
	size_t first = fold->at;
	int err;

	fold->tier = tier;
	fold->carried_done = false;
	store_source__init_fold(&fold->source, fold->source.store, fold->source.subject,
				fold->from_ms, tier == TIER_HOURS ? HOUR_MS : MINUTE_MS);
	err = read_last(fold);
	if (err)
		return err;
	walk = store_source__walk(&fold->source);
	walk.row = first_row;
	walk.emit = write_row;
	err = store_walk(&walk, fold->from_ms, fold->to_ms);
	store_source__end(&fold->source);
	/* The walk stops before rows that no life had; the last one is carried in any case. */
	while (!err && fold->at < fold->rows->count) {
		struct walk_row row;

		if (!next_row(fold, &row))
			break;
	}
	if (tier == TIER_MINUTES)
		fold->at = first;
	return err;
}

int fold_subject(struct fold *fold)
{
	struct walk_row before;
	size_t first = fold->at;
	int err = read_carried(fold);

	before = fold->carried;
	err = err ? err : fold_tier(fold, TIER_MINUTES);
	fold->carried = before;
	err = err ? err : fold_tier(fold, TIER_HOURS);
	if (!err && fold->at > first)
		err = write_carried(fold);
	return err;
}
