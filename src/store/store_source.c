// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store_source.h"

#include <errno.h>

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

static int64_t width_ms(void *ctx, int64_t t_ms)
{
	const struct store_source *source = ctx;
	int64_t least = t_ms < source->minutes_ms   ? HOUR_MS
			: t_ms < source->samples_ms ? MINUTE_MS
						    : 0;

	return later_ms(least, source->resolution_ms);
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
					.resolution_ms = resolution_ms,
					.last_ms = store->pass_end_ms,
					.at_ms = -1};
	if (err)
		return err;
	source->samples_ms = source->minutes_ms = fold_ms;
	if (resolution_ms < HOUR_MS)
		source->minutes_ms = earlier_ms(tiers[TIER_MINUTES].from_ms, fold_ms);
	if (resolution_ms < MINUTE_MS)
		source->samples_ms = earlier_ms(
			later_ms(tiers[TIER_SAMPLES].from_ms, source->minutes_ms), fold_ms);
	source->carried = source->samples_ms == fold_ms;
	/* Hours before these are gone. */
	source->from_ms = later_ms(from_ms, tiers[TIER_HOURS].from_ms);
	width = width_ms(source, source->from_ms);
	if (width)
		source->from_ms -= source->from_ms % width;
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
	return (struct walk_source){.row = store_source__next_row,
				    .life = next_life,
				    .run = next_run,
				    .width_ms = width_ms,
				    .ctx = source};
}

void store_source__end(struct store_source *source)
{
	static const enum store_sql used[] = {SQL_HOURS,   SQL_MINUTES, SQL_CARRIED_GET,
					      SQL_SAMPLES, SQL_LIVES,   SQL_PASSES};

	for (size_t i = 0; i < sizeof(used) / sizeof(*used); i++)
		if (source->store->statements[used[i]])
			sqlite3_reset(source->store->statements[used[i]]);
}
