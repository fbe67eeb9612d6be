// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "store_fixture.h"

#define SUBJECTS 40

static uint64_t on_disk(const struct store_fixture *fixture)
{
	static const char *const suffixes[] = {"", "-wal", "-journal"};
	uint64_t bytes = 0;

	for (int i = 0; i < 3; i++) {
		char path[128];
		struct stat stat_;

		snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
		if (!stat(path, &stat_))
			bytes += (uint64_t)stat_.st_size;
	}
	return bytes;
}

/* Everything changes in every pass: more than there is room for. */
static void the_file_keeps_its_bound(void **state)
{
	struct store_fixture fixture;
	int64_t id[SUBJECTS];
	struct store_size size;
	struct series series;
	char name[32];

	fixture_begin(&fixture);
	fixture.options.max_bytes = 4ull << 20;
	fixture_open(&fixture);
	for (int i = 0; i < SUBJECTS; i++) {
		snprintf(name, sizeof(name), "%d.service", i);
		id[i] = fixture_subject(fixture.store, name);
	}
	for (int pass = 0; pass < 4 * 720; pass++) {
		double t = T0 + pass * 60.;
		bool more;

		assert_int_equal(store__begin(fixture.store), 0);
		for (int i = 0; i < SUBJECTS; i++) {
			struct sample sample = fixture_sample(t, (pass * 7919 + i) % 1000 * MIB);

			assert_int_equal(store__add_sample(fixture.store, id[i], &sample), 0);
		}
		assert_int_equal(store__add_pass(fixture.store, t), 0);
		assert_int_equal(store__commit(fixture.store), 0);
		assert_int_equal(store__tidy(fixture.store, t, &more), 0);
		assert_true(on_disk(&fixture) <= fixture.options.max_bytes);
	}
	assert_int_equal(store__size(fixture.store, &size), 0);
	assert_true(size.bytes == on_disk(&fixture));
	assert_true(size.dropped > 0);
	/* The finest went first: every hour is still there. */
	assert_int_equal(store__read_series(fixture.store, id[7], T0, 3600, &series), 0);
	assert_int_equal(series.count, 48);
	series__free(&series);
	fixture_end(&fixture);
}

static void what_does_not_fit_is_an_error_and_then_there_is_room_again(void **state)
{
	struct store_fixture fixture;
	int64_t id;
	int pass = 0, err = 0;
	struct sample sample;

	fixture_begin(&fixture);
	fixture.options.max_bytes = 4ull << 20;
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	/* Nobody tidies. */
	for (; !err && pass < 100000; pass++) {
		assert_int_equal(store__begin(fixture.store), 0);
		for (int i = 0; !err && i < 500; i++) {
			sample = fixture_sample(T0 + pass * 60., i * MIB);
			err = store__add_sample(fixture.store, id, &sample);
		}
		err = err ? err : store__add_pass(fixture.store, T0 + pass * 60.);
		assert_int_equal(store__commit(fixture.store), err);
	}
	assert_int_equal(err, -ENOSPC);
	assert_non_null(strstr(store__error(fixture.store), "full"));
	fixture_tidy(fixture.store, T0 + pass * 60.);
	assert_int_equal(store__begin(fixture.store), 0);
	sample = fixture_sample(T0 + pass * 60., MIB);
	assert_int_equal(store__add_sample(fixture.store, id, &sample), 0);
	assert_int_equal(store__add_pass(fixture.store, T0 + pass * 60.), 0);
	assert_int_equal(store__commit(fixture.store), 0);
	assert_true(on_disk(&fixture) <= fixture.options.max_bytes);
	fixture_end(&fixture);
}

static void pass_at(struct store *store, int64_t id, double t, const struct sample *sample)
{
	assert_int_equal(store__begin(store), 0);
	if (sample)
		assert_int_equal(store__add_sample(store, id, sample), 0);
	assert_int_equal(store__add_pass(store, t), 0);
	assert_int_equal(store__commit(store), 0);
}

