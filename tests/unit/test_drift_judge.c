// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "drift/judgement.h"
#include "drift_series.h"
#include "drift_work.h"

#define WEEKS_3 504

/* Judges hourly values of so many MiB. */
typedef double (*level_fn)(double hour, struct test_noise *noise);

static void fill(struct series *series, level_fn level, int hours, uint64_t seed)
{
	struct test_noise noise = {seed};

	series__init(series);
	for (int hour = 0; hour < hours; hour++) {
		struct sample sample = test_sample(hour, level(hour, &noise), 7);

		assert_int_equal(series__add(series, &sample), 0);
	}
}

static struct judgement judge(level_fn level, int hours, uint64_t seed)
{
	struct judgement judgement;
	struct series series;

	fill(&series, level, hours, seed);
	assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
	series__free(&series);
	return judgement;
}

static double leak(double hour, struct test_noise *noise)
{
	return 300 + 0.25 * hour + test_normal(noise);
}

static void a_leak_drifts_with_its_slope(void **state)
{
	struct judgement judgement = judge(leak, WEEKS_3, 1);

	assert_true(judgement.drift);
	assert_int_equal(judgement.verdict, DRIFT_LEAK);
	/* There is nothing but RSS. */
	assert_non_null(strstr(judgement.why, "its heaps were not read"));
	assert_true(fabs(judgement.slope_bytes_per_h / (0.25 * MIB_BYTES) - 1) < 0.05);
	assert_true(judgement.slope_low < judgement.slope_bytes_per_h);
	assert_true(judgement.slope_high > judgement.slope_bytes_per_h);
	assert_true(judgement.onset_s < 36 * 3600);
	assert_true(judgement.confidence > 0.99);
}

static double steady(double hour, struct test_noise *noise)
{
	return 300 + 3 * test_normal(noise);
}

static double late_leak(double hour, struct test_noise *noise)
{
	return 300 + fmax(hour - 336, 0) * 0.5 + test_normal(noise);
}

static void a_leak_that_begins_late_has_its_onset(void **state)
{
	struct judgement judgement = judge(late_leak, WEEKS_3, 2);

	assert_true(judgement.drift);
	assert_true(fabs(judgement.onset_s / 3600 - 336) < 24);
	assert_true(fabs(judgement.slope_bytes_per_h / (0.5 * MIB_BYTES) - 1) < 0.15);
}

static double step(double hour, struct test_noise *noise)
{
	return 300 + (hour > 200 ? 80 : 0) + test_normal(noise);
}

static double two_steps(double hour, struct test_noise *noise)
{
	return 300 + (hour > 150 ? 60 : 0) + (hour > 380 ? 90 : 0) + test_normal(noise);
}

static double warm_up(double hour, struct test_noise *noise)
{
	return 300 + 400 * -expm1(-hour / 30) + test_normal(noise);
}

static double cycles(double hour, struct test_noise *noise)
{
	double day = sin(2 * M_PI * hour / 24), week = sin(2 * M_PI * hour / 168);

	return 300 + 60 * day + 30 * week + 2 * test_normal(noise);
}

static double ended(double hour, struct test_noise *noise)
{
	return 300 + 0.5 * fmin(hour, 250) + test_normal(noise);
}

static double flushed(double hour, struct test_noise *noise)
{
	return 300 + 5 * fmod(hour, 31) + test_normal(noise);
}

static double constant(double hour, struct test_noise *noise)
{
	return 300;
}

static void what_does_not_drift_is_said_so(void **state)
{
	static const level_fn levels[] = {steady, step,  two_steps, warm_up,
					  cycles, ended, flushed,   constant};

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		struct judgement judgement = judge(levels[i], WEEKS_3, 3 + i);

		assert_false(judgement.drift);
		assert_int_equal(judgement.verdict, DRIFT_NONE);
		assert_true(isnan(judgement.onset_s));
		assert_true(strlen(judgement.why) > 0);
	}
	assert_true(judge(warm_up, WEEKS_3, 3).plateau);
}

static double leak_under_cycles(double hour, struct test_noise *noise)
{
	return cycles(hour, noise) + 0.3 * hour;
}

static void a_leak_under_cycles_is_found(void **state)
{
	struct judgement judgement = judge(leak_under_cycles, WEEKS_3, 4);

	assert_true(judgement.drift);
	assert_true(fabs(judgement.slope_bytes_per_h / (0.3 * MIB_BYTES) - 1) < 0.2);
}

/* A value that forgets a 50th of itself an hour: wanders by more than what would be drift. */
static double wandering;

