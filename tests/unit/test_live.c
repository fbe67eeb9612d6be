// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the entries of the live set mean: groups, growth, ages, samples, forks. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "analysis/outstanding.h"
#include "ingest/live_set.h"
#include "model/live_spaces.h"
#include "model/live_view.h"

static void read_items(struct live_view *view, const struct live_item *items, size_t n, double t_s)
{
	live_view__begin(view, true, NULL, t_s);
	for (size_t i = 0; i < n; i++)
		live_view__add(view, &items[i], false);
	live_view__end(view);
}

static const struct live_group *find(const struct live_view *view, int32_t stack, uint32_t bucket)
{
	for (const struct live_group *group = view->groups; group; group = group->hh.next)
		if (group->key.stack == stack && group->key.bucket == bucket)
			return group;
	return NULL;
}

static void test_groups(void **state)
{
	const struct live_item items[] = {
		{.pointer = 16, .size = 100, .weight = 1, .born_s = 1, .stack = 7},
		{.pointer = 32, .size = 64, .weight = 1, .born_s = 3, .stack = 7},
		{.pointer = 48, .size = 127, .weight = 1, .born_s = 4, .stack = 7},
		{.pointer = 64, .size = 128, .weight = 1, .born_s = 2, .stack = 7},
		{.pointer = 80, .size = 0, .weight = 1, .born_s = 2, .stack = -1},
	};
	struct live_view *view = live_view__new(0);
	const struct live_group *group;

	read_items(view, items, 5, 10);
	assert_int_equal(HASH_COUNT(view->groups), 3);
	group = find(view, 7, 7);
	assert_non_null(group);
	assert_true(group->now.count == 3 && group->now.bytes == 291);
	assert_true(group->oldest_s == 1 && group->median_s == 3);
	assert_true(view->total.count == 5 && view->total.bytes == 419);
	assert_true(view->buckets[0].count == 1 && view->buckets[8].bytes == 128);
	assert_false(view->sampled);
	assert_true(view->total.bytes_variance == 0);
	/* The next reading starts from nothing; the peak stays. */
	read_items(view, items, 1, 11);
	assert_true(view->total.bytes == 100 && view->peak_read_bytes == 419);
	assert_true(view->peak_read_s == 10 && view->peak_group_count == 3);
	assert_true(find(view, 7, 7)->peak_bytes == 291);
	assert_true(find(view, -1, 0)->now.count == 0);
	live_view__unref(view);
}

static void test_filter(void **state)
{
	const struct live_filter filter = {.older_s = 5, .min_bytes = 50, .max_bytes = 200};
	const struct live_item items[] = {
		{.size = 100, .weight = 1, .born_s = 1, .stack = 1}, /* passes */
		{.size = 100, .weight = 1, .born_s = 8, .stack = 1}, /* too young */
		{.size = 10, .weight = 1, .born_s = 1, .stack = 1},
		{.size = 500, .weight = 1, .born_s = 1, .stack = 1},
	};
	struct live_view *view = live_view__new(0);

	live_view__begin(view, false, &filter, 10);
	for (int i = 0; i < 4; i++)
		live_view__add(view, &items[i], false);
	live_view__end(view);
	/* Sums are of everything. */
	assert_true(view->total.count == 4 && view->total.bytes == 710);
	assert_int_equal(HASH_COUNT(view->groups), 1);
	assert_true(find(view, 1, 7)->now.bytes == 100);
	live_view__unref(view);
}

