// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store_source.h"

#include <errno.h>

enum part { PART_HOURS, PART_MINUTES, PART_SAMPLES, PART_RECENT, PART_MAX };

static const enum store_sql part_sql[PART_MAX] = {SQL_HOURS, SQL_MINUTES, SQL_SAMPLES, SQL_RECENT};

static int64_t part_from(const struct store_source *source)
{
	int64_t from[PART_MAX] = {0, source->minutes_ms, source->samples_ms, source->samples_ms};

	return from[source->part] > source->from_ms ? from[source->part] : source->from_ms;
}

static int64_t part_to(const struct store_source *source)
{
	int64_t to[PART_MAX] = {source->minutes_ms, source->samples_ms, INT64_MAX, INT64_MAX};

	return to[source->part];
}

static sqlite3_stmt *begin_part(struct store_source *source)
{
	sqlite3_stmt *statement = store__statement(source->store, part_sql[source->part]);

	if (!statement)
		return NULL;
	sqlite3_bind_int64(statement, 1, source->subject);
	if (source->part != PART_RECENT)
		sqlite3_bind_int64(statement, 2, part_from(source));
	sqlite3_bind_int64(statement, 3, part_to(source));
	source->part_begun = true;
	return statement;
}

static void take_row(const struct store_source *source, sqlite3_stmt *statement,
		     struct walk_row *row)
{
	int64_t from = part_from(source);

	row->t_ms = sqlite3_column_int64(statement, 0);
	for (int i = 0; i < COMPONENT_MAX; i++)
		row->value[i] = column_value(statement, 1 + i);
	row->rss_min = row->rss_max = row->value[COMPONENT_RSS];
	if (source->part == PART_HOURS) {
		row->rss_min = column_value(statement, 1 + COMPONENT_MAX);
		row->rss_max = column_value(statement, 2 + COMPONENT_MAX);
	}
	if (row->t_ms >= from)
		return;
	/* It holds at the beginning; what holds at its own time only does not. */
	row->t_ms = from;
	for (int i = COMPONENT_CENSUS; i < COMPONENT_MAX; i++)
		row->value[i] = SERIES_UNKNOWN;
}

static int next_row(void *ctx, struct walk_row *row)
{
	struct store_source *source = ctx;

	for (; source->part < PART_MAX; source->part++, source->part_begun = false) {
		sqlite3_stmt *statement = source->store->statements[part_sql[source->part]];
		int got;

		if (!source->part_begun && part_from(source) >= part_to(source))
			continue;
		if (!source->part_begun)
			statement = begin_part(source);
		if (!statement)
			return -EUCLEAN;
		do {
			got = store__step(source->store, statement, "read");
			if (got > 0)
				take_row(source, statement, row);
			/* Had already, of samples. */
		} while (got > 0 && source->part == PART_RECENT && row->t_ms < source->after_ms);
		if (got > 0)
			source->after_ms = row->t_ms;
		if (got)
			return got;
	}
	return 0;
}

static int next_life(void *ctx, struct walk_life *life)
{
	struct store_source *source = ctx;
	sqlite3_stmt *statement = source->store->statements[SQL_LIVES];
	int got;

	if (!source->lives_begun) {
		statement = store__statement(source->store, SQL_LIVES);
		if (!statement)
			return -EUCLEAN;
		sqlite3_bind_int64(statement, 1, source->subject);
		sqlite3_bind_int64(statement, 2, source->from_ms);
		source->lives_begun = true;
	}
	got = store__step(source->store, statement, "read");
	if (got <= 0)
		return got;
	*life = (struct walk_life){
		.begin_ms = sqlite3_column_int64(statement, 0),
		.end_ms = sqlite3_column_type(statement, 1) == SQLITE_NULL
				  ? INT64_MAX
				  : sqlite3_column_int64(statement, 1),
		.pid = (uint32_t)sqlite3_column_int64(statement, 2),
		.start_time = (uint64_t)sqlite3_column_int64(statement, 3),
	};
	return 1;
}

static int next_run(void *ctx, struct walk_run *run)
{
	struct store_source *source = ctx;
	sqlite3_stmt *statement = source->store->statements[SQL_PASSES];
	int got;

	if (!source->passes_begun) {
		statement = store__statement(source->store, SQL_PASSES);
		if (!statement)
			return -EUCLEAN;
		sqlite3_bind_int64(statement, 1, source->from_ms);
		source->passes_begun = true;
	}
	got = store__step(source->store, statement, "read");
	if (got <= 0)
		return got;
	*run = (struct walk_run){sqlite3_column_int64(statement, 0),
				 sqlite3_column_int64(statement, 1),
				 sqlite3_column_int64(statement, 2)};
	return 1;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t width_ms(void *ctx, int64_t t_ms)
{
	const struct store_source *source = ctx;
	int64_t least = t_ms < source->minutes_ms   ? HOUR_MS
			: t_ms < source->samples_ms ? MINUTE_MS
						    : 0;

	return later(least, source->resolution_ms);
}

static int read_fold(struct store *store, int64_t subject, int64_t *fold_ms)
{
	sqlite3_stmt *get = store__statement(store, SQL_SUBJECT_GET);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, subject);
	got = store__step(store, get, "read");
	if (got <= 0)
		return got ? got : -ENOENT;
	*fold_ms = sqlite3_column_int64(get, 8);
	sqlite3_reset(get);
	return 0;
}

int store_source__init(struct store_source *source, struct store *store, int64_t subject,
		       int64_t from_ms, int64_t resolution_ms)
{
	const struct tier_state *tiers = store->tiers;
	int64_t fold_ms, width;
	int err = read_fold(store, subject, &fold_ms);

	*source = (struct store_source){.store = store,
					.subject = subject,
					.from_ms = from_ms,
					.resolution_ms = resolution_ms};
	if (err)
		return err;
	source->samples_ms = source->minutes_ms = fold_ms;
	if (resolution_ms < HOUR_MS && tiers[TIER_MINUTES].from_ms < fold_ms)
		source->minutes_ms = tiers[TIER_MINUTES].from_ms;
	if (resolution_ms < MINUTE_MS && tiers[TIER_SAMPLES].from_ms < fold_ms)
		source->samples_ms = later(tiers[TIER_SAMPLES].from_ms, source->minutes_ms);
	width = width_ms(source, from_ms);
	if (width)
		source->from_ms -= from_ms % width;
	return 0;
}

void store_source__init_fold(struct store_source *source, struct store *store, int64_t subject,
			     int64_t from_ms, int64_t resolution_ms)
{
	*source = (struct store_source){.store = store,
					.subject = subject,
					.from_ms = from_ms,
					.resolution_ms = resolution_ms};
}

struct walk_source store_source__walk(struct store_source *source)
{
	return (struct walk_source){.row = next_row,
				    .life = next_life,
				    .run = next_run,
				    .width_ms = width_ms,
				    .ctx = source};
}

void store_source__end(struct store_source *source)
{
	static const enum store_sql used[] = {SQL_HOURS,  SQL_MINUTES, SQL_SAMPLES,
					      SQL_RECENT, SQL_LIVES,   SQL_PASSES};

	for (size_t i = 0; i < sizeof(used) / sizeof(*used); i++)
		if (source->store->statements[used[i]])
			sqlite3_reset(source->store->statements[used[i]]);
}
