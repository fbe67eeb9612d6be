// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "store/store_source.h"

enum part { PART_HOURS, PART_MINUTES, PART_CARRIED, PART_SAMPLES, PART_MAX };

static const struct {
	enum store_sql sql;
	int64_t width_ms; /* of what its rows are kept by; 0: by time alone */
	enum store_sql next;
} parts[PART_MAX] = {
	[PART_HOURS] = {SQL_HOURS, DAY_MS, SQL_HOUR_NEXT},
	[PART_MINUTES] = {SQL_MINUTES, HOUR_MS, SQL_MINUTE_NEXT},
	[PART_CARRIED] = {.sql = SQL_CARRIED_GET},
	[PART_SAMPLES] = {.sql = SQL_SAMPLES},
};

static int64_t part_from(const struct store_source *source)
{
	int64_t from[PART_MAX] = {0, source->minutes_ms, source->samples_ms, source->samples_ms};

	return later_ms(from[source->part], source->from_ms);
}

/* Exclusive. The minute at samples_ms tells what holds then, if nothing was carried there. */
static int64_t part_to(const struct store_source *source)
{
	int64_t to[PART_MAX] = {
		source->minutes_ms,
		source->samples_ms < NEVER_MS && !source->carried ? source->samples_ms + 1
								  : source->samples_ms,
		source->carried ? NEVER_MS : 0,
		NEVER_MS,
	};

	return earlier_ms(to[source->part], source->last_ms + 1);
}

/* After one without rows there may be years of them. 1, 0 at the end. */
static int skip_groups(struct store_source *source)
{
	int64_t width = parts[source->part].width_ms;
	sqlite3_stmt *next = store__statement(source->store, parts[source->part].next);
	int got;

	if (!next)
		return -EUCLEAN;
	sqlite3_bind_int64(next, 1, source->at_ms);
	got = store__step(source->store, next, "read");
	if (got <= 0)
		return got;
	got = sqlite3_column_type(next, 0) != SQLITE_NULL;
	source->at_ms = sqlite3_column_int64(next, 0);
	sqlite3_reset(next);
	if (got && source->at_ms % width)
		return store__refuse(source->store, -EUCLEAN,
				     "%s is damaged: rows of no hour or day", source->store->path);
	return got;
}

static int next_group(struct store_source *source)
{
	int64_t width = parts[source->part].width_ms, from = part_from(source);
	int got = 1;

	if (source->at_ms < 0)
		source->at_ms = width ? from - from % width : from;
	else if (source->empty && width)
		got = skip_groups(source);
	else
		source->at_ms += width;
	source->empty = true;
	return got > 0 ? source->at_ms < part_to(source) : got;
}

/* The first or the next hour, or day, of the part. NULL with *err 0: there is none. */
static sqlite3_stmt *begin_group(struct store_source *source, int *err)
{
	int64_t width = parts[source->part].width_ms, from = part_from(source);
	sqlite3_stmt *statement;

	*err = next_group(source);
	if (*err <= 0)
		return NULL;
	*err = 0;
	statement = store__statement(source->store, parts[source->part].sql);
	if (!statement) {
		*err = -EUCLEAN;
		return NULL;
	}
	if (width) {
		sqlite3_bind_int64(statement, 1, source->at_ms);
		sqlite3_bind_int64(statement, 2, source->subject);
		sqlite3_bind_int64(statement, 3, part_to(source));
	} else {
		sqlite3_bind_int64(statement, 1, source->subject);
	}
	if (source->part == PART_SAMPLES) {
		sqlite3_bind_int64(statement, 2, sample_id(from));
		sqlite3_bind_int64(statement, 3, INT64_MAX);
	}
	return statement;
}

void store_source__take(sqlite3_stmt *statement, bool hours, struct walk_row *row)
{
	row->t_ms = sqlite3_column_int64(statement, 0);
	for (int i = 0; i < COMPONENT_MAX; i++)
		row->value[i] = column_value(statement, 1 + i);
	row->rss_min = row->rss_max = row->value[COMPONENT_RSS];
	if (hours) {
		row->rss_min = column_value(statement, 1 + COMPONENT_MAX);
		row->rss_max = column_value(statement, 2 + COMPONENT_MAX);
	}
}

static void take_row(const struct store_source *source, sqlite3_stmt *statement,
		     struct walk_row *row)
{
	int64_t from = part_from(source);

	store_source__take(statement, source->part == PART_HOURS, row);
	if (row->t_ms >= from)
		return;
	/* It holds at the beginning; what holds at its own time only does not. */
	row->t_ms = from;
	for (int i = COMPONENT_CENSUS; i < COMPONENT_MAX; i++)
		row->value[i] = SERIES_UNKNOWN;
}

static int next_of_part(struct store_source *source, struct walk_row *row)
{
	enum store_sql sql = parts[source->part].sql;
	int err = 0, got = 0;
	bool begun = source->at_ms >= 0;

	for (;;) {
		sqlite3_stmt *statement =
			begun ? source->store->statements[sql] : begin_group(source, &err);

		if (!statement)
			return err;
		begun = false;
		got = store__step(source->store, statement, "read");
		if (got > 0) {
			take_row(source, statement, row);
			source->empty = false;
		}
		if (got || !parts[source->part].width_ms)
			return got;
	}
}

int store_source__next_row(void *ctx, struct walk_row *row)
{
	struct store_source *source = ctx;

	for (; source->part < PART_MAX; source->part++, source->at_ms = -1) {
		int got = next_of_part(source, row);

		if (got)
			return got;
	}
	return 0;
}
