// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <string.h>

#include "store/store_tidy.h"

/* One a day for 27 years; a host whose processes are killed all day keeps the latest. */
#define INCIDENTS_MAX 10000

/* The columns, in the order of the table. */
enum column {
	COLUMN_ID,
	COLUMN_KIND,
	COLUMN_SUBJECT,
	COLUMN_NAME, /* five */
	COLUMN_PID = COLUMN_NAME + 5,
	COLUMN_START_TIME,
	COLUMN_BEGIN,
	COLUMN_ONSET,
	COLUMN_END,
	COLUMN_RSS,
	COLUMN_LIMIT,
	COLUMN_DRIFT,
	COLUMN_VERDICT,
	COLUMN_COMPONENT,
	COLUMN_PLATEAU,
	COLUMN_JUDGED,
	COLUMN_JUDGED_ONSET,
	COLUMN_SLOPE,
	COLUMN_SLOPE_LOW,
	COLUMN_SLOPE_HIGH,
	COLUMN_LEVEL,
	COLUMN_GROWN,
	COLUMN_CONFIDENCE,
	COLUMN_REACHES_LIMIT,
	COLUMN_ENDS_AT,
	COLUMN_ENDS,
	COLUMN_WHY,
	COLUMN_TODO,
	COLUMN_MAX
};
_Static_assert(COLUMN_MAX == SQL_INCIDENT_COLUMNS, "a mark for every column");

static const char *const kinds[] = {[INCIDENT_DRIFT] = "drift", [INCIDENT_OOM] = "oom"};

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
	sqlite3_bind_text(statement, column + 1, text, -1, SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *statement, int column, double value)
{
	/* SQLite takes NAN as NULL. */
	sqlite3_bind_double(statement, column + 1, value);
}

static void bind_judgement(sqlite3_stmt *put, const struct judgement *judgement)
{
	sqlite3_bind_int(put, COLUMN_DRIFT + 1, judgement->drift);
	bind_text(put, COLUMN_VERDICT, drift_verdict__text(judgement->verdict));
	if (judgement->component < COMPONENT_MAX)
		bind_text(put, COLUMN_COMPONENT, component__key(judgement->component));
	sqlite3_bind_int(put, COLUMN_PLATEAU + 1, judgement->plateau);
	bind_time(put, COLUMN_JUDGED + 1, judgement->t_s);
	bind_time(put, COLUMN_JUDGED_ONSET + 1, judgement->onset_s);
	bind_number(put, COLUMN_SLOPE, judgement->slope_bytes_per_h);
	bind_number(put, COLUMN_SLOPE_LOW, judgement->slope_low);
	bind_number(put, COLUMN_SLOPE_HIGH, judgement->slope_high);
	bind_number(put, COLUMN_LEVEL, judgement->level_bytes);
	bind_number(put, COLUMN_GROWN, judgement->grown_bytes);
	bind_number(put, COLUMN_CONFIDENCE, judgement->confidence);
	bind_time(put, COLUMN_REACHES_LIMIT + 1, judgement->reaches_limit_s);
	bind_number(put, COLUMN_ENDS_AT, judgement->ends_at_bytes);
	bind_time(put, COLUMN_ENDS + 1, judgement->ends_s);
	bind_text(put, COLUMN_WHY, judgement->why);
	bind_text(put, COLUMN_TODO, judgement->todo);
}

static int make_room(struct store *store)
{
	sqlite3_stmt *count = store__statement(store, SQL_INCIDENT_COUNT);
	int got = count ? store__step(store, count, "read") : -EUCLEAN;
	int64_t incidents;

	if (got <= 0)
		return got < 0 ? got : -EUCLEAN;
	incidents = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	if (incidents < INCIDENTS_MAX)
		return 0;
	got = store__drop_incident(store);
	return got < 0 ? got : 0;
}

int store__put_incident(struct store *store, struct incident *incident)
{
	sqlite3_stmt *put;
	int err = incident->id ? 0 : make_room(store);

	put = err ? NULL : store__statement(store, SQL_INCIDENT_PUT);
	if (!put)
		return err ? err : -EUCLEAN;
	/* NULL has SQLite choose an id. */
	if (incident->id)
		sqlite3_bind_int64(put, COLUMN_ID + 1, incident->id);
	bind_text(put, COLUMN_KIND, kinds[incident->kind]);
	sqlite3_bind_int64(put, COLUMN_SUBJECT + 1, incident->subject);
	bind_name(put, COLUMN_NAME + 1, &incident->name);
	sqlite3_bind_int64(put, COLUMN_PID + 1, incident->pid);
	sqlite3_bind_int64(put, COLUMN_START_TIME + 1, (int64_t)incident->start_time);
	bind_time(put, COLUMN_BEGIN + 1, isnan(incident->begin_unix) ? 0 : incident->begin_unix);
	bind_time(put, COLUMN_ONSET + 1, incident->onset_unix);
	bind_time(put, COLUMN_END + 1, incident->end_unix);
	bind_value(put, COLUMN_RSS + 1, incident->rss_bytes);
	bind_value(put, COLUMN_LIMIT + 1, incident->limit_bytes);
	bind_judgement(put, &incident->judgement);
	err = store__run(store, put, "write");
	if (!err && !incident->id)
		incident->id = sqlite3_last_insert_rowid(store->db);
	return err;
}