static void test_filter_afterwards(void **state)
{
	const struct live_filter filter = {.older_s = 3, .min_bytes = 70, .max_bytes = UINT64_MAX};
	struct live_view *asked = live_view__new(0), *later = live_view__new(0);
	const struct live_group *group;

	later->keeps_items = true;
	for (int reading = 1; reading <= 6; reading++) {
		live_view__begin(asked, true, &filter, reading + 4);
		live_view__begin(later, true, NULL, reading + 4);
		for (int i = 0; i < 20 * reading; i++) {
			const struct live_item item = {.size = 60 + (uint64_t)i % 80,
						       .weight = i % 5 ? 1 : 2.5,
						       .born_s = i % 9,
						       .stack = i % 3};

			live_view__add(asked, &item, false);
			live_view__add(later, &item, false);
		}
		live_view__end(asked);
		live_view__end(later);
	}
	assert_int_equal(live_view__filter(asked, &filter), -ENODATA);
	assert_int_equal(live_view__filter(later, &filter), 0);
	assert_int_equal(HASH_COUNT(later->groups), HASH_COUNT(asked->groups));
	for (group = asked->groups; group; group = group->hh.next) {
		const struct live_group *same = find(later, group->key.stack, group->key.bucket);

		assert_non_null(same);
		assert_memory_equal(&same->now, &group->now, sizeof(group->now));
		assert_true(same->oldest_s == group->oldest_s);
		assert_true(same->median_s == group->median_s);
		/* Earlier readings were of other items, too. */
		assert_true(isnan(live_group__growth(later, same).best));
		assert_true(isnan(same->peak_bytes));
	}
	assert_true(later->peak_unknown && !asked->peak_unknown);
	assert_true(later->total.bytes == asked->total.bytes);
	live_view__unref(asked);
	live_view__unref(later);
}

/* Draws samples of a known population many times: the mean of the estimates is the truth, and
 * their 95 % intervals hold it about as often as they say. */
static void test_sample(void **state)
{
	enum { ITEMS = 2000, TRIALS = 400 };
	double truth = 0, sum = 0, whole = 4096;
	int inside = 0;

	srand48(1);
	for (int i = 0; i < ITEMS; i++)
		truth += 16 + i % 600;
	for (int trial = 0; trial < TRIALS; trial++) {
		struct live_view *view = live_view__new(0);

		live_view__begin(view, false, NULL, 1);
		for (int i = 0; i < ITEMS; i++) {
			double size = 16 + i % 600;
			struct live_item item = {
				.size = (uint64_t)size, .weight = whole / size, .stack = i % 3};

			if (drand48() < size / whole)
				live_view__add(view, &item, false);
		}
		live_view__end(view);
		assert_true(view->sampled);
		sum += view->total.bytes;
		inside +=
			fabs(view->total.bytes - truth) <= 1.96 * sqrt(view->total.bytes_variance);
		live_view__unref(view);
	}
	assert_true(fabs(sum / TRIALS / truth - 1) < 0.01);
	assert_in_range(inside, TRIALS * 92 / 100, TRIALS * 98 / 100);
}

