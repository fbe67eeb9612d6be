// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "watch/movers.h"

#define MIB    (1ll << 20)
#define SECOND 1000000000ull
#define MS     1000000ull
#define START  (1000 * SECOND)

static uint64_t deferred;

static struct movers make_movers(void)
{
	struct movers movers = {
		.distance_ns = 60 * SECOND,
		.suspect_ns = 600 * SECOND,
		.deferred = &deferred,
	};

	deferred = 0;
	movers__init(&movers, START);
	return movers;
}

static struct mover *round_of(struct movers *movers, struct mover *all, const int64_t *mib,
			      size_t count, uint64_t now_ns)
{
	movers__begin(movers, now_ns);
	for (size_t i = 0; i < count; i++)
		movers__offer(movers, &all[i], mib[i] * MIB, false, now_ns);
	return movers__next(movers);
}

static void a_process_is_read_once_when_it_is_new(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0};
	int64_t mib = 100;

	assert_ptr_equal(round_of(&movers, &one, &mib, 1, START), &one);
	assert_null(round_of(&movers, &one, &mib, 1, START + SECOND));
	movers__done(&movers, &one, 30 * MS, START + SECOND);
	for (uint64_t s = 2; s < 10000; s += 10)
		assert_null(round_of(&movers, &one, &mib, 1, START + s * SECOND));
}

static void moved_is_a_mib_or_half_a_percent(void **state)
{
	static const struct {
		int64_t from, to;
		bool moved;
	} cases[] = {
		{100 * MIB, 101 * MIB, true},   {100 * MIB, 101 * MIB - 1, false},
		{100 * MIB, 99 * MIB, true},    {1000 * MIB, 1004 * MIB, false},
		{1000 * MIB, 1005 * MIB, true}, {0, MIB, true},
		{1000 * MIB, 994 * MIB, true},  {5 * MIB, 5 * MIB, false},
		{INT64_MAX / 2, 5 * MIB, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct movers movers = make_movers();
		struct mover one = {.has_census = true,
				    .census_ns = START,
				    .census_bytes = cases[i].from,
				    .cost_ns = MS};

		movers__begin(&movers, START + 60 * SECOND);
		movers__offer(&movers, &one, cases[i].to, false, START + 60 * SECOND);
		assert_int_equal(movers__next(&movers) != NULL, cases[i].moved);
	}
}

static void one_process_is_not_read_all_the_time(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0};
	size_t readings = 0;

	for (uint64_t s = 0; s < 600; s += 10) {
		int64_t mib = 100 + (int64_t)s;

		if (round_of(&movers, &one, &mib, 1, START + s * SECOND)) {
			readings++;
			movers__done(&movers, &one, MS, START + s * SECOND);
		}
	}
	assert_int_equal(readings, 10);
}

static void suspects_are_read_at_a_distance_though_they_stand_still(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0};
	size_t readings = 0;

	for (uint64_t s = 0; s < 6000; s += 10) {
		movers__begin(&movers, START + s * SECOND);
		movers__offer(&movers, &one, 100 * MIB, true, START + s * SECOND);
		if (movers__next(&movers)) {
			readings++;
			movers__done(&movers, &one, MS, START + s * SECOND);
		}
	}
	assert_int_equal(readings, 10);
}

/* A hundred processes that all move, for a day. */
static void the_budget_is_kept_and_all_get_their_turn(void **state)
{
	enum { COUNT = 100 };
	const uint64_t cost = 200 * MS, day = 86400;
	struct movers movers = make_movers();
	static struct mover all[COUNT];
	static int64_t mib[COUNT];
	size_t readings[COUNT] = {0}, sum = 0, least = SIZE_MAX, most = 0;

	for (size_t i = 0; i < COUNT; i++)
		all[i] = (struct mover){.has_census = true, .cost_ns = cost};
	for (uint64_t s = 0; s < day; s += 10) {
		struct mover *next;

		for (size_t i = 0; i < COUNT; i++)
			mib[i] += 2;
		next = round_of(&movers, all, mib, COUNT, START + s * SECOND);
		if (!next)
			continue;
		readings[next - all]++;
		sum++;
		movers__done(&movers, next, cost, START + s * SECOND);
	}
	/* 0.4 % of a day, and what was saved up before it; the last one may not have been paid. */
	assert_in_range(sum * cost, day * SECOND * 0.0038,
			day * SECOND * 0.004 + MOVERS_BURST_NS_DEFAULT + cost);
	for (size_t i = 0; i < COUNT; i++) {
		least = readings[i] < least ? readings[i] : least;
		most = readings[i] > most ? readings[i] : most;
	}
	assert_true(least > 0 && most - least <= 1);
	assert_true(deferred >= COUNT && deferred <= sum + COUNT);
}