/* A process ends, another takes its place; watch itself is off for a while. */
static void gaps_are_gaps(void **state)
{
	struct store_fixture fixture;
	struct sample sample = fixture_sample(T0, 100 * MIB);
	struct series series;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	pass_at(fixture.store, id, T0, &sample);
	for (int pass = 1; pass < 10; pass++)
		pass_at(fixture.store, id, T0 + pass * STEP_S, NULL);
	assert_int_equal(store__begin(fixture.store), 0);
	assert_int_equal(store__gone(fixture.store, id, T0 + 100), 0);
	assert_int_equal(store__add_pass(fixture.store, T0 + 100), 0);
	assert_int_equal(store__commit(fixture.store), 0);
	for (int pass = 11; pass < 20; pass++)
		pass_at(fixture.store, id, T0 + pass * STEP_S, NULL);
	sample = fixture_sample(T0 + 200, 50 * MIB);
	sample.pid = 900;
	pass_at(fixture.store, id, T0 + 200, &sample);
	pass_at(fixture.store, id, T0 + 210, NULL);
	fixture_again(&fixture);
	sample.t_s = T0 + 1000;
	pass_at(fixture.store, id, T0 + 1000, &sample);
	assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
	assert_int_equal(series.count, 13);
	for (int i = 0; i < 10; i++)
		assert_true(series.samples[i].pid == 812 && series.samples[i].t_s < 95);
	assert_true(series.samples[10].t_s == 200 && series.samples[10].pid == 900);
	assert_true(series.samples[11].t_s == 210);
	assert_true(series.samples[12].t_s == 1000);
	series__free(&series);
	/* A clock that was set back. */
	assert_int_equal(store__begin(fixture.store), 0);
	sample.t_s = T0 + 500;
	assert_int_equal(store__add_sample(fixture.store, id, &sample), -EINVAL);
	assert_int_equal(store__add_pass(fixture.store, T0 + 500), -EINVAL);
	assert_int_equal(store__commit(fixture.store), 0);
	fixture_end(&fixture);
}

/* A process that ended while nobody looked is not taken to be there still. */
static void nothing_is_known_to_go_on_over_a_restart(void **state)
{
	struct store_fixture fixture;
	struct sample sample = fixture_sample(T0, 100 * MIB);
	struct series series;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	pass_at(fixture.store, id, T0, &sample);
	pass_at(fixture.store, id, T0 + 10, NULL);
	fixture_again(&fixture);
	pass_at(fixture.store, id, T0 + 20, NULL);
	pass_at(fixture.store, id, T0 + 30, NULL);
	assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
	assert_int_equal(series.count, 2);
	series__free(&series);
	fixture_end(&fixture);
}

/* What was begun and not committed is as if it had never been. */
static void a_pass_that_failed_leaves_nothing(void **state)
{
	struct store_fixture fixture;
	struct sample sample = fixture_sample(T0, 100 * MIB);
	struct store_size size;
	struct series series;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	pass_at(fixture.store, id, T0, &sample);
	assert_int_equal(store__begin(fixture.store), 0);
	sample.t_s = T0 + 10;
	sample.pid = 5;
	assert_int_equal(store__add_sample(fixture.store, id, &sample), 0);
	assert_int_equal(store__add_pass(fixture.store, T0 + 10), 0);
	assert_int_equal(store__size(fixture.store, &size), 0);
	assert_int_equal(size.samples, 2);
	store__close(fixture.store);
	fixture.store = NULL;
	fixture_open(&fixture);
	assert_int_equal(store__size(fixture.store, &size), 0);
	assert_int_equal(size.samples, 1);
	assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
	assert_true(series.count == 1 && series.samples[0].pid == 812);
	series__free(&series);
	fixture_end(&fixture);
}

static void a_census_holds_at_its_own_time_only(void **state)
{
	struct store_fixture fixture;
	struct series series;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	for (int pass = 0; pass < 3 * 60; pass++) {
		struct sample sample = fixture_sample(T0 + pass * 60, 100 * MIB);

		if (pass == 70 || pass == 90)
			sample.value[COMPONENT_ARENAS] = pass / 10;
		pass_at(fixture.store, id, sample.t_s, pass && pass % 10 ? NULL : &sample);
	}
	for (int tidied = 0; tidied < 2; tidied++) {
		assert_int_equal(store__read_series(fixture.store, id, T0, 3600, &series), 0);
		assert_int_equal(series.count, 3);
		assert_int_equal(series.samples[0].value[COMPONENT_ARENAS], SERIES_UNKNOWN);
		assert_int_equal(series.samples[1].value[COMPONENT_ARENAS], 8);
		assert_int_equal(series.samples[2].value[COMPONENT_ARENAS], SERIES_UNKNOWN);
		series__free(&series);
		fixture_tidy(fixture.store, T0 + 3 * 3600);
	}
	fixture_end(&fixture);
}