/* A leak beside a cache that is full and one that changes all the time. */
static void test_growth(void **state)
{
	struct live_view *view = live_view__new(0);
	struct outstanding *list;
	size_t count;

	srand48(2);
	for (int reading = 1; reading <= 30; reading++) {
		live_view__begin(view, true, NULL, reading);
		for (int i = 0; i < reading; i++)
			live_view__add(view,
				       &(struct live_item){
					       .size = 100, .weight = 1, .born_s = i, .stack = 1},
				       false);
		for (int i = 0; i < 1000; i++)
			live_view__add(view,
				       &(struct live_item){
					       .size = 5000, .weight = 1, .born_s = 0, .stack = 2},
				       false);
		for (int i = (int)(drand48() * 500); i < 500; i++)
			live_view__add(view,
				       &(struct live_item){.size = 300,
							   .weight = 1,
							   .born_s = reading - 0.1,
							   .stack = 3},
				       false);
		live_view__end(view);
	}
	assert_int_equal(outstanding__list(view, &list, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(list[0].group->key.stack, 1);
	assert_true(list[0].growth.certain);
	assert_true(list[0].growth.low <= 100 && list[0].growth.high >= 100);
	assert_int_equal(list[1].group->key.stack, 2);
	assert_false(list[1].growth.certain || list[2].growth.certain);
	assert_true(fabs(list[0].group->median_s - 14.5) <= 1);
	free(list);
	live_view__unref(view);
}

/* Too few readings say nothing. */
static void test_growth_unknown(void **state)
{
	struct live_item item = {.size = 10, .weight = 1, .stack = 1};
	struct live_view *view = live_view__new(0);

	for (int reading = 1; reading <= 3; reading++)
		read_items(view, &item, 1, reading);
	assert_true(isnan(live_group__growth(view, view->groups).best));
	read_items(view, &item, 1, 4);
	assert_true(live_group__growth(view, view->groups).best == 0);
	live_view__unref(view);
}

/* ---- forks ----------------------------------------------------------------------------------- */

struct table {
	uint32_t epochs[8];
	uint32_t forgotten[8];
	int released[8];
	struct live_spaces *spaces;
	struct live_reading reading;
	int emptied;
};

static double seconds(void *ctx, uint32_t time)
{
	return time;
}

static uint32_t epoch(void *ctx, uint32_t id)
{
	return ((struct table *)ctx)->epochs[id];
}

static void forget(void *ctx, uint32_t id, uint32_t at)
{
	((struct table *)ctx)->forgotten[id] = at;
}

static void release(void *ctx, uint32_t id)
{
	((struct table *)ctx)->released[id]++;
}

static struct table *new_table(void)
{
	struct table *table = calloc(1, sizeof(*table));

	assert_non_null(table);
	table->spaces = live_spaces__new();
	assert_non_null(table->spaces);
	table->reading = (struct live_reading){.ctx = table,
					       .now_s = 10,
					       .seconds = seconds,
					       .epoch = epoch,
					       .forget = forget,
					       .release = release};
	return table;
}

static void free_table(struct table *table)
{
	live_spaces__free(table->spaces);
	free(table);
}

static void entry(struct table *table, uint32_t space, uint64_t pointer, uint64_t size,
		  uint32_t born, uint32_t gone)
{
	struct live_value value = {
		.size = size, .time = 1, .stack = -1, .born = born, .gone = gone};
	uint64_t key = LIVE_KEY(space, pointer) | (gone ? LIVE_MARKED : 0);

	table->emptied += live_spaces__entry(table->spaces, &table->reading, key, &value, 1);
}

/* What a parent had, less what the child freed, and nothing that came later. */
static void test_fork(void **state)
{
	struct table *table = new_table();
	struct live_view *parent, *child;

	table->epochs[1] = 1; /* forked once */
	parent = live_spaces__track(table->spaces, 1, 0, 0, true, 0);
	child = live_spaces__track(table->spaces, 2, 1, 0, true, 5);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 0);            /* before the fork */
	entry(table, 1, 32, 200, 1, 0);            /* after it: the parent's alone */
	entry(table, 1, 48, 400, 0, 1);            /* freed by the parent after it */
	entry(table, 1, 64, 800, 0, 0);            /* freed by the child */
	entry(table, 1, 80, 1600, 0, LIVE_MOVING); /* under realloc in the parent */
	entry(table, 2, 64, 0, 0, LIVE_TOMBSTONE);
	entry(table, 2, 96, 3200, 0, 0); /* the child's own */
	assert_int_equal(live_spaces__end(table->spaces, &table->reading), 0);
	assert_true(parent->total.bytes == 100 + 200 + 800 + 1600);
	assert_true(child->total.bytes == 100 + 400 + 1600 + 3200);
	assert_true(child->inherited.bytes == 100 + 400 + 1600);
	assert_int_equal(child->inherited_frees, 1);
	assert_int_equal(table->emptied, 0);
	assert_int_equal(table->forgotten[1], 1);
	/* The next pass gives back what was kept for the child, which still has it. */
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 48, 400, 0, 1);
	assert_int_equal(table->emptied, 1);
	entry(table, 2, 48, 0, 0, LIVE_TOMBSTONE);
	live_spaces__end(table->spaces, &table->reading);
	assert_true(child->total.bytes == 100 + 800 + 1600);
	free_table(table);
}

/* What is kept for a child stays while a fork is not known yet, and one that inherits nothing
 * counts. */
