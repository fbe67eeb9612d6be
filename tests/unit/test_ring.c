// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "model/ring.h"

struct item {
	uint32_t a;
	uint64_t b;
};

static void the_last_items_are_kept_in_order(void **state)
{
	static const uint32_t capacities[] = {1, 2, 7, 8, 9, 16, 120};

	for (size_t c = 0; c < sizeof(capacities) / sizeof(*capacities); c++) {
		uint32_t capacity = capacities[c];
		struct ring ring;

		ring__init(&ring, sizeof(struct item), capacity);
		assert_null(ring__at(&ring, 0));
		for (uint32_t n = 1; n <= 3 * capacity + 1; n++) {
			struct item item = {.a = n, .b = n * 10ull};
			uint32_t kept = n < capacity ? n : capacity;

			assert_int_equal(ring__push(&ring, &item), 0);
			assert_int_equal(ring.count, kept);
			for (uint32_t i = 0; i < kept; i++) {
				const struct item *at = ring__at(&ring, i);

				assert_int_equal(at->a, n - kept + 1 + i);
				assert_int_equal(at->b, (n - kept + 1 + i) * 10ull);
			}
			assert_null(ring__at(&ring, kept));
			assert_true(ring.room <= capacity);
		}
		ring__free(&ring);
	}
}

static void a_ring_without_capacity_keeps_nothing(void **state)
{
	struct ring ring;
	uint64_t item = 1;

	ring__init(&ring, sizeof(item), 0);
	assert_int_equal(ring__push(&ring, &item), 0);
	assert_null(ring__at(&ring, 0));
	ring__free(&ring);
}

static void a_freed_ring_can_be_filled_again(void **state)
{
	struct ring ring;
	uint64_t item = 42;

	ring__init(&ring, sizeof(item), 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ring__push(&ring, &item), 0);
	ring__free(&ring);
	assert_null(ring__at(&ring, 0));
	assert_int_equal(ring__push(&ring, &item), 0);
	assert_int_equal(*(const uint64_t *)ring__at(&ring, 0), 42);
	ring__free(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_items_are_kept_in_order),
		cmocka_unit_test(a_ring_without_capacity_keeps_nothing),
		cmocka_unit_test(a_freed_ring_can_be_filled_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
