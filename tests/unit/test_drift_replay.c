// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "drift/grid.h"
#include "drift/hourly.h"
#include "drift/replay.h"
#include "drift_series.h"

static void hours_are_medians_and_gaps_are_unknown(void **state)
{
	struct series series;
	struct grid grid;

	series__init(&series);
	for (int minute = 0; minute < 240; minute += 10) {
		struct sample sample = test_sample(minute / 60.0, minute == 30 ? 9000 : 100, 1);

		if (minute >= 60 && minute < 120)
			continue;
		assert_int_equal(series__add(&series, &sample), 0);
	}
	assert_int_equal(grid__build(&grid, &series, series.count), 0);
	assert_int_equal(grid.hours, 4);
	assert_true(grid.row[GRID_TOTAL][0] == 100 * MIB_BYTES);
	assert_true(isnan(grid.row[GRID_TOTAL][1]));
	assert_true(grid.row[GRID_TOTAL][3] == 100 * MIB_BYTES);
	assert_null(grid.row[COMPONENT_ANON]);
	grid__free(&grid);
	series__free(&series);
}

static void swapped_memory_counts(void **state)
{
	struct sample sample = test_sample(0, 100, 1);
	struct series series;
	struct grid grid;

	series__init(&series);
	sample.value[COMPONENT_SWAP] = (int64_t)(50 * MIB_BYTES);
	assert_int_equal(series__add(&series, &sample), 0);
	assert_int_equal(grid__build(&grid, &series, 1), 0);
	assert_true(grid.row[GRID_TOTAL][0] == 150 * MIB_BYTES);
	grid__free(&grid);
	series__free(&series);
}

static void far_times_take_no_memory(void **state)
{
	struct sample sample = test_sample(0, 100, 1);
	struct series series;
	struct grid grid;

	series__init(&series);
	assert_int_equal(series__add(&series, &sample), 0);
	sample.t_s = 1e12;
	assert_int_equal(series__add(&series, &sample), 0);
	assert_int_equal(series__add(&series, &sample), -22);
	assert_int_equal(grid__build(&grid, &series, 2), 0);
	assert_true(grid.hours <= GRID_HOURS_MAX);
	grid__free(&grid);
	series__free(&series);
}

static void folding_keeps_the_medians(void **state)
{
	struct hourly hourly = {0};
	struct series series;

	series__init(&series);
	for (int minute = 0; minute < 120; minute++) {
		struct sample sample = test_sample(minute / 60.0, minute % 60, 1);

		assert_int_equal(hourly__add(&hourly, &series, &sample), 0);
	}
	assert_int_equal(series.count, 1);
	assert_int_equal(hourly__end(&hourly, &series), 0);
	assert_int_equal(series.count, 2);
	assert_int_equal(series.samples[0].value[COMPONENT_RSS], (int64_t)(29.5 * MIB_BYTES));
	hourly__free(&hourly);
	series__free(&series);
}

static struct judgement look(double confidence, bool drift, double days)
{
	return (struct judgement){.drift = drift,
				  .verdict = drift ? DRIFT_LEAK : DRIFT_NONE,
				  .confidence = confidence,
				  .span_s = days * 86400,
				  .t_s = days * 86400};
}

static void alarms_are_slow_to_change(void **state)
{
	struct judgement sure = look(0.999, true, 20), calm = look(0.01, false, 20);
	struct alarm alarm = {0};
	int looks = 0;

	for (int i = 0; i < 50; i++)
		assert_int_equal(alarm__update(&alarm, &calm), ALARM_SAME);
	/* One sure look among calm ones, again and again. */
	for (int i = 0; i < 20; i++)
		assert_int_equal(alarm__update(&alarm, i % 2 ? &calm : &sure), ALARM_SAME);
	while (alarm__update(&alarm, &sure) == ALARM_SAME)
		assert_true(++looks < 12);
	assert_true(alarm.on && looks >= 3);
	assert_int_equal(alarm__update(&alarm, &calm), ALARM_SAME);
	assert_int_equal(alarm__update(&alarm, &sure), ALARM_SAME);
	for (looks = 0; alarm__update(&alarm, &calm) == ALARM_SAME; looks++)
		assert_true(looks < 12);
	assert_false(alarm.on);
}

/* Raised by what was known then: what comes later changes no alarm. */
static void alarms_do_not_know_the_future(void **state)
{
	struct replayer *replayer = replayer__new();
	struct test_noise noise = {8};
	struct series series;
	struct replay whole, part;

	assert_non_null(replayer);
	series__init(&series);
	for (int hour = 0; hour < 480; hour++) {
		double mib = 300 + 0.8 * fmin(hour, 200) + test_normal(&noise);
		struct sample sample = test_sample(hour + 0.2, mib, 1);

		assert_int_equal(series__add(&series, &sample), 0);
	}
	assert_int_equal(replay__run(&whole, replayer, &series), 0);
	assert_int_equal(whole.alarm_count, 1);
	assert_true(whole.alarms[0].on_s < 96 * 3600);
	assert_true(whole.alarms[0].off_s > 200 * 3600);
	assert_false(whole.last.drift);
	series.count = 150;
	assert_int_equal(replay__run(&part, replayer, &series), 0);
	assert_int_equal(part.alarm_count, 1);
	assert_true(part.alarms[0].on_s == whole.alarms[0].on_s);
	assert_true(isnan(part.alarms[0].off_s));
	assert_true(part.last.drift);
	replay__free(&whole);
	replay__free(&part);
	series__free(&series);
	replayer__free(replayer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours_are_medians_and_gaps_are_unknown),
		cmocka_unit_test(swapped_memory_counts),
		cmocka_unit_test(far_times_take_no_memory),
		cmocka_unit_test(folding_keeps_the_medians),
		cmocka_unit_test(alarms_are_slow_to_change),
		cmocka_unit_test(alarms_do_not_know_the_future),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
