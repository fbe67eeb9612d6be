// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "store_fixture.h"

/* RSS of the i-th pass: it grows, jumps and stands still. */
static int64_t rss_of(int pass)
{
	return (100 + (pass / 50) * 3 + (pass % 50 < 10 ? pass % 50 : 0)) * MIB;
}

/* Passes [from, to), with samples of those that changed. */
static void add_passes(struct store *store, int64_t subject, int from, int to)
{
	for (int pass = from; pass < to; pass++) {
		double t = T0 + pass * STEP_S;
		struct sample sample = fixture_sample(t, rss_of(pass));

		assert_int_equal(store__begin(store), 0);
		if (pass == from || rss_of(pass) != rss_of(pass - 1))
			assert_int_equal(store__add_sample(store, subject, &sample), 0);
		assert_int_equal(store__add_pass(store, t), 0);
		assert_int_equal(store__commit(store), 0);
	}
}

static void every_pass_is_read_back(void **state)
{
	struct store_fixture fixture;
	struct series series;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	add_passes(fixture.store, id, 0, 300);
	assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
	assert_int_equal(series.count, 300);
	assert_true(series.start_unix == T0);
	for (int i = 0; i < 300; i++) {
		const struct sample *sample = &series.samples[i];

		assert_true(fabs(sample->t_s - i * STEP_S) < .01);
		assert_int_equal(sample->value[COMPONENT_RSS], rss_of(i));
		assert_int_equal(sample->value[COMPONENT_FILE], SERIES_UNKNOWN);
		assert_int_equal(sample->pid, 812);
	}
	series__free(&series);
	fixture_end(&fixture);
}

/* The mean of passes [from, to), each of which speaks for its ten seconds. */
static int64_t mean_rss(int from, int to)
{
	int64_t sum = 0;

	for (int i = from; i < to; i++)
		sum += rss_of(i);
	return (sum + (to - from) / 2) / (to - from);
}

static void check_buckets(struct store *store, int64_t id, int passes, double resolution, bool all)
{
	struct series series;
	int each = (int)(resolution / STEP_S);

	assert_int_equal(store__read_series(store, id, T0, resolution, &series), 0);
	assert_int_equal(series.count, (passes + each - 1) / each);
	for (size_t i = 0; i + !all < series.count; i++) {
		int from = (int)i * each, to = from + each < passes ? from + each : passes;

		assert_true(llabs(series.samples[i].value[COMPONENT_RSS] - mean_rss(from, to)) <=
			    1);
	}
	series__free(&series);
}

static void coarse_samples_are_means_however_they_are_kept(void **state)
{
	struct store_fixture fixture;
	struct store_size size;
	int passes = 30 * 360; /* thirty hours */
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	add_passes(fixture.store, id, 0, passes);
	check_buckets(fixture.store, id, passes, 60, true);
	check_buckets(fixture.store, id, passes, 3600, true);
	fixture_tidy(fixture.store, T0 + passes * STEP_S);
	assert_int_equal(store__size(fixture.store, &size), 0);
	assert_true(size.minutes > 0 && size.hours == 29);
	/* The thirtieth has no pass after it yet. Six hours of samples, those in which something
	 * changed. */
	assert_true(size.samples <= 7 * 360);
	assert_int_equal(size.dropped, 0);
	check_buckets(fixture.store, id, passes, 60, true);
	check_buckets(fixture.store, id, passes, 3600, true);
	/* What came after the last pass of a writer that has gone is not known. */
	fixture_again(&fixture);
	check_buckets(fixture.store, id, passes, 60, false);
	check_buckets(fixture.store, id, passes, 3600, false);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pass_is_read_back),
		cmocka_unit_test(coarse_samples_are_means_however_they_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
