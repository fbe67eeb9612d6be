// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_source.h"

/* 40 days of full resolution at 10 s, and 52 MB: a file that claims more is none of ours, or is
 * to be read at a coarser resolution. */
#define SAMPLES_MAX 350000

struct reader {
	struct store_source source; /* first: the walk's ctx */
	struct series *series;
};

static int add_bucket(void *ctx, const struct walk_bucket *bucket)
{
	struct reader *reader = ctx;
	struct series *series = reader->series;
	double t_unix = bucket->t_ms / 1000;
	struct sample sample;

	if (series->count >= SAMPLES_MAX)
		return store__refuse(reader->source.store, -E2BIG,
				     "%s has more samples than can be read at once; ask for a "
				     "later time or a coarser resolution",
				     reader->source.store->path);
	if (isnan(series->start_unix))
		series->start_unix = t_unix;
	sample__init(&sample, t_unix - series->start_unix);
	sample.pid = bucket->life.pid;
	sample.start_time = bucket->life.start_time;
	memcpy(sample.value, bucket->mean.value, sizeof(sample.value));
	return series__add(series, &sample);
}

static char *make_name(const struct subject_name *name)
{
	char *text;
	const char *exe = *name->exe ? name->exe : name->comm;
	const char *unit = *name->unit ? name->unit : "-";

	return asprintf(&text, "%s %s %u", unit, exe, name->slot) < 0 ? NULL : text;
}

static int read_facts(struct store *store, int64_t subject, struct series *series)
{
	sqlite3_stmt *get = store__statement(store, SQL_SUBJECT_GET);
	struct subject_name name;
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, subject);
	got = store__step(store, get, "read");
	if (got <= 0)
		return got ? got
			   : store__refuse(store, -ENOENT, "%s has no such process", store->path);
	column_name(get, 0, &name);
	series->limit_bytes = column_value(get, 5);
	series->arena_limit = column_value(get, 6);
	series->cpus = sqlite3_column_double(get, 7);
	sqlite3_reset(get);
	series->name = make_name(&name);
	return series->name ? 0 : -ENOMEM;
}

static int read_samples(struct store *store, int64_t subject, int64_t since_ms,
			int64_t resolution_ms, struct series *series)
{
	struct reader reader = {.series = series};
	struct walk_source walk;
	int err = store_source__init(&reader.source, store, subject, since_ms, resolution_ms);

	if (err)
		return err;
	walk = store_source__walk(&reader.source);
	walk.emit = add_bucket;
	err = store_walk(&walk, reader.source.from_ms, INT64_MAX);
	store_source__end(&reader.source);
	if (err == -EUCLEAN)
		store__refuse(store, err, "%s is damaged: its samples are not in order",
			      store->path);
	return err;
}

int store__read_series(struct store *store, int64_t subject, double since_unix, double resolution_s,
		       struct series *series)
{
	bool own;
	int err = store__enter(store, false, &own);

	series__init(series);
	if (err)
		return err;
	series->interval_s = resolution_s;
	series->start_unix = NAN;
	if (store->read_only)
		err = store__load_state(store);
	err = err ? err : read_facts(store, subject, series);
	err = err ? err
		  : read_samples(store, subject, unix_ms(since_unix),
				 resolution_s > 0 ? unix_ms(resolution_s) : 0, series);
	err = store__leave(store, own, err);
	if (isnan(series->start_unix))
		series->start_unix = since_unix;
	if (err)
		series__free(series);
	return err;
}

int store__span(struct store *store, double *first_unix, double *last_unix)
{
	sqlite3_stmt *first = store__statement(store, SQL_PASS_FIRST);
	int got;

	*first_unix = *last_unix = NAN;
	if (store->read_only)
		store__load_state(store);
	got = first ? store__step(store, first, "read") : -EUCLEAN;
	if (got <= 0)
		return got;
	*first_unix = column_time(first, 0);
	if (!isnan(*first_unix))
		*last_unix = (double)store->pass_end_ms / 1000;
	sqlite3_reset(first);
	return 0;
}

static void take_subject(sqlite3_stmt *statement, double last_pass_unix, struct store_subject *out)
{
	double end = column_time(statement, 9);

	*out = (struct store_subject){.id = sqlite3_column_int64(statement, 0)};
	column_name(statement, 1, &out->name);
	out->first_unix = column_time(statement, 6);
	out->pid = (uint32_t)sqlite3_column_int64(statement, 7);
	out->start_time = (uint64_t)sqlite3_column_int64(statement, 8);
	out->running = isnan(end);
	out->last_unix = isnan(end) ? last_pass_unix : end;
}

int store__each_subject(struct store *store, store_subject_fn fn, void *ctx)
{
	sqlite3_stmt *statement = NULL;
	struct store_subject subject;
	bool own;
	int got = 0, err = store__enter(store, false, &own);

	if (!err && store->read_only)
		err = store__load_state(store);
	/* Not one of the kept ones: fn may well walk, too. */
	if (!err && sqlite3_prepare_v2(store->db, store__sql_text(SQL_SUBJECTS), -1, &statement,
				       NULL) != SQLITE_OK)
		err = store__failure(store, "read");
	while (!err && (got = store__step(store, statement, "read")) > 0) {
		take_subject(statement, (double)store->pass_end_ms / 1000, &subject);
		err = fn(ctx, &subject);
	}
	sqlite3_finalize(statement);
	return store__leave(store, own, err ? err : got);
}
