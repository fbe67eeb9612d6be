// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The governor and what its bursts say, over simulated programs whose truth is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "burst_program.h"

struct outcome {
	double slowdown;
	double covered;
	struct alloc_estimate estimate;
	double calls, calls_per_cpu_s;
	bool was_detached;
	double share[SIZE_BUCKETS]; /* of the truth */
};

static struct outcome run(struct program program, double budget, uint64_t seed, double seconds)
{
	struct outcome outcome = {0};
	struct governor governor;
	struct burst_log log;
	struct burst_reading end;

	governor__init(&governor, budget, seed);
	end = program__burst(&program);
	burst_log__init(&log, &end);
	if (!program.hit_factor)
		program.hit_factor = 1.05;
	if (!program.attach_ns) {
		program.attach_ns = 8e6;
		program.edge_ns = 0.3e6;
	}
	program__run(&program, &governor, &log, seconds);
	end = program__burst(&program);
	burst_log__estimate(&log, &end, &outcome.estimate);
	outcome.slowdown = program__slowdown(&program);
	outcome.was_detached = governor.was_detached;
	outcome.covered = log.window_ns / program.wall_ns;
	outcome.calls = program.calls;
	outcome.calls_per_cpu_s = program.calls / program.own_cpu_ns * 1e9;
	for (int i = 0; i < SIZE_BUCKETS; i++)
		outcome.share[i] = program.calls > 0 ? program.truth[i] / program.calls : 0;
	burst_log__free(&log);
	return outcome;
}

static void expect_near(double value, double truth, double share, const char *what)
{
	if (!(fabs(value - truth) <= share * truth))
		fail_msg("%s: %g, not within %g %% of %g", what, value, 100 * share, truth);
}

static void expect_holds(const struct estimate_range *range, double truth, const char *what)
{
	if (range->low > truth || range->high < truth)
		fail_msg("%s: %g to %g does not hold %g", what, range->low, range->high, truth);
}

/* 7 ns a pair: nearly no time but hits in each burst. */
static void malloc_bound(void **state)
{
	const struct phase phases[] = {{1e9, 286e6, 5, 0}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 1}, 0.05, 1, 30);

	assert_true(outcome.was_detached);
	assert_true(outcome.slowdown < 0.053 && outcome.slowdown > 0.035);
	assert_true(outcome.estimate.bursts >= 50);
	expect_holds(&outcome.estimate.calls, outcome.calls, "calls");
	/* 0.03 % of its calls were seen. */
	assert_true(isnan(outcome.estimate.calls.best));
}

static void cheap(void **state)
{
	/* 4 % of its CPU time, in bursts of 30 ms of its own. */
	const struct phase phases[] = {{30e6, 300e3, 5, 0}, {90e6, 20e3, 6, 0}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 2}, 0.05, 2, 30);

	assert_false(outcome.was_detached);
	assert_true(outcome.estimate.bursts == 1);
	assert_true(outcome.covered > 0.999);
	expect_near(outcome.estimate.calls.best, outcome.calls, 0.001, "calls");
}

/* Calls 20 hit costs apart at a budget below what that costs: the rate within 5 %. */
static void twenty_costs_apart(void **state)
{
	const struct phase phases[] = {{1e9, 1e9 / (20 * HIT_NS), 5, 0}};

	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct outcome outcome =
			run((struct program){.phases = phases,
					     .phase_count = 1,
					     .hit_factor = 1 + 0.03 * (double)seed},
			    0.02, seed, 20);

		assert_true(outcome.was_detached);
		assert_true(outcome.slowdown < 0.024);
		expect_near(outcome.estimate.calls.best, outcome.calls, 0.05, "calls");
		expect_near(outcome.estimate.calls_per_cpu_s.best, outcome.calls_per_cpu_s, 0.05,
			    "rate");
		expect_holds(&outcome.estimate.calls, outcome.calls, "calls");
	}
}

/*
 * Hot and calm in turn, with sizes of its own in each: a window that ends sooner where it is hot
 * must not make the calm phase look larger than it is.
 */
static void phases_of_its_own(void **state)
{
	const struct phase phases[] = {{300e6, 400e3, 5, 0}, {500e6, 60e3, 8, 0}};
	int missed = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct outcome outcome =
			run((struct program){.phases = phases, .phase_count = 2}, 0.02, seed, 120);

		assert_true(outcome.slowdown < 0.024);
		missed += outcome.estimate.calls.low > outcome.calls ||
			  outcome.estimate.calls.high < outcome.calls;
		expect_near(outcome.estimate.request_share[5], outcome.share[5], 0.10, "share");
	}
	/* 95 %: one of twenty. */
	assert_true(missed <= 3);
}