static void small_changes_need_not_be_kept(void **state)
{
	struct sample kept = fixture_sample(T0, 100 * MIB), now = kept;

	now.value[COMPONENT_RSS] += SAMPLE_DIFFERS_BYTES - 1;
	now.value[COMPONENT_ANON] -= SAMPLE_DIFFERS_BYTES - 1;
	now.t_s++;
	assert_false(sample__differs(&kept, &now));
	now.value[COMPONENT_RSS]++;
	assert_true(sample__differs(&kept, &now));
	now = kept;
	now.value[COMPONENT_FILE] = 0;
	assert_true(sample__differs(&kept, &now));
	now = kept;
	now.value[COMPONENT_THREADS]++;
	assert_true(sample__differs(&kept, &now));
	now = kept;
	now.start_time++;
	assert_true(sample__differs(&kept, &now));
	now = kept;
	now.value[COMPONENT_ARENAS] = 3;
	assert_true(sample__differs(&kept, &now));
}

static int take_incident(void *ctx, const struct incident *incident)
{
	*(struct incident *)ctx = *incident;
	return 0;
}

static int add_size(void *ctx, const char *name, size_t size)
{
	*(size_t *)ctx += size;
	return strcmp(name, "b.folded") != 0 && strcmp(name, "a.pprof") != 0;
}

static void incidents_and_evidence_are_had_again(void **state)
{
	struct store_fixture fixture;
	struct incident incident = {.kind = INCIDENT_OOM,
				    .subject = 3,
				    .name = {.unit = "a.service", .exe = "/a\xff", .slot = 2},
				    .pid = 12,
				    .start_time = UINT64_MAX,
				    .begin_unix = T0,
				    .onset_unix = T0 - 500.5,
				    .end_unix = NAN,
				    .rss_bytes = 7 * MIB,
				    .limit_bytes = SERIES_UNKNOWN,
				    .judgement = {.drift = true,
						  .verdict = DRIFT_THREAD_GROWTH,
						  .component = COMPONENT_THREADS,
						  .slope_bytes_per_h = 12.5,
						  .slope_low = NAN,
						  .reaches_limit_s = NAN,
						  .confidence = .9,
						  .why = "because"}},
			got;
	size_t size = 100000, sum = 0;
	char *bytes = malloc(size);
	void *back;

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i % 251);
	fixture_begin(&fixture);
	fixture_open(&fixture);
	assert_int_equal(store__put_incident(fixture.store, &incident), 0);
	assert_true(incident.id > 0);
	assert_int_equal(store__put_evidence(fixture.store, incident.id, "b.folded", bytes, size),
			 0);
	assert_int_equal(store__put_evidence(fixture.store, incident.id, "a.pprof", "", 0), 0);
	assert_int_equal(store__put_evidence(fixture.store, incident.id, "../a", "", 0), -EINVAL);
	fixture_again(&fixture);
	assert_int_equal(store__each_incident(fixture.store, 3, 0, take_incident, &got), 0);
	assert_int_equal(got.id, incident.id);
	assert_int_equal(got.kind, INCIDENT_OOM);
	assert_string_equal(got.name.exe, "/a\xff");
	assert_true(got.start_time == UINT64_MAX && got.onset_unix == T0 - 500.5);
	assert_true(isnan(got.end_unix) && got.limit_bytes == SERIES_UNKNOWN);
	assert_int_equal(got.judgement.verdict, DRIFT_THREAD_GROWTH);
	assert_int_equal(got.judgement.component, COMPONENT_THREADS);
	assert_true(got.judgement.slope_bytes_per_h == 12.5 && isnan(got.judgement.slope_low));
	assert_string_equal(got.judgement.why, "because");
	got.end_unix = T0 + 5;
	assert_int_equal(store__put_incident(fixture.store, &got), 0);
	got.id = 0;
	assert_int_equal(store__each_incident(fixture.store, 0, T0, take_incident, &got), 0);
	assert_true(got.id == incident.id && got.end_unix == T0 + 5);
	assert_int_equal(store__get_evidence(fixture.store, incident.id, "b.folded", &back, &size),
			 0);
	assert_int_equal(size, 100000);
	assert_memory_equal(back, bytes, size);
	free(back);
	assert_int_equal(store__get_evidence(fixture.store, incident.id, "c", &back, &size),
			 -ENOENT);
	assert_int_equal(store__each_evidence(fixture.store, incident.id, add_size, &sum), 0);
	assert_int_equal(sum, 100000);
	free(bytes);
	fixture_end(&fixture);
}

