// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>

#include "output/history.h"
#include "output/json.h"

#define JSON_FLAGS (JSON_REAL_PRECISION(12) | JSON_COMPACT)

static json_t *json_value(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static json_t *json_values(const struct sample *sample)
{
	json_t *values;

	if (isnan(sample->t_s))
		return json_null();
	values = json_pack("{s:o}", "t_unix", json_number(sample->t_s));
	for (int i = 0; i < COMPONENT_MAX; i++)
		json_object_set_new(values, component__key(i), json_value(sample->value[i]));
	return values;
}

static json_t *json_name(json_t *object, const struct subject_name *name)
{
	json_object_set_new(object, "unit", *name->unit ? json_text(name->unit) : json_null());
	json_object_set_new(object, "cgroup",
			    *name->cgroup ? json_text(name->cgroup) : json_null());
	json_object_set_new(object, "exe", *name->exe ? json_text(name->exe) : json_null());
	json_object_set_new(object, "comm", json_text(name->comm));
	json_object_set_new(object, "slot", json_integer(name->slot));
	return object;
}

static json_t *json_samples(const struct series *series)
{
	json_t *samples = json_array();

	for (size_t i = 0; i < series->count; i++) {
		struct sample sample = series->samples[i];
		json_t *values;

		sample.t_s += series->start_unix;
		values = json_values(&sample);
		json_object_set_new(values, "pid", json_integer(sample.pid));
		json_array_append_new(samples, values);
	}
	return samples;
}

static json_t *json_subject(const struct history *history, const struct history_subject *subject)
{
	const struct store_subject *who = &subject->subject;
	json_t *object = json_pack("{s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:I}", "id",
				   (json_int_t)who->id, "pid", (json_int_t)who->pid, "running",
				   who->running, "first_unix", json_number(who->first_unix),
				   "last_unix", json_number(who->last_unix), "limit_bytes",
				   json_value(subject->series.limit_bytes), "before",
				   json_values(&subject->then), "now", json_values(&subject->now),
				   "open_incidents", (json_int_t)subject->open_incidents);

	json_object_set_new(object, "growth_bytes",
			    isnan(subject->now.t_s) || isnan(subject->then.t_s)
				    ? json_null()
				    : json_integer(history_subject__growth(subject)));
	if (history->chosen)
		json_object_set_new(object, "samples", json_samples(&subject->series));
	return json_name(object, &who->name);
}

static void add_judgement(json_t *object, const struct judgement *judgement)
{
	json_object_set_new(object, "verdict", json_text(drift_verdict__text(judgement->verdict)));
	json_object_set_new(object, "component",
			    judgement->component < COMPONENT_MAX
				    ? json_text(component__key(judgement->component))
				    : json_null());
	json_object_set_new(object, "slope_bytes_per_h", json_number(judgement->slope_bytes_per_h));
	json_object_set_new(object, "slope_low", json_number(judgement->slope_low));
	json_object_set_new(object, "slope_high", json_number(judgement->slope_high));
	json_object_set_new(object, "level_bytes", json_number(judgement->level_bytes));
	json_object_set_new(object, "grown_bytes", json_number(judgement->grown_bytes));
	json_object_set_new(object, "confidence", json_number(judgement->confidence));
	json_object_set_new(object, "reaches_limit_unix", json_number(judgement->reaches_limit_s));
	json_object_set_new(object, "ends_at_bytes", json_number(judgement->ends_at_bytes));
	json_object_set_new(object, "ends_unix", json_number(judgement->ends_s));
	json_object_set_new(object, "why", json_text(judgement->why));
	json_object_set_new(object, "do",
			    *judgement->todo ? json_text(judgement->todo) : json_null());
}

static json_t *json_incident(const struct history_incident *incident)
{
	const struct incident *what = &incident->incident;
	json_t *evidence = json_array();
	json_t *object = json_pack(
		"{s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)what->id, "kind",
		what->kind == INCIDENT_OOM ? "oom" : "drift", "subject", (json_int_t)what->subject,
		"pid", (json_int_t)what->pid, "begin_unix", json_number(what->begin_unix),
		"onset_unix", json_number(what->onset_unix), "end_unix",
		json_number(what->end_unix), "rss_bytes", json_value(what->rss_bytes),
		"limit_bytes", json_value(what->limit_bytes));

	for (size_t i = 0; i < incident->evidence_count; i++)
		json_array_append_new(evidence,
				      json_pack("{s:o, s:o}", "name",
						json_text(incident->evidence[i].name), "bytes",
						json_count(incident->evidence[i].size)));
	json_name(object, &what->name);
	add_judgement(object, &what->judgement);
	json_object_set_new(object, "evidence", evidence);
	return object;
}

int history_json__write(FILE *out, const struct history *history)
{
	json_t *subjects = json_array(), *incidents = json_array(), *root;
	int err = 0;

	for (size_t i = 0; i < history->count; i++)
		json_array_append_new(subjects, json_subject(history, &history->subjects[i]));
	for (size_t i = 0; i < history->incident_count; i++)
		json_array_append_new(incidents, json_incident(&history->incidents[i]));
	root = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "schema",
			 "memdrift.history/1", "version", MEMDRIFT_VERSION, "db",
			 json_text(history->path), "first_unix", json_number(history->first_unix),
			 "last_unix", json_number(history->last_unix), "since_unix",
			 json_number(history->since_unix), "known", (json_int_t)history->known,
			 "subjects", subjects, "incidents", incidents);
	if (!root)
		return -ENOMEM;
	if (json_dumpf(root, out, JSON_FLAGS) || fputc('\n', out) == EOF)
		err = -EIO;
	json_decref(root);
	return err;
}
