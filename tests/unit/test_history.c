// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "output/bar.h"
#include "output/history.h"
#include "store_fixture.h"

#define DAYS 10

/* leaky.service grows by 10 MB a day from 100 MB, and is restarted after five; calm.service has
 * 300 MB; an open incident of the first, one of the second that is over. */
static void fill(struct store *store)
{
	int64_t leaky = fixture_subject(store, "leaky.service");
	int64_t calm = fixture_subject(store, "calm\033[2J.service");
	struct incident incident = {.kind = INCIDENT_DRIFT,
				    .subject = leaky,
				    .name = {.unit = "leaky.service", .exe = "/usr/bin/served"},
				    .pid = 900,
				    .begin_unix = T0 + 6 * 86400.,
				    .onset_unix = T0 + 2 * 86400.,
				    .end_unix = NAN,
				    .rss_bytes = 150 * MIB,
				    .limit_bytes = 1024 * MIB,
				    .judgement = {.drift = true,
						  .verdict = DRIFT_LEAK,
						  .component = COMPONENT_MAX,
						  .slope_bytes_per_h = 10. * MIB / 24,
						  .slope_low = NAN,
						  .slope_high = NAN,
						  .confidence = .97,
						  .reaches_limit_s = NAN,
						  .ends_at_bytes = NAN,
						  .ends_s = NAN,
						  .why = "it only grows",
						  .todo = "restart it"}};

	for (int minute = 0; minute < DAYS * 1440; minute++) {
		double t = T0 + minute * 60., days = minute / 1440.;
		struct sample sample = fixture_sample(t, (int64_t)((100 + 10 * days) * MIB));
		bool more;

		if (days >= 5)
			sample.pid = 900;
		assert_int_equal(store__begin(store), 0);
		if (minute % 10 == 0)
			assert_int_equal(store__add_sample(store, leaky, &sample), 0);
		sample = fixture_sample(t, 300 * MIB);
		sample.pid = 77;
		if (!minute)
			assert_int_equal(store__add_sample(store, calm, &sample), 0);
		assert_int_equal(store__add_pass(store, t), 0);
		assert_int_equal(store__commit(store), 0);
		assert_int_equal(store__tidy(store, t, &more), 0);
	}
	assert_int_equal(store__put_incident(store, &incident), 0);
	assert_int_equal(store__put_evidence(store, incident.id, "grow.folded", "a;b 1\n", 6), 0);
	incident.id = 0;
	incident.subject = calm;
	incident.end_unix = T0 + 7 * 86400.;
	strcpy(incident.name.unit, "calm\033[2J.service");
	strcpy(incident.judgement.why, "it was not calm");
	assert_int_equal(store__put_incident(store, &incident), 0);
}

static struct store_fixture fixture;

static int begin(void **state)
{
	setenv("TZ", "UTC0", 1);
	fixture_begin(&fixture);
	fixture_open(&fixture);
	fill(fixture.store);
	return 0;
}

static int end(void **state)
{
	fixture_end(&fixture);
	return 0;
}

static void read_history(struct history *history, const struct history_choice *choice)
{
	assert_int_equal(history__read(history, fixture.store, "watch.db", choice), 0);
}

static char *text_of(const struct history *history, const struct text_options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(history_text__write(out, history, options), 0);
	fclose(out);
	return text;
}

static void check_lines(const char *text)
{
	char *copy = strdup(text), *save;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_true(text_columns(line) <= 100);
		assert_int_not_equal(line[strlen(line) - 1], ' ');
		/* What a name could do to a terminal. */
		assert_null(strchr(line, '\033'));
	}
	free(copy);
}

static void check_has(const char *text, const char *const *wanted)
{
	for (; *wanted; wanted++) {
		const char *found = strstr(text, *wanted);

		if (!found) {
			fail_msg("\"%s\" is not in (or not in its place in)\n%s", *wanted, text);
			return;
		}
		text = found;
	}
}

