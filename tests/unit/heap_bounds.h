/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_HEAP_BOUNDS_H
#define MEMDRIFT_TESTS_HEAP_BOUNDS_H

/* After cmocka.h. */
#include "heap/glibc_census.h"

/* No figure is more than all that is mapped, nor are those together that exclude each other. */
static inline void expect_possible(const struct glibc_census *census, const struct subject *subject)
{
	uint64_t mapped = subject__mapped(subject), sum = 0;

	for (size_t i = 0; i < census->arena_count; i++) {
		const struct glibc_arena *arena = &census->arenas[i];

		assert_true(arena->in_use_bytes <= mapped && arena->free_bytes <= mapped);
		assert_true(arena->cached_bytes <= arena->free_bytes);
		assert_true(arena->top_bytes <= arena->free_bytes);
		assert_true(arena->largest_free_bytes <= arena->free_bytes);
		assert_true(arena->trimmable_bytes <= mapped);
		assert_true(arena->system_bytes <= mapped && arena->unwalked_bytes <= mapped);
		sum += arena->in_use_bytes + arena->free_bytes + arena->unwalked_bytes;
	}
	assert_true(sum <= mapped);
	assert_true(sum == census->in_use_bytes + census->free_bytes + census->unwalked_bytes);
	assert_true(census->system_bytes <= mapped);
	assert_true(census->in_use_error_bytes <= mapped);
	assert_true(census->mmapped_bytes <= mapped);
}

#endif
