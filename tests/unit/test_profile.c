// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Weights by stack: their sums are the report's figures, whatever had no stack or was not asked. */
#include "trace_fixture.h"

#include <errno.h>

#include "analysis/growth.h"
#include "output/derive.h"
#include "output/profile.h"

static struct profile *build(struct fixture *fix)
{
	struct profile *profile;

	fix_build(fix);
	assert_int_equal(profile__build(&fix->result, &profile), 0);
	return profile;
}

static void end(struct fixture *fix, struct profile *profile)
{
	profile__free(profile);
	fix_free(fix);
}

static uint64_t sum_of(const struct profile *profile, enum profile_weight weight)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < profile->sample_count; i++)
		sum += profile->samples[i].values[weight];
	return sum;
}

static void expect_total(const struct profile *profile, enum profile_weight weight, uint64_t total)
{
	assert_true(profile->known[weight]);
	assert_int_equal(sum_of(profile, weight), total);
	assert_int_equal(profile->totals[weight], total);
}

/* The weight of a sample: of a leaf's name, or of what stands for a stack. */
static uint64_t weight_of(const struct profile *profile, const char *leaf,
			  enum profile_weight weight)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];
		const char *name = profile_sample__instead(sample);

		if (!name)
			name = profile->frames[profile->stack_frames[sample->first]].text;
		if (!strcmp(name, leaf))
			sum += sample->values[weight];
	}
	return sum;
}

static void one_sample_holds_all_weights_of_a_stack(void **state)
{
	struct fixture fix;
	struct profile *profile;

	fix_init(&fix);
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 2,
			   128 * FIX_MB);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 60000,
			   2400000000);
	profile = build(&fix);
	/* Stacks of the arena and of the chunk, and what has none. */
	assert_int_equal(profile->sample_count, 3);
	assert_int_equal(profile->frame_count, 8);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_MMAP_BYTES), 128 * FIX_MB);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_MMAP_COUNT), 2);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_ALLOC_COUNT), 60000);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_ALLOC_BYTES), 2400000000);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_UNRELEASED_BYTES), 64 * FIX_MB);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_UNRELEASED_COUNT), 1);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_ARENA_COUNT), 1);
	assert_int_equal(weight_of(profile, "syscall.Syscall6", WEIGHT_UNRELEASED_COUNT), 1);
	expect_total(profile, WEIGHT_MMAP_BYTES, fix.cal.mapping.mmap_bytes);
	expect_total(profile, WEIGHT_MMAP_COUNT, fix.cal.mapping.mmap_calls);
	expect_total(profile, WEIGHT_ALLOC_BYTES, process__requested_bytes(&fix.cal));
	expect_total(profile, WEIGHT_ALLOC_COUNT, process__requests(&fix.cal));
	expect_total(profile, WEIGHT_UNRELEASED_BYTES, process__unreleased_bytes(&fix.cal));
	expect_total(profile, WEIGHT_UNRELEASED_COUNT, 2);
	expect_total(profile, WEIGHT_ARENA_COUNT, 1);
	end(&fix, profile);
}

static void a_mapping_in_pieces_is_one(void **state)
{
	struct fixture fix;
	struct profile *profile;
	bool whole;

	fix_init(&fix);
	assert_int_equal(space__unmap(fix.cal.space, FIX_ARENA + FIX_MB, FIX_MB, &whole), FIX_MB);
	assert_int_equal(space__unmap(fix.cal.space, FIX_ARENA, 4096, &whole), 4096);
	profile = build(&fix);
	expect_total(profile, WEIGHT_UNRELEASED_COUNT, 2);
	expect_total(profile, WEIGHT_UNRELEASED_BYTES, 127 * FIX_MB - 4096);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_UNRELEASED_COUNT), 1);
	assert_int_equal(weight_of(profile, "syscall.Syscall6", WEIGHT_UNRELEASED_COUNT), 1);
	end(&fix, profile);
}

static void what_was_not_measured_is_not_known(void **state)
{
	struct fixture fix;
	struct profile *profile;

	fix_init(&fix);
	fix.result.mmap_weights = NULL;
	fix.result.alloc_weights = NULL;
	profile = build(&fix);
	assert_false(profile->known[WEIGHT_MMAP_BYTES]);
	assert_false(profile->known[WEIGHT_ALLOC_COUNT]);
	assert_false(profile->known[WEIGHT_LIVE_BYTES]);
	assert_false(profile->known[WEIGHT_FAULT_BYTES]);
	assert_int_equal(sum_of(profile, WEIGHT_MMAP_BYTES), 0);
	assert_int_equal(sum_of(profile, WEIGHT_ALLOC_COUNT), 0);
	end(&fix, profile);
}

/* Calls that came after the report's counters were read. */
static void more_calls_than_the_report_has_are_taken_back(void **state)
{
	struct fixture fix;
	struct profile *profile;

	fix_init(&fix);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 60000, 1);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 900, 1);
	profile = build(&fix);
	expect_total(profile, WEIGHT_ALLOC_COUNT, 60300);
	assert_in_range(weight_of(profile, "arena_get2", WEIGHT_ALLOC_COUNT), 59405, 59412);
	assert_int_equal(weight_of(profile, "[no-stack]", WEIGHT_ALLOC_COUNT), 0);
	end(&fix, profile);
}

