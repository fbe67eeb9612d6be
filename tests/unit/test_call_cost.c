// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a stack and a frame cost, from two measurements. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/call_cost.h"

static void one_stack_a_call(void **state)
{
	struct walk_sample few = {.call_ns = 400 + 300 + 8 * 50, .stacks = 1, .frames = 8};
	struct walk_sample many = {.call_ns = 400 + 300 + 104 * 50, .stacks = 1, .frames = 104};
	struct call_cost cost = {.return_ns = 0};

	call_cost__solve(&few, &many, 400, &cost);
	assert_float_equal(cost.frame_ns, 50, 1e-6);
	assert_float_equal(cost.stack_ns, 300, 1e-6);
	assert_true(call_cost__is_known(&cost));
}

/* At the entry for the weights, and at the return for the live set. */
static void two_stacks_a_call(void **state)
{
	struct walk_sample few = {.call_ns = 2000 + 2 * 300 + 21 * 40, .stacks = 2, .frames = 21};
	struct walk_sample many = {
		.call_ns = 2000 + 2 * 300 + 213 * 40, .stacks = 2, .frames = 213};
	struct call_cost cost = {.return_ns = 500};

	call_cost__solve(&few, &many, 2000, &cost);
	assert_float_equal(cost.frame_ns, 40, 1e-6);
	assert_float_equal(cost.stack_ns, 300, 1e-6);
}

/* The hit that was measured before was dearer than this one: nothing is below 0. */
static void a_stack_costs_no_less_than_nothing(void **state)
{
	struct walk_sample few = {.call_ns = 900, .stacks = 1, .frames = 8};
	struct walk_sample many = {.call_ns = 5000, .stacks = 1, .frames = 104};
	struct call_cost cost = {.return_ns = 0};

	call_cost__solve(&few, &many, 2000, &cost);
	assert_true(cost.stack_ns == 0);
	assert_true(cost.frame_ns > 0);
}

static void expect_unknown(struct walk_sample few, struct walk_sample many)
{
	struct call_cost cost = {.return_ns = 0};

	call_cost__solve(&few, &many, 400, &cost);
	assert_true(isnan(cost.stack_ns));
	assert_true(isnan(cost.frame_ns));
	assert_false(call_cost__is_known(&cost));
}

static void what_tells_nothing_is_unknown(void **state)
{
	const struct walk_sample good = {.call_ns = 6000, .stacks = 1, .frames = 104};
	struct walk_sample few = {.call_ns = 1000, .stacks = 1, .frames = 8}, many = good;

	/* No walk got far: there are no tables of memdrift's own. */
	many.frames = 9;
	expect_unknown(few, many);
	many = good;
	/* Noise. */
	many.call_ns = 1000;
	expect_unknown(few, many);
	many = good;
	/* Some calls took no stack. */
	many.stacks = 0.9;
	expect_unknown(few, many);
	many = good;
	few.stacks = 0;
	expect_unknown(few, many);
	few.stacks = 1;
	few.call_ns = NAN;
	expect_unknown(few, many);
	few.call_ns = 1000;
	many.call_ns = NAN;
	expect_unknown(few, many);
}

static void an_unknown_return_is_unknown(void **state)
{
	struct call_cost cost = {.return_ns = NAN};

	assert_false(call_cost__is_known(&cost));
	cost.return_ns = 0;
	assert_true(call_cost__is_known(&cost));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_stack_a_call),
		cmocka_unit_test(two_stacks_a_call),
		cmocka_unit_test(a_stack_costs_no_less_than_nothing),
		cmocka_unit_test(what_tells_nothing_is_unknown),
		cmocka_unit_test(an_unknown_return_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