/* An interval is not lost for a file of evidence that is too large. */
static void evidence_has_its_share(void **state)
{
	struct store_fixture fixture;
	struct incident incident = {.begin_unix = T0, .onset_unix = NAN, .end_unix = NAN};
	unsigned int seed = 1;
	size_t size = 100000, kept = 0;
	char *bytes = malloc(2 * size);

	assert_non_null(bytes);
	for (size_t i = 0; i < 2 * size; i++)
		bytes[i] = (char)(seed = seed * 1103515245 + 12345, seed >> 16);
	fixture_begin(&fixture);
	fixture.options.max_bytes = 4ull << 20;
	fixture_open(&fixture);
	for (int i = 0; i < 30; i++) {
		incident.id = 0;
		assert_int_equal(store__begin(fixture.store), 0);
		assert_int_equal(store__put_incident(fixture.store, &incident), 0);
		assert_int_equal(
			store__put_evidence(fixture.store, incident.id, "b.folded", bytes, size),
			0);
		assert_int_equal(
			store__put_evidence(fixture.store, incident.id, "a.pprof", bytes, 2 * size),
			-EFBIG);
		assert_int_equal(store__commit(fixture.store), 0);
	}
	for (int64_t i = 1; i <= 30; i++)
		assert_int_equal(store__each_evidence(fixture.store, i, add_size, &kept), 0);
	assert_true(kept == 10 * size);
	assert_true(on_disk(&fixture) <= fixture.options.max_bytes);
	free(bytes);
	fixture_end(&fixture);
}

static int count_subject(void *ctx, const struct store_subject *subject)
{
	++*(int *)ctx;
	assert_string_equal(subject->name.unit, "a.service");
	assert_int_equal(subject->pid, 812);
	assert_true(subject->first_unix == T0 && subject->running);
	return 0;
}

static void state_and_subjects_survive(void **state)
{
	struct store_fixture fixture;
	struct sample sample = fixture_sample(T0, MIB);
	struct series series;
	int64_t id;
	int value = 42, count = 0;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	assert_int_equal(store__set_limits(fixture.store, id, 5 * MIB, 16, 2), 0);
	assert_int_equal(store__put_state(fixture.store, id, "alarm", &value, sizeof(value)), 0);
	fixture_again(&fixture);
	assert_int_equal(fixture_subject(fixture.store, "a.service"), id);
	pass_at(fixture.store, id, T0, &sample);
	value = 0;
	assert_int_equal(store__get_state(fixture.store, id, "alarm", &value, sizeof(value)), 0);
	assert_int_equal(value, 42);
	assert_int_equal(store__get_state(fixture.store, id, "alarm", &value, 2), -EINVAL);
	assert_int_equal(store__get_state(fixture.store, id, "x", &value, 4), -ENOENT);
	assert_int_equal(store__each_subject(fixture.store, count_subject, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
	assert_int_equal(series.limit_bytes, 5 * MIB);
	assert_int_equal(series.arena_limit, 16);
	assert_true(series.cpus == 2 && series.count == 1);
	series__free(&series);
	assert_int_equal(store__read_series(fixture.store, id + 1, T0, 0, &series), -ENOENT);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_keeps_its_bound),
		cmocka_unit_test(what_does_not_fit_is_an_error_and_then_there_is_room_again),
		cmocka_unit_test(gaps_are_gaps),
		cmocka_unit_test(nothing_is_known_to_go_on_over_a_restart),
		cmocka_unit_test(a_pass_that_failed_leaves_nothing),
		cmocka_unit_test(a_census_holds_at_its_own_time_only),
		cmocka_unit_test(small_changes_need_not_be_kept),
		cmocka_unit_test(incidents_and_evidence_are_had_again),
		cmocka_unit_test(evidence_has_its_share),
		cmocka_unit_test(state_and_subjects_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
