// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "census/claims.h"

static void settle(struct claims *claims)
{
	assert_int_equal(claims__settle(claims), 0);
}

static enum ledger_component at(const struct claims *claims, uint64_t addr)
{
	const struct claim *claim = claims__find(claims, addr, NULL);

	return claim ? claim->component : LEDGER_COMPONENTS;
}

static void the_earlier_component_keeps_what_two_claim(void **state)
{
	struct claims claims = {0};

	/* A mapping of malloc's, in it one of pymalloc's, and a stack across both ends. */
	assert_int_equal(claims__add(&claims, 100, 200, LEDGER_MALLOC_MMAPPED, "chunk"), 0);
	assert_int_equal(claims__add(&claims, 120, 150, LEDGER_PYMALLOC, "pool"), 0);
	assert_int_equal(claims__add(&claims, 140, 145, LEDGER_THREAD_STACKS, NULL), 0);
	assert_int_equal(claims__add(&claims, 190, 210, LEDGER_THREAD_STACKS, NULL), 0);
	settle(&claims);
	assert_int_equal(at(&claims, 99), LEDGER_COMPONENTS);
	assert_int_equal(at(&claims, 100), LEDGER_MALLOC_MMAPPED);
	assert_int_equal(at(&claims, 119), LEDGER_MALLOC_MMAPPED);
	assert_int_equal(at(&claims, 120), LEDGER_PYMALLOC);
	assert_int_equal(at(&claims, 140), LEDGER_THREAD_STACKS);
	assert_int_equal(at(&claims, 144), LEDGER_THREAD_STACKS);
	assert_int_equal(at(&claims, 145), LEDGER_PYMALLOC);
	assert_int_equal(at(&claims, 150), LEDGER_MALLOC_MMAPPED);
	assert_int_equal(at(&claims, 189), LEDGER_MALLOC_MMAPPED);
	assert_int_equal(at(&claims, 209), LEDGER_THREAD_STACKS);
	assert_int_equal(at(&claims, 210), LEDGER_COMPONENTS);
	assert_string_equal(claims__find(&claims, 130, NULL)->how, "pool");
	assert_string_equal(claims__find(&claims, 160, NULL)->how, "chunk");
	claims__free(&claims);
}

static void what_cannot_be_claimed_is_refused(void **state)
{
	struct claims claims = {0};

	assert_int_equal(claims__add(&claims, 5, 5, LEDGER_BINARY, NULL), -EINVAL);
	assert_int_equal(claims__add(&claims, 6, 5, LEDGER_BINARY, NULL), -EINVAL);
	settle(&claims);
	assert_int_equal(claims.count, 0);
	assert_null(claims__find(&claims, 5, NULL));
	/* Every second page: none touches the one before. */
	for (uint64_t i = 0; i < CLAIMS_MAX; i++)
		assert_int_equal(claims__add(&claims, 2 * i, 2 * i + 1, LEDGER_V8, NULL), 0);
	assert_int_equal(claims__add(&claims, 1ULL << 40, 1ULL << 41, LEDGER_V8, NULL), -ENOSPC);
	/* What continues the last one needs no room. */
	assert_int_equal(
		claims__add(&claims, 2 * (CLAIMS_MAX - 1) + 1, 2 * CLAIMS_MAX, LEDGER_V8, NULL), 0);
	assert_int_equal(claims.refused, 1);
	settle(&claims);
	assert_int_equal(claims.refused, 1);
	assert_int_equal(claims.count, CLAIMS_MAX);
	claims__free(&claims);
}

static void the_whole_address_space_can_be_claimed(void **state)
{
	struct claims claims = {0};
	uint64_t next;

	assert_int_equal(claims__add(&claims, 0, UINT64_MAX, LEDGER_OTHER_ANONYMOUS, NULL), 0);
	assert_int_equal(claims__add(&claims, UINT64_MAX - 1, UINT64_MAX, LEDGER_FILE, NULL), 0);
	settle(&claims);
	assert_int_equal(at(&claims, 0), LEDGER_OTHER_ANONYMOUS);
	assert_int_equal(at(&claims, UINT64_MAX - 1), LEDGER_FILE);
	assert_non_null(claims__find(&claims, 7, &next));
	assert_true(next == UINT64_MAX - 1);
	claims__free(&claims);
}