static void faults_are_counts_times_their_period(void **state)
{
	struct stack_weights faults = {0};
	struct fixture fix;
	struct profile *profile;

	fix_init(&fix);
	stack_weights__add(&faults, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 3, 0);
	stack_weights__add(&faults, 8212, fix.cal.start_ns, STACK_NONE, 2, 0);
	stack_weights__add(&faults, 8212, fix.cal.start_ns, FIX_STACK_ARENA, UINT64_MAX, 0);
	fix.result.fault_weights = &faults;
	fix.result.fault_period = 16;
	profile = build(&fix);
	assert_int_equal(profile->fault_period_bytes, 65536);
	expect_total(profile, WEIGHT_FAULT_BYTES, 5 * 65536);
	assert_int_equal(weight_of(profile, "syscall.Syscall6", WEIGHT_FAULT_BYTES), 3 * 65536);
	assert_int_equal(weight_of(profile, "[no-stack]", WEIGHT_FAULT_BYTES), 2 * 65536);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_FAULT_BYTES), 0);
	stack_weights__free(&faults);
	end(&fix, profile);
}

/* `weight` stands for so many allocations like it. */
static struct live_view *live_view_of(const struct live_filter *filter, double weight)
{
	const struct live_item items[] = {
		{.pointer = 16,
		 .size = 100,
		 .weight = weight,
		 .born_s = 1,
		 .stack = FIX_STACK_ARENA},
		{.pointer = 32,
		 .size = 33,
		 .weight = weight,
		 .born_s = 28,
		 .stack = FIX_STACK_ARENA},
		{.pointer = 48, .size = 7, .weight = weight, .born_s = 1, .stack = FIX_STACK_CHUNK},
		{.pointer = 64, .size = 1, .weight = weight, .born_s = 1, .stack = STACK_NONE},
	};
	struct live_view *view = live_view__new(0);

	assert_non_null(view);
	live_view__begin(view, false, filter, 30);
	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++)
		live_view__add(view, &items[i], false);
	live_view__end(view);
	view->sampled = weight > 1;
	return view;
}

static void what_filters_hide_is_a_line_of_its_own(void **state)
{
	const struct live_filter filter = {.older_s = 10, .max_bytes = UINT64_MAX};
	struct fixture fix;
	struct profile *profile;

	fix_init(&fix);
	fix.cal.live = live_view_of(&filter, 1);
	profile = build(&fix);
	expect_total(profile, WEIGHT_LIVE_BYTES, 141);
	expect_total(profile, WEIGHT_LIVE_COUNT, 4);
	assert_int_equal(weight_of(profile, "arena_get2", WEIGHT_LIVE_BYTES), 100);
	assert_int_equal(weight_of(profile, "[no-stack]", WEIGHT_LIVE_BYTES), 1);
	assert_int_equal(weight_of(profile, "[not-listed]", WEIGHT_LIVE_BYTES), 33);
	assert_int_equal(weight_of(profile, "[not-listed]", WEIGHT_LIVE_COUNT), 1);
	live_view__unref(fix.cal.live);
	end(&fix, profile);
}

static void fractions_of_a_sample_add_up(void **state)
{
	const double weights[] = {1.1, 1.3, 2.49, 3.3333, 7.77};

	for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++) {
		const struct live_filter filter = {.max_bytes = UINT64_MAX};
		struct fixture fix;
		struct profile *profile;

		fix_init(&fix);
		fix.cal.live = live_view_of(&filter, weights[i]);
		profile = build(&fix);
		expect_total(profile, WEIGHT_LIVE_BYTES,
			     (uint64_t)llround(fix.cal.live->total.bytes));
		expect_total(profile, WEIGHT_LIVE_COUNT,
			     (uint64_t)llround(fix.cal.live->total.count));
		assert_int_equal(weight_of(profile, "[not-listed]", WEIGHT_LIVE_BYTES), 0);
		live_view__unref(fix.cal.live);
		end(&fix, profile);
	}
}

/* A sum in another order can round to another unit: no stack is made up for that. */
static void the_last_unit_of_a_sample_is_rounding(void **state)
{
	const struct live_filter filter = {.max_bytes = UINT64_MAX};

	for (int off = -1; off <= 1; off++) {
		struct fixture fix;
		struct profile *profile;

		fix_init(&fix);
		fix.cal.live = live_view_of(&filter, 2);
		fix.cal.live->total.bytes += off;
		profile = build(&fix);
		expect_total(profile, WEIGHT_LIVE_BYTES, (uint64_t)(282 + off));
		assert_int_equal(weight_of(profile, "[not-listed]", WEIGHT_LIVE_BYTES), 0);
		live_view__unref(fix.cal.live);
		end(&fix, profile);
	}
}

static void losses_and_estimates_are_noted(void **state)
{
	struct fixture fix;
	struct profile *profile;
	bool lost = false, bursts = false;

	fix_init(&fix);
	fix.result.losses[LOSS_stacks_lost] = 3;
	fix.result.overhead.detached = 1;
	fix.result.overhead.covered = 0.25;
	profile = build(&fix);
	for (size_t i = 0; i < profile->note_count; i++) {
		lost |= strstr(profile->notes[i], "Lost: 3 stacks") != NULL;
		bursts |= strstr(profile->notes[i], "bursts saw, 25 %") != NULL;
	}
	assert_true(lost && bursts);
	end(&fix, profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_sample_holds_all_weights_of_a_stack),
		cmocka_unit_test(a_mapping_in_pieces_is_one),
		cmocka_unit_test(what_was_not_measured_is_not_known),
		cmocka_unit_test(more_calls_than_the_report_has_are_taken_back),
		cmocka_unit_test(faults_are_counts_times_their_period),
		cmocka_unit_test(what_filters_hide_is_a_line_of_its_own),
		cmocka_unit_test(fractions_of_a_sample_add_up),
		cmocka_unit_test(the_last_unit_of_a_sample_is_rounding),
		cmocka_unit_test(losses_and_estimates_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
