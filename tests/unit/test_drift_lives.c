// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "drift/judgement.h"
#include "drift/lives.h"
#include "drift_series.h"
#include "drift_work.h"

#define WEEKS_3 504

/* What a process holds at an age, in MiB. */
typedef double (*age_fn)(double age_h);

/* Restarted each life_h hours. */
static void fill(struct series *series, age_fn level, int life_h, double noise_mib)
{
	struct test_noise noise = {11};

	series__init(series);
	for (int hour = 0; hour < WEEKS_3; hour++) {
		double mib = level(hour % life_h) + noise_mib * test_normal(&noise);
		struct sample sample = test_sample(hour, mib, 100 + hour / life_h);

		assert_int_equal(series__add(series, &sample), 0);
	}
}

static double late_slope(age_fn level, int life_h, double since_h)
{
	struct series series;
	struct track track;
	struct grid grid;
	double slope;

	fill(&series, level, life_h, 0);
	assert_int_equal(grid__build(&grid, &series, series.count), 0);
	track__build(&track, &grid, grid.row[COMPONENT_RSS], MIB);
	slope = lives__late_slope(&track, since_h);
	grid__free(&grid);
	series__free(&series);
	return slope;
}

static struct lives_growth growth_of(age_fn level, int life_h, double noise_mib)
{
	struct lives_growth growth;
	struct series series;
	struct track track;
	struct grid grid;

	fill(&series, level, life_h, noise_mib);
	assert_int_equal(grid__build(&grid, &series, series.count), 0);
	track__build(&track, &grid, grid.row[COMPONENT_RSS], MIB);
	lives__growth(&track, 0, &growth);
	grid__free(&grid);
	series__free(&series);
	return growth;
}

static double leak(double age_h)
{
	return 200 + 0.5 * age_h;
}

static double slow_leak(double age_h)
{
	return 200 + 0.1 * age_h;
}

/* Fast at first, slower later: more than one time constant has, as real warm-ups do. */
static double warm_up(double age_h)
{
	return 200 + 60 * (1 - exp(-sqrt(age_h / 2)));
}

static void a_leak_goes_on_late_in_life(void **state)
{
	assert_true(fabs(late_slope(leak, 126, 0) - 0.5) < 0.01);
	assert_true(fabs(late_slope(leak, 126, 300) - 0.5) < 0.01);
}

static void a_warm_up_does_not(void **state)
{
	double slope = late_slope(warm_up, 126, 0);

	assert_true(slope > 0 && slope < 0.01);
}

static void short_lives_do_not_tell(void **state)
{
	assert_true(isnan(late_slope(leak, 24, 0)));
	/* What ended before does not count. */
	assert_true(isnan(late_slope(leak, WEEKS_3, WEEKS_3 + 1)));
}

static void short_lives_tell_together(void **state)
{
	struct lives_growth growth = growth_of(leak, 24, 1);

	assert_in_range(growth.lives, 15, 21);
	assert_true(growth.share > 0.9);
	assert_true(fabs(growth.slope - 0.5) < 4 * growth.error);
	assert_true(growth.error > 0.005 && growth.error < 0.05);
	assert_true(fabs(growth.early - 0.5) < 0.1 && fabs(growth.whole - 0.5) < 0.1);
	growth = growth_of(warm_up, 24, 0);
	assert_true(growth.slope < 0.4 * growth.early);
}

/* A track of them has bins of an hour and begins later. */
static void lives_of_some_hours_have_rows_enough(void **state)
{
	struct lives_growth growth = growth_of(leak, 10, 0);

	assert_in_range(growth.lives, 17, 20);
	assert_true(fabs(growth.slope - 0.5) < 0.001);
	growth = growth_of(leak, 5, 0);
	assert_true(growth.share < 0.5 && isnan(growth.slope));
}

/* What begins later changes nothing of a look at an earlier time. */
static void a_look_does_not_see_later_lives(void **state)
{
	struct track then, back;
	struct series series;
	struct grid grid, cut;

	series__init(&series);
	for (int hour = 0; hour < 2 * WEEKS_3; hour++) {
		uint32_t pid = 100 + (hour < WEEKS_3 ? 0 : (uint32_t)hour / 6);
		struct sample sample = test_sample(hour, 200 + hour % 6, pid);

		assert_int_equal(series__add(&series, &sample), 0);
	}
	assert_int_equal(grid__build(&grid, &series, series.count), 0);
	cut = grid__cut(&grid, WEEKS_3);
	track__build(&back, &cut, cut.row[COMPONENT_RSS], MIB);
	grid__free(&grid);
	assert_int_equal(grid__build(&grid, &series, WEEKS_3), 0);
	track__build(&then, &grid, grid.row[COMPONENT_RSS], MIB);
	assert_int_equal(cut.lives, grid.lives);
	assert_int_equal(back.count, then.count);
	assert_true(back.bin_h == then.bin_h && back.span_h == then.span_h);
	grid__free(&grid);
	series__free(&series);
}

static struct judgement judge(age_fn level, int life_h)
{
	struct judgement judgement;
	struct series series;

	fill(&series, level, life_h, 0.2);
	assert_int_equal(drift__judge(work, &series, series.count, &judgement), 0);
	series__free(&series);
	return judgement;
}

static void a_process_that_is_often_started_again_is_judged_by_that(void **state)
{
	struct judgement judgement;

	assert_false(judge(warm_up, 126).drift);
	assert_true(judge(leak, 126).drift);
	assert_false(judge(warm_up, 24).drift);
	assert_false(judge(warm_up, 5).drift);
	/* In a day little more than noise, in two weeks drift. */
	judgement = judge(slow_leak, 24);
	assert_true(judgement.drift);
	assert_true(fabs(judgement.slope_bytes_per_h / MIB - 0.1) < 0.01);
	assert_true(judgement.slope_low / MIB < 0.1 && judgement.slope_high / MIB > 0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_goes_on_late_in_life),
		cmocka_unit_test(a_warm_up_does_not),
		cmocka_unit_test(short_lives_do_not_tell),
		cmocka_unit_test(short_lives_tell_together),
		cmocka_unit_test(lives_of_some_hours_have_rows_enough),
		cmocka_unit_test(a_look_does_not_see_later_lives),
		cmocka_unit_test(a_process_that_is_often_started_again_is_judged_by_that),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, have_work, free_work);
}