static double column_number(sqlite3_stmt *statement, int column)
{
	return sqlite3_column_type(statement, column) == SQLITE_NULL
		       ? NAN
		       : sqlite3_column_double(statement, column);
}

static enum drift_verdict find_verdict(const char *text)
{
	enum drift_verdict verdict = 0;

	/* One that this version does not know. */
	while (verdict < DRIFT_VERDICT_MAX && strcmp(drift_verdict__text(verdict), text) != 0)
		verdict++;
	return verdict < DRIFT_VERDICT_MAX ? verdict : DRIFT_INSUFFICIENT_DATA;
}

static void take_judgement(sqlite3_stmt *get, struct judgement *judgement)
{
	char text[64];

	*judgement = (struct judgement){
		.drift = sqlite3_column_int(get, COLUMN_DRIFT),
		.plateau = sqlite3_column_int(get, COLUMN_PLATEAU),
		.t_s = column_time(get, COLUMN_JUDGED),
		.onset_s = column_time(get, COLUMN_JUDGED_ONSET),
		.slope_bytes_per_h = column_number(get, COLUMN_SLOPE),
		.slope_low = column_number(get, COLUMN_SLOPE_LOW),
		.slope_high = column_number(get, COLUMN_SLOPE_HIGH),
		.level_bytes = column_number(get, COLUMN_LEVEL),
		.grown_bytes = column_number(get, COLUMN_GROWN),
		.confidence = column_number(get, COLUMN_CONFIDENCE),
		.reaches_limit_s = column_time(get, COLUMN_REACHES_LIMIT),
		.ends_at_bytes = column_number(get, COLUMN_ENDS_AT),
		.ends_s = column_time(get, COLUMN_ENDS),
	};
	column_copy(get, COLUMN_VERDICT, text, sizeof(text));
	judgement->verdict = find_verdict(text);
	column_copy(get, COLUMN_COMPONENT, text, sizeof(text));
	judgement->component = component__find(text);
	column_copy(get, COLUMN_WHY, judgement->why, sizeof(judgement->why));
	column_copy(get, COLUMN_TODO, judgement->todo, sizeof(judgement->todo));
}

static void take_incident(sqlite3_stmt *get, struct incident *incident)
{
	char kind[16];

	column_copy(get, COLUMN_KIND, kind, sizeof(kind));
	*incident = (struct incident){
		.id = sqlite3_column_int64(get, COLUMN_ID),
		.kind = strcmp(kind, kinds[INCIDENT_OOM]) == 0 ? INCIDENT_OOM : INCIDENT_DRIFT,
		.subject = sqlite3_column_int64(get, COLUMN_SUBJECT),
		.pid = (uint32_t)sqlite3_column_int64(get, COLUMN_PID),
		.start_time = (uint64_t)sqlite3_column_int64(get, COLUMN_START_TIME),
		.begin_unix = column_time(get, COLUMN_BEGIN),
		.onset_unix = column_time(get, COLUMN_ONSET),
		.end_unix = column_time(get, COLUMN_END),
		.rss_bytes = column_value(get, COLUMN_RSS),
		.limit_bytes = column_value(get, COLUMN_LIMIT),
	};
	column_name(get, COLUMN_NAME, &incident->name);
	take_judgement(get, &incident->judgement);
}

int store__each_incident(struct store *store, int64_t subject, double since_unix,
			 store_incident_fn fn, void *ctx)
{
	sqlite3_stmt *list = NULL;
	struct incident incident;
	bool own;
	int got = 0, err = store__enter(store, false, &own);

	/* Not one of the kept ones: fn may well walk, too. */
	if (!err && sqlite3_prepare_v2(store->db, store__sql_text(SQL_INCIDENTS), -1, &list,
				       NULL) != SQLITE_OK)
		err = store__failure(store, "read");
	if (!err) {
		sqlite3_bind_int64(list, 1, subject);
		sqlite3_bind_int64(list, 2, unix_ms(since_unix));
	}
	while (!err && (got = store__step(store, list, "read")) > 0) {
		take_incident(list, &incident);
		err = fn(ctx, &incident);
	}
	sqlite3_finalize(list);
	return store__leave(store, own, err ? err : got);
}

static int delete_of(struct store *store, enum store_sql sql, int64_t id)
{
	sqlite3_stmt *statement = store__statement(store, sql);

	if (!statement)
		return -EUCLEAN;
	sqlite3_bind_int64(statement, 1, id);
	return store__run(store, statement, "write");
}

int store__drop_incident(struct store *store)
{
	sqlite3_stmt *oldest;
	int64_t id;
	bool own;
	int got, err = store__enter(store, true, &own);

	if (err)
		return err;
	oldest = store__statement(store, SQL_INCIDENT_OLDEST);
	got = oldest ? store__step(store, oldest, "read") : -EUCLEAN;
	if (got <= 0)
		return store__leave(store, own, got);
	id = sqlite3_column_int64(oldest, 0);
	sqlite3_reset(oldest);
	err = delete_of(store, SQL_EVIDENCE_DELETE, id);
	err = err ? err : delete_of(store, SQL_INCIDENT_DELETE, id);
	store->tiers[TIER_HOURS].dropped += !err;
	err = err ? err : store__write_tier(store, TIER_HOURS);
	err = store__leave(store, own, err);
	return err ? err : 1;
}