/* Periodic, with about the period of the bursts. */
static void periodic(void **state)
{
	const struct phase phases[] = {{10e6, 2e6, 5, 0}, {190e6, 10e3, 8, 0}};
	int missed = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct outcome outcome =
			run((struct program){.phases = phases, .phase_count = 2}, 0.05, seed, 30);

		assert_true(outcome.slowdown < 0.055);
		missed += outcome.estimate.calls.low > outcome.calls ||
			  outcome.estimate.calls.high < outcome.calls;
	}
	assert_true(missed <= 3);
}

/* 1 % of a CPU, a fifth of it cost. */
static void mostly_sleeping(void **state)
{
	const struct phase phases[] = {{1e9, 0.25e9 / HIT_NS, 5, 0.99}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 1}, 0.05, 3, 300);

	assert_true(outcome.slowdown < 0.06);
	assert_true(outcome.covered > 0.1);
	expect_holds(&outcome.estimate.calls, outcome.calls, "calls");
	expect_near(outcome.estimate.calls.best, outcome.calls, 0.1, "calls");
}

static void idle(void **state)
{
	const struct phase phases[] = {{1e9, 1e3, 5, 0.9999}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 1}, 0.05, 4, 30);

	assert_false(outcome.was_detached);
}

/* An attach of 81 ms whose last part hits: bursts are longer and rarer, and the budget holds. */
static void dear_attach(void **state)
{
	const struct phase phases[] = {{1e9, 286e6, 5, 0}};
	struct program program = {
		.phases = phases, .phase_count = 1, .attach_ns = 400e6, .edge_ns = 1e6};
	struct outcome outcome = run(program, 0.05, 5, 60);

	assert_true(outcome.slowdown < 0.06);
	assert_true(outcome.estimate.bursts >= 10);
}

static void no_limit(void **state)
{
	const struct phase phases[] = {{1e9, 286e6, 5, 0}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 1}, -1, 6, 2);

	assert_false(outcome.was_detached);
	assert_true(outcome.slowdown > 0.9);
}

/* The very first look: a hot program pays milliseconds, not a tenth of a second. */
static void first_look_is_short(void **state)
{
	const struct phase phases[] = {{1e9, 286e6, 5, 0}};
	struct outcome outcome =
		run((struct program){.phases = phases, .phase_count = 1}, 0.05, 7, 0.1);

	assert_true(outcome.was_detached);
	assert_true(outcome.slowdown * 0.1 < 0.008);
}

/* Memory is bounded: neighbours are merged, and the sum of all gaps stays what it was. */
static void windows_are_bounded(void **state)
{
	struct alloc_counts counts = {0};
	struct burst_reading reading = {.counts = &counts};
	struct alloc_estimate estimate;
	struct burst_log log;

	burst_log__init(&log, &reading);
	for (int i = 0; i < 5000; i++) {
		reading.cpu_ns += 90e6;
		reading.now_ns += 90000000;
		burst_log__open(&log, &reading);
		reading.cpu_ns += 10e6;
		reading.now_ns += 10000000;
		reading.cost_ns += 1000 * HIT_NS;
		counts.calls[0] += 1000;
		burst_log__close(&log, &reading);
		assert_true(log.count <= BURST_WINDOWS_MAX);
	}
	burst_log__estimate(&log, &reading, &estimate);
	assert_int_equal(estimate.bursts, 5000);
	assert_true(estimate.covered_cpu > 0.0999 && estimate.covered_cpu < 0.1001);
	expect_near(estimate.calls.best, 5000 * (1000 + 1000 * 90 / (10 - 0.00042 * 1150)), 0.001,
		    "calls");
	burst_log__free(&log);
}

static void too_few_windows_say_nothing(void **state)
{
	struct alloc_counts counts = {0};
	struct burst_reading reading = {.counts = &counts};
	struct alloc_estimate estimate;
	struct burst_log log;

	burst_log__init(&log, &reading);
	for (int i = 0; i < 3; i++) {
		burst_log__open(&log, &reading);
		reading.cpu_ns += 100e6;
		counts.calls[0] += 1000;
		burst_log__close(&log, &reading);
		reading.cpu_ns += 100e6;
	}
	burst_log__estimate(&log, &reading, &estimate);
	assert_true(estimate.calls.low == 3000);
	assert_true(isnan(estimate.calls.best));
	assert_true(isnan(estimate.calls.high));
	burst_log__free(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malloc_bound),
		cmocka_unit_test(cheap),
		cmocka_unit_test(twenty_costs_apart),
		cmocka_unit_test(phases_of_its_own),
		cmocka_unit_test(periodic),
		cmocka_unit_test(mostly_sleeping),
		cmocka_unit_test(idle),
		cmocka_unit_test(dear_attach),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(first_look_is_short),
		cmocka_unit_test(windows_are_bounded),
		cmocka_unit_test(too_few_windows_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