static double wander(double hour, struct test_noise *noise)
{
	wandering = hour > 0 ? 0.98 * wandering + 4 * test_normal(noise) : 0;
	return 300 + wandering;
}

static void noise_that_wanders_is_rarely_drift(void **state)
{
	int drifts = 0;

	for (uint64_t seed = 100; seed < 160; seed++)
		drifts += judge(wander, WEEKS_3, seed).drift;
	assert_true(drifts <= 3);
}

static void an_hour_says_nothing(void **state)
{
	for (int hours = 0; hours < 24; hours++)
		assert_int_equal(judge(leak, hours, 5).verdict, DRIFT_INSUFFICIENT_DATA);
}

/* Daily restarts that take the leak away, and those that do not hide one. */
static void fill_restarted(struct series *series, double mib_per_h)
{
	struct test_noise noise = {6};

	series__init(series);
	for (int hour = 0; hour < WEEKS_3; hour++) {
		int life = (hour + 5) / 25, age = (hour + 5) % 25;
		struct sample sample = test_sample(
			hour, 300 + mib_per_h * age + 0.3 * test_normal(&noise), 10 + life);

		assert_int_equal(series__add(series, &sample), 0);
	}
}

static void a_leak_that_restarts_hide_is_one(void **state)
{
	struct judgement judgement;
	struct series series;

	fill_restarted(&series, 0.5);
	assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
	assert_true(judgement.drift);
	assert_true(fabs(judgement.slope_bytes_per_h / (0.5 * MIB_BYTES) - 1) < 0.25);
	series__free(&series);
	fill_restarted(&series, 0);
	assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
	assert_false(judgement.drift);
	series__free(&series);
}

/* Pages of files that the kernel took and that come back are as they were: no file grows. */
static void pages_that_come_back_are_no_growth(void **state)
{
	struct test_noise noise = {5};
	struct judgement judgement;
	struct series series;

	for (int grows = 0; grows < 2; grows++) {
		series__init(&series);
		for (int hour = 0; hour < 54; hour++) {
			double taken = hour < 22 ? 0 : 40 * exp(-(hour - 22) / 20.0);
			double file_mib = grows ? 60 + 0.8 * hour : 60 - taken;
			double mib = 100 + file_mib + test_normal(&noise);
			struct sample sample = test_sample(hour, mib, 7);

			sample.value[COMPONENT_FILE] = (int64_t)(file_mib * MIB_BYTES);
			sample.value[COMPONENT_ANON] = (int64_t)((mib - file_mib) * MIB_BYTES);
			sample.value[COMPONENT_SHMEM] = sample.value[COMPONENT_SWAP] = 0;
			assert_int_equal(series__add(&series, &sample), 0);
		}
		assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
		series__free(&series);
		assert_int_equal(judgement.drift, grows);
	}
}

static void strange_series_are_survived(void **state)
{
	static const int64_t values[] = {0, 1, INT64_MAX / 4, SERIES_UNKNOWN};
	struct judgement judgement;
	struct series series;

	for (size_t i = 0; i < 4 * 4; i++) {
		series__init(&series);
		for (int hour = 0; hour < 200; hour++) {
			struct sample sample = test_sample(hour * 3.7, 1, (uint32_t)hour / 90);

			for (int c = 0; c < COMPONENT_MAX; c++)
				sample.value[c] = values[hour % 3 ? i % 4 : i / 4];
			assert_int_equal(series__add(&series, &sample), 0);
		}
		assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
		assert_false(isnan(judgement.confidence));
		series__free(&series);
	}
}

static void the_limit_is_projected(void **state)
{
	struct judgement judgement;
	struct series series;

	fill(&series, leak, WEEKS_3, 1);
	series.limit_bytes = (int64_t)(1000 * MIB_BYTES);
	assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
	/* 300 + 0.25 h = 1000 at 2,800 h. */
	assert_true(fabs(judgement.reaches_limit_s / 3600 - 2800) < 200);
	series__free(&series);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_drifts_with_its_slope),
		cmocka_unit_test(a_leak_that_begins_late_has_its_onset),
		cmocka_unit_test(what_does_not_drift_is_said_so),
		cmocka_unit_test(a_leak_under_cycles_is_found),
		cmocka_unit_test(noise_that_wanders_is_rarely_drift),
		cmocka_unit_test(an_hour_says_nothing),
		cmocka_unit_test(a_leak_that_restarts_hide_is_one),
		cmocka_unit_test(pages_that_come_back_are_no_growth),
		cmocka_unit_test(strange_series_are_survived),
		cmocka_unit_test(the_limit_is_projected),
	};

	return cmocka_run_group_tests(tests, have_work, free_work);
}