/* What costs more than is ever saved up is done all the same, and the share is kept. */
static void a_large_heap_gets_its_turn(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0};
	size_t readings = 0;

	for (uint64_t s = 0; s < 86400; s += 10) {
		int64_t mib = 64000 + (int64_t)s;

		if (round_of(&movers, &one, &mib, 1, START + s * SECOND)) {
			readings++;
			movers__done(&movers, &one, 10 * SECOND, START + s * SECOND);
		}
	}
	assert_in_range(readings, 30, 36);
}

static void new_ones_do_not_keep_the_others_waiting(void **state)
{
	enum { COUNT = 400 };
	struct movers movers = make_movers();
	static struct mover all[COUNT];
	static int64_t mib[COUNT];
	size_t new_ones = 0, moved = 0;

	for (size_t i = 0; i < COUNT; i++)
		mib[i] = 10;
	/* One has been read before and moves. */
	all[COUNT - 1] = (struct mover){.has_census = true, .cost_ns = 30 * MS};
	for (uint64_t s = 0; s < 3600; s += 10) {
		struct mover *next;

		mib[COUNT - 1] += 2;
		next = round_of(&movers, all, mib, COUNT, START + s * SECOND);
		if (!next)
			continue;
		moved += next == &all[COUNT - 1];
		new_ones += next != &all[COUNT - 1];
		movers__done(&movers, next, 30 * MS, START + s * SECOND);
	}
	assert_in_range(moved, 55, 60); /* a minute apart */
	assert_true(new_ones > 200);
}

static void new_ones_are_not_kept_for_ever(void **state)
{
	enum { COUNT = 101 };
	struct movers movers = make_movers();
	static struct mover all[COUNT];
	static int64_t mib[COUNT];

	for (size_t i = 0; i < COUNT - 1; i++)
		all[i] = (struct mover){.has_census = true, .cost_ns = 200 * MS};
	for (uint64_t s = 0; s < 3600; s += 10) {
		struct mover *next;

		for (size_t i = 0; i < COUNT; i++)
			mib[i] += 2;
		next = round_of(&movers, all, mib, COUNT, START + s * SECOND);
		if (next)
			movers__done(&movers, next, 200 * MS, START + s * SECOND);
	}
	assert_true(all[COUNT - 1].has_census);
}

static void one_that_ended_is_paid_for(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0}, other = {0};
	int64_t mib = 100;

	assert_ptr_equal(round_of(&movers, &one, &mib, 1, START), &one);
	movers__done(&movers, NULL, 2 * SECOND, START + SECOND);
	assert_null(round_of(&movers, &other, &mib, 1, START + 10 * SECOND));
	/* A second's debt, and 60 ms. */
	assert_null(round_of(&movers, &other, &mib, 1, START + 250 * SECOND));
	assert_ptr_equal(round_of(&movers, &other, &mib, 1, START + 280 * SECOND), &other);
}

static void one_whose_memory_is_unknown_waits(void **state)
{
	struct movers movers = make_movers();
	struct mover one = {0};

	movers__begin(&movers, START);
	movers__offer(&movers, &one, -1, true, START);
	assert_null(movers__next(&movers));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_read_once_when_it_is_new),
		cmocka_unit_test(moved_is_a_mib_or_half_a_percent),
		cmocka_unit_test(one_process_is_not_read_all_the_time),
		cmocka_unit_test(suspects_are_read_at_a_distance_though_they_stand_still),
		cmocka_unit_test(the_budget_is_kept_and_all_get_their_turn),
		cmocka_unit_test(a_large_heap_gets_its_turn),
		cmocka_unit_test(new_ones_do_not_keep_the_others_waiting),
		cmocka_unit_test(new_ones_are_not_kept_for_ever),
		cmocka_unit_test(one_that_ended_is_paid_for),
		cmocka_unit_test(one_whose_memory_is_unknown_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
