// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/budget.h"

static void over_in_a_full_window(void **state)
{
	struct budget_meter meter = {0};

	assert_false(budget_meter__update(&meter, 0, 1e9, 0.05));
	/* 50 ms of CPU time: the window is not full, whatever it cost. */
	assert_false(budget_meter__update(&meter, 50e6, 1.05e9, 0.05));
	assert_true(budget_meter__update(&meter, 60e6, 1.1e9, 0.05));
}

static void windows_are_judged_apart(void **state)
{
	struct budget_meter meter = {0};

	budget_meter__update(&meter, 0, 0, 0.05);
	/* 4 % on and on, then 6 % in the last window. */
	for (int i = 1; i <= 10; i++)
		assert_false(budget_meter__update(&meter, 4e6 * i, 100e6 * i, 0.05));
	assert_true(budget_meter__update(&meter, 46e6, 1100e6, 0.05));
}

static void no_limit(void **state)
{
	struct budget_meter meter = {0};

	budget_meter__update(&meter, 0, 0, -1);
	assert_false(budget_meter__update(&meter, 200e6, 200e6, -1));
}

static void sums_of_the_whole_time(void **state)
{
	struct budget_meter meter = {0};
	double cost_ns = 1, cpu_ns = 2;

	/* Calls from before the meter started are not its cost. */
	budget_meter__update(&meter, 5e6, 1e9, 0.05);
	budget_meter__update(&meter, 7e6, 1.3e9, 0.05);
	budget_meter__update(&meter, 8e6, 1.35e9, 0.05);
	budget_meter__add(&meter, &cost_ns, &cpu_ns);
	assert_true(cost_ns == 3e6 + 1);
	assert_true(cpu_ns == 0.35e9 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_in_a_full_window),
		cmocka_unit_test(windows_are_judged_apart),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(sums_of_the_whole_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