/* Against a model that knows each unit of a small address space. */
enum { UNITS = 400, CLAIMS = 60, ROUNDS = 400 };

static void random_claims(struct claims *claims, enum ledger_component *model)
{
	for (int i = 0; i < UNITS; i++)
		model[i] = LEDGER_COMPONENTS;
	for (int i = 0; i < CLAIMS; i++) {
		int start = rand() % (UNITS - 1), length = 1 + rand() % (rand() % 4 ? 12 : 120);
		int end = start + length > UNITS ? UNITS : start + length;
		enum ledger_component component = rand() % LEDGER_COMPONENTS;

		assert_int_equal(claims__add(claims, start, end, component, NULL), 0);
		for (int k = start; k < end; k++)
			model[k] = component < model[k] ? component : model[k];
		/* Settling in between must not change what comes out. */
		if (rand() % 20 == 0)
			settle(claims);
	}
	settle(claims);
}

static void random_sets_are_as_a_model_by_units(void **state)
{
	enum ledger_component model[UNITS];

	srand(4);
	for (int round = 0; round < ROUNDS; round++) {
		struct claims claims = {0};

		random_claims(&claims, model);
		for (size_t i = 0; i < claims.count; i++) {
			assert_true(claims.items[i].start < claims.items[i].end);
			assert_true(!i || claims.items[i - 1].end <= claims.items[i].start);
		}
		for (uint64_t i = 0; i < UNITS; i++) {
			uint64_t next;

			assert_int_equal(at(&claims, i), model[i]);
			claims__find(&claims, i, &next);
			assert_true(next > i);
			for (uint64_t k = i; k < next && k < UNITS; k++)
				assert_int_equal(model[k], model[i]);
		}
		claims__free(&claims);
	}
}

static void what_overlaps_is_covered_once(void **state)
{
	static const char one[] = "one", other[] = "other";
	const struct claim items[] = {
		{100, 200, LEDGER_MUSL, one},    {10, 20, LEDGER_MUSL, one},
		{150, 250, LEDGER_MUSL, one},    {100, 200, LEDGER_MUSL, one},
		{160, 170, LEDGER_MUSL, one},    {240, 300, LEDGER_MUSL, other},
		{0, 1000, LEDGER_PYMALLOC, one},
	};
	struct claims claims = {0};
	uint64_t bytes;

	assert_int_equal(claims__covered(&claims, LEDGER_MUSL, NULL, &bytes), 0);
	assert_true(bytes == 0);
	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++)
		assert_int_equal(claims__add(&claims, items[i].start, items[i].end,
					     items[i].component, items[i].how),
				 0);
	assert_int_equal(claims__covered(&claims, LEDGER_MUSL, one, &bytes), 0);
	assert_true(bytes == 10 + 150);
	assert_int_equal(claims__covered(&claims, LEDGER_MUSL, NULL, &bytes), 0);
	assert_true(bytes == 10 + 200);
	assert_int_equal(claims__covered(&claims, LEDGER_V8, NULL, &bytes), 0);
	assert_true(bytes == 0);
	claims__free(&claims);
}

static void every_component_has_a_name_of_its_own(void **state)
{
	for (int i = 0; i < LEDGER_COMPONENTS; i++) {
		assert_non_null(ledger_component__name(i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(ledger_component__name(i),
						ledger_component__name(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earlier_component_keeps_what_two_claim),
		cmocka_unit_test(what_cannot_be_claimed_is_refused),
		cmocka_unit_test(the_whole_address_space_can_be_claimed),
		cmocka_unit_test(random_sets_are_as_a_model_by_units),
		cmocka_unit_test(what_overlaps_is_covered_once),
		cmocka_unit_test(every_component_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
