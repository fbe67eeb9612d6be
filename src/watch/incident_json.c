// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/incident_json.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "output/json.h"

/* Twelve digits tell a byte in 900 GB. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

/* Of the years that have four digits. */
#define UNIX_YEAR_10000 253402300800.0

const char *incident__state(const struct incident *incident)
{
	if (incident->kind == INCIDENT_OOM)
		return "oom";
	return isnan(incident->end_unix) ? "raised" : "cleared";
}

/* Whole seconds: a look is minutes apart from the next. */
static json_t *json_time(double unix_s)
{
	char text[sizeof("2026-11-14T03:20:00Z")];
	struct tm tm;
	time_t t;

	/* False for NAN, too. */
	if (!(unix_s >= 0 && unix_s < UNIX_YEAR_10000))
		return json_null();
	t = (time_t)unix_s;
	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

static json_t *json_bytes(int64_t bytes)
{
	return bytes == SERIES_UNKNOWN ? json_null() : json_integer(bytes);
}

/* Whole bytes of an estimate. */
static json_t *json_estimate(double bytes)
{
	return fabs(bytes) < 0x1p62 ? json_integer(llround(bytes)) : json_null();
}

/* Null rather than an empty text. */
static json_t *json_name(const char *raw)
{
	return json_text(*raw ? raw : NULL);
}

static json_t *json_ends(const struct judgement *judgement)
{
	if (isnan(judgement->ends_at_bytes))
		return json_null();
	return json_pack("{s:o, s:o}", "at_bytes", json_estimate(judgement->ends_at_bytes), "by",
			 json_time(judgement->ends_s));
}

static json_t *json_names(const char *const *names, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_text(names[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* What it is about, and what is the matter: a reader of logs sees that first. NULL: no memory. */
static json_t *pack_head(const struct incident *incident)
{
	const struct subject_name *name = &incident->name;

	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o}",
			 "schema", "memdrift.incident/1", "id", (json_int_t)incident->id, "kind",
			 incident->kind == INCIDENT_OOM ? "oom" : "drift", "state",
			 incident__state(incident), "verdict",
			 drift_verdict__text(incident->judgement.verdict), "process",
			 json_name(name->comm), "unit", json_name(name->unit), "exe",
			 json_name(name->exe), "cgroup", json_name(name->cgroup), "slot",
			 (json_int_t)name->slot, "pid", (json_int_t)incident->pid, "since",
			 json_time(incident->begin_unix), "onset", json_time(incident->onset_unix),
			 "until", json_time(incident->end_unix));
}

static json_t *pack_figures(const struct incident *incident)
{
	const struct judgement *judgement = &incident->judgement;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rss_bytes",
			 json_bytes(incident->rss_bytes), "grown_bytes",
			 json_estimate(judgement->grown_bytes), "slope_bytes_per_h",
			 json_estimate(judgement->slope_bytes_per_h), "slope_low",
			 json_estimate(judgement->slope_low), "slope_high",
			 json_estimate(judgement->slope_high), "ends", json_ends(judgement),
			 "limit_bytes", json_bytes(incident->limit_bytes), "reaches_limit",
			 json_time(judgement->reaches_limit_s), "confidence",
			 json_number(judgement->confidence), "why", json_name(judgement->why), "do",
			 json_name(judgement->todo));
}

char *incident_json__line(const struct incident *incident, const char *const *evidence,
			  size_t evidence_count)
{
	json_t *object = pack_head(incident);
	json_t *figures = pack_figures(incident);
	char *line = NULL;

	if (object && figures && !json_object_update(object, figures) &&
	    !json_object_set_new(object, "evidence", json_names(evidence, evidence_count)))
		line = json_dumps(object, JSON_FLAGS);
	json_decref(figures);
	json_decref(object);
	return line;
}

int incident_json__write(FILE *out, const char *line)
{
	errno = 0;
	if (fprintf(out, "%s\n", line) < 0 || fflush(out))
		return errno ? -errno : -EIO;
	return 0;
}