static void test_unknown_fork(void **state)
{
	struct table *table = new_table();
	struct live_view *child;

	table->epochs[1] = 2; /* forked twice; one child is known */
	live_spaces__track(table->spaces, 1, 0, 0, true, 0);
	live_spaces__track(table->spaces, 2, 1, 0, false, 0);
	for (int pass = 0; pass < 2; pass++) {
		live_spaces__begin(table->spaces, &table->reading);
		entry(table, 1, 16, 100, 0, 2); /* freed after both */
		live_spaces__end(table->spaces, &table->reading);
		assert_int_equal(table->emptied, 0);
		assert_int_equal(table->forgotten[1], 0);
	}
	assert_true(live_spaces__view(table->spaces, 2)->total.bytes == 0);
	child = live_spaces__track(table->spaces, 3, 1, 1, true, 0);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 2);
	live_spaces__end(table->spaces, &table->reading);
	assert_true(child->total.bytes == 100);
	assert_int_equal(table->forgotten[1], 2);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 2);
	assert_int_equal(table->emptied, 1);
	live_spaces__end(table->spaces, &table->reading);
	free_table(table);
}

/* A child's child, forked before and after its parent freed some of what it had. */
static void test_grandchild(void **state)
{
	struct table *table = new_table();
	struct live_view *first, *second;

	table->epochs[1] = 1;
	table->epochs[2] = 2;
	live_spaces__track(table->spaces, 1, 0, 0, true, 0);
	/* Tracked before their parent: the order does not matter. */
	second = live_spaces__track(table->spaces, 4, 2, 1, true, 0);
	first = live_spaces__track(table->spaces, 3, 2, 0, true, 0);
	live_spaces__track(table->spaces, 2, 1, 0, true, 0);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 0);
	entry(table, 1, 32, 200, 0, 0);
	entry(table, 2, 32, 0, 1, LIVE_TOMBSTONE); /* between its two forks */
	entry(table, 2, 48, 400, 1, 0);
	assert_int_equal(live_spaces__end(table->spaces, &table->reading), 0);
	assert_true(first->total.bytes == 300);
	assert_true(second->total.bytes == 500);
	free_table(table);
}

/* An ended process is read once more, then emptied, then its number is given back. */
static void test_left(void **state)
{
	struct table *table = new_table();
	struct live_view *view =
		live_view__ref(live_spaces__track(table->spaces, 1, 0, 0, true, 0));

	live_spaces__left(table->spaces, 1);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 0);
	live_spaces__end(table->spaces, &table->reading);
	assert_true(view->final && view->total.bytes == 100);
	assert_int_equal(table->released[1], 0);
	live_spaces__begin(table->spaces, &table->reading);
	entry(table, 1, 16, 100, 0, 0);
	assert_int_equal(table->emptied, 1);
	live_spaces__end(table->spaces, &table->reading);
	assert_int_equal(table->released[1], 1);
	assert_null(live_spaces__view(table->spaces, 1));
	assert_true(view->total.bytes == 100);
	live_view__unref(view);
	/* Entries of spaces that nobody knows stay where they are. */
	entry(table, 5, 16, 100, 0, 0);
	assert_int_equal(table->emptied, 1);
	free_table(table);
}

/* A child whose parent is not known any more says that something is missing. */
/* Stamps are the low 32 bits of a count that goes on: they pass zero, and some are newer than the
 * clock that was read beside them. */
static void test_stamps(void **state)
{
	struct live_clock clock = {.ticks = (1ull << 32) + 5, .ns = 60000000000};
	struct timespec tick;
	double tick_ns;

	(void)state;
	assert_int_equal(clock_getres(CLOCK_MONOTONIC_COARSE, &tick), 0);
	tick_ns = (double)tick.tv_nsec;
	assert_true(live_clock__time_ns(&clock, 5) == 6e10);
	assert_true(live_clock__time_ns(&clock, 0xfffffffeu) == 6e10 - 7 * tick_ns);
	assert_true(live_clock__time_ns(&clock, 15) == 6e10 + 10 * tick_ns);
	assert_true(live_clock__time_ns(&clock, 5 - 3000000000u) == 6e10 - 3e9 * tick_ns);
}

static void test_lost_parent(void **state)
{
	struct table *table = new_table();
	struct live_view *child = live_spaces__track(table->spaces, 2, 1, 0, true, 0);

	live_spaces__begin(table->spaces, &table->reading);
	assert_int_equal(live_spaces__end(table->spaces, &table->reading), 1);
	assert_true(child->incomplete);
	free_table(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_afterwards),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_growth_unknown),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_grandchild),
		cmocka_unit_test(test_unknown_fork),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_lost_parent),
		cmocka_unit_test(test_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