static void the_host_begins_with_what_is_open(void **state)
{
	static const char *const wanted[] = {
		"watch.db: ",
		"10.0 d until 2020-09-23 12:59, 2 processes; 1 incident is open",
		"leaky.service (served): leak since 2020-09-15 13:00, confidence 0.97",
		"+426.7 kB/h",
		"limit 1,024.0 MB",
		"it only grows",
		"What helps: restart it",
		"evidence: 1-grow.folded, 6 B",
		"since 2020-09-16 12:59",
		"199.9 MB  129.8 MB  +70.2 MB  +10.0 MB",
		"leaky.service (served), incident open",
		"300.0 MB  300.0 MB       0 B",
		"calm\\x1b[2J.service (served)",
		"incidents that are over",
		"it was not calm",
		NULL,
	};
	struct history_choice choice = {
		.since_unix = NAN, .since_s = 7 * 86400, .resolution_s = 3600};
	struct text_options options = {.utf8 = true};
	struct history history;
	char *text;

	read_history(&history, &choice);
	text = text_of(&history, &options);
	check_has(text, wanted);
	check_lines(text);
	free(text);
	history__free(&history);
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

static void a_trend_is_drawn_on_an_honest_scale(void **state)
{
	struct history_choice choice = {
		.unit = "leaky", .since_unix = NAN, .since_s = 28 * 86400, .samples = true};
	struct text_options utf8 = {.utf8 = true}, ascii = {0};
	static const char *const wanted[] = {
		"leaky.service (served) (pid 900): 199.9 MB resident",
		"/usr/bin/served in /system.slice/leaky.service",
		"200.0 MB |",
		"0 B +",
		"!",
		"r",
		"2020-09-13 13:00",
		"2020-09-23 12:59",
		"r: restarted; !: onset of an incident",
		"resident memory",
		"+99.8 MB",
		"threads",
		NULL,
	};
	struct history history;
	char *text;

	read_history(&history, &choice);
	assert_int_equal(history.count, 1);
	text = text_of(&history, &utf8);
	check_has(text, wanted);
	check_lines(text);
	/* From the half of the scale to all of it: three quarters of 700 cells. */
	assert_in_range(count_of(text, "█"), 480, 525);
	assert_null(strstr(text, "The axis begins"));
	/* Of what a census alone tells nothing is known. */
	assert_null(strstr(text, "arenas"));
	free(text);
	text = text_of(&history, &ascii);
	for (const char *c = text; *c; c++)
		assert_true(*c > 0);
	assert_in_range(count_of(text, "#"), 480, 525);
	free(text);
	history__free(&history);
	choice.unit = NULL;
	choice.pid = 77;
	read_history(&history, &choice);
	assert_int_equal(history.count, 1);
	text = text_of(&history, &utf8);
	assert_non_null(strstr(text, "No incident is open."));
	assert_non_null(strstr(text, "The axis begins at "));
	free(text);
	history__free(&history);
}

static void json_has_the_same_facts(void **state)
{
	struct history_choice choice = {
		.unit = "leaky.service", .since_unix = T0 + 86400, .samples = true};
	struct history history;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *root, *subject, *incident;

	read_history(&history, &choice);
	assert_int_equal(history_json__write(out, &history), 0);
	fclose(out);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "schema")),
			    "memdrift.history/1");
	assert_true(json_number_value(json_object_get(root, "since_unix")) == T0 + 86400);
	assert_int_equal(json_array_size(json_object_get(root, "subjects")), 1);
	subject = json_array_get(json_object_get(root, "subjects"), 0);
	assert_int_equal(json_integer_value(json_object_get(subject, "pid")), 900);
	assert_true(json_is_true(json_object_get(subject, "running")));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(subject, "now"), "rss_bytes")) /
			MIB,
		199);
	assert_true(
		json_is_null(json_object_get(json_object_get(subject, "now"), "go_heap_bytes")));
	assert_true(json_array_size(json_object_get(subject, "samples")) > 200);
	assert_int_equal(json_array_size(json_object_get(root, "incidents")), 1);
	incident = json_array_get(json_object_get(root, "incidents"), 0);
	assert_string_equal(json_string_value(json_object_get(incident, "verdict")), "leak");
	assert_true(json_is_null(json_object_get(incident, "end_unix")));
	assert_true(json_is_null(json_object_get(incident, "slope_low")));
	assert_int_equal(json_array_size(json_object_get(incident, "evidence")), 1);
	json_decref(root);
	free(text);
	history__free(&history);
}

static void series_are_written_for_analyze(void **state)
{
	struct series series;
	char *text = NULL, *line, *save;
	size_t size, lines = 0;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(store__read_series(fixture.store, 1, 0, 3600, &series), 0);
	assert_int_equal(history_series__write(out, &series), 0);
	fclose(out);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *json = json_loads(line, 0, NULL);

		assert_non_null(json);
		assert_string_equal(json_string_value(json_object_get(json, "series")),
				    "leaky.service /usr/bin/served 0");
		if (lines)
			assert_int_equal(json_integer_value(json_object_get(json, "rss_bytes")),
					 series.samples[lines - 1].value[COMPONENT_RSS]);
		else
			assert_true(json_number_value(json_object_get(json, "interval_s")) == 3600);
		lines++;
		json_decref(json);
	}
	assert_int_equal(lines, 1 + DAYS * 24);
	series__free(&series);
	free(text);
}

static void units_are_found_by_what_people_call_them(void **state)
{
	static const struct {
		const char *unit;
		size_t count;
	} cases[] = {{"leaky", 1}, {"leaky.service", 1},  {"leak", 0}, {"leaky.s", 0},
		     {"", 0},      {"leaky.service.x", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct history_choice choice = {.unit = cases[i].unit, .since_unix = T0};
		struct history history;

		read_history(&history, &choice);
		assert_int_equal(history.count, cases[i].count);
		assert_int_equal(history.known, 2);
		history__free(&history);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_begins_with_what_is_open),
		cmocka_unit_test(a_trend_is_drawn_on_an_honest_scale),
		cmocka_unit_test(json_has_the_same_facts),
		cmocka_unit_test(series_are_written_for_analyze),
		cmocka_unit_test(units_are_found_by_what_people_call_them),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
