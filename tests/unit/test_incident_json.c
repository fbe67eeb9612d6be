// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "watch/incident_json.h"

/* 2026-11-14T03:20:00Z, as `date -u +%s -d` has it. */
#define RAISED_UNIX 1794626400.0

static struct incident make_incident(void)
{
	struct incident incident = {
		.id = 7,
		.kind = INCIDENT_DRIFT,
		.subject = 3,
		.pid = 4711,
		.begin_unix = RAISED_UNIX,
		.onset_unix = RAISED_UNIX - 86400.5,
		.end_unix = NAN,
		.rss_bytes = 9771050598,
		.limit_bytes = 17179869184,
		.judgement =
			{
				.drift = true,
				.verdict = DRIFT_ARENA_GROWTH,
				.slope_bytes_per_h = 20971520.4,
				.slope_low = 1e7,
				.slope_high = 3e7,
				.grown_bytes = 5e8,
				.confidence = 0.97,
				.reaches_limit_s = RAISED_UNIX + 86400,
				.ends_at_bytes = 21474836480,
				.ends_s = RAISED_UNIX + 2 * 86400,
				.why = "arenas 61 -> 148 of 256",
				.todo = "set MALLOC_ARENA_MAX=2",
			},
	};

	strcpy(incident.name.unit, "nitro.service");
	strcpy(incident.name.exe, "/opt/nitro");
	strcpy(incident.name.comm, "nitro");
	return incident;
}

static json_t *read_line(const struct incident *incident, const char *const *evidence, size_t count)
{
	char *line = incident_json__line(incident, evidence, count);
	json_t *object;

	assert_non_null(line);
	for (const char *c = line; *c; c++)
		assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
	object = json_loads(line, 0, NULL);
	free(line);
	assert_non_null(object);
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static void says_all_of_an_incident(void **state)
{
	const char *const evidence[] = {"folded", "pprof"};
	struct incident incident = make_incident();
	json_t *object = read_line(&incident, evidence, 2);
	const json_t *ends = json_object_get(object, "ends");

	assert_string_equal(text_of(object, "schema"), "memdrift.incident/1");
	assert_int_equal(number_of(object, "id"), 7);
	assert_string_equal(text_of(object, "kind"), "drift");
	assert_string_equal(text_of(object, "state"), "raised");
	assert_string_equal(text_of(object, "verdict"), "arena-growth");
	assert_string_equal(text_of(object, "process"), "nitro");
	assert_string_equal(text_of(object, "unit"), "nitro.service");
	assert_int_equal(number_of(object, "pid"), 4711);
	assert_string_equal(text_of(object, "since"), "2026-11-14T03:20:00Z");
	assert_string_equal(text_of(object, "onset"), "2026-11-13T03:19:59Z");
	assert_true(json_is_null(json_object_get(object, "until")));
	assert_int_equal(number_of(object, "rss_bytes"), 9771050598);
	assert_int_equal(number_of(object, "slope_bytes_per_h"), 20971520);
	assert_int_equal(number_of(object, "slope_low"), 10000000);
	assert_int_equal(number_of(object, "slope_high"), 30000000);
	assert_int_equal(number_of(ends, "at_bytes"), 21474836480);
	assert_string_equal(text_of(ends, "by"), "2026-11-16T03:20:00Z");
	assert_int_equal(number_of(object, "limit_bytes"), 17179869184);
	assert_string_equal(text_of(object, "reaches_limit"), "2026-11-15T03:20:00Z");
	assert_true(json_real_value(json_object_get(object, "confidence")) == 0.97);
	assert_string_equal(text_of(object, "why"), "arenas 61 -> 148 of 256");
	assert_string_equal(text_of(object, "do"), "set MALLOC_ARENA_MAX=2");
	assert_int_equal(json_array_size(json_object_get(object, "evidence")), 2);
	json_decref(object);
}

static void what_is_unknown_is_null(void **state)
{
	static const char *const keys[] = {
		"unit",        "cgroup", "onset",         "rss_bytes",  "slope_low",        "ends",
		"limit_bytes", "do",     "reaches_limit", "slope_high", "slope_bytes_per_h"};
	struct incident incident = make_incident();
	json_t *object;

	incident.kind = INCIDENT_OOM;
	*incident.name.unit = '\0';
	*incident.judgement.todo = '\0';
	incident.onset_unix = NAN;
	incident.rss_bytes = incident.limit_bytes = SERIES_UNKNOWN;
	incident.judgement.slope_bytes_per_h = INFINITY;
	incident.judgement.slope_low = -INFINITY;
	incident.judgement.slope_high = NAN;
	incident.judgement.ends_at_bytes = NAN;
	incident.judgement.reaches_limit_s = 1e300;
	object = read_line(&incident, NULL, 0);
	assert_string_equal(text_of(object, "state"), "oom");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!json_is_null(json_object_get(object, keys[i])))
			fail_msg("%s is not null", keys[i]);
	assert_int_equal(json_array_size(json_object_get(object, "evidence")), 0);
	json_decref(object);
}

static void an_end_clears_it(void **state)
{
	struct incident incident = make_incident();
	json_t *object;

	incident.end_unix = RAISED_UNIX + 60;
	object = read_line(&incident, NULL, 0);
	assert_string_equal(text_of(object, "state"), "cleared");
	assert_string_equal(text_of(object, "until"), "2026-11-14T03:21:00Z");
	json_decref(object);
}

static void any_bytes_stay_on_one_line(void **state)
{
	struct incident incident = make_incident();
	const char *const evidence[] = {"\xff\n\"", "\xc2\x9b"};
	json_t *object;
	char raw[256];

	for (int i = 0; i < 255; i++)
		raw[i] = (char)(i + 1);
	raw[255] = '\0';
	memcpy(incident.name.unit, raw, sizeof(raw));
	memcpy(incident.name.exe, raw, sizeof(raw));
	memcpy(incident.judgement.why, raw, sizeof(raw));
	memcpy(incident.name.comm, raw + 100, SUBJECT_COMM_MAX - 1);
	object = read_line(&incident, evidence, 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(object, "evidence"), 0)),
		"\\xff\\x0a\"");
	json_decref(object);
}

static void a_full_disk_is_an_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(incident_json__write(full, "{}"), -ENOSPC);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_all_of_an_incident),
		cmocka_unit_test(what_is_unknown_is_null),
		cmocka_unit_test(an_end_clears_it),
		cmocka_unit_test(any_bytes_stay_on_one_line),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
