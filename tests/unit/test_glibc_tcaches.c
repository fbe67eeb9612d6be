// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/glibc_cached.h"

/* struct tcache_perthread_struct of 2.42 (malloc/malloc.c) in its chunk: uint16_t num_slots[76];
 * tcache_entry *entries[76]. */
struct tcache_chunk {
	uint64_t header[2];
	uint16_t num_slots[76];
	uint64_t entries[76];
};

#define CHUNK_BYTES 0x300 /* (sizeof(the struct) + 8 + 15) & ~15: request2size */

static void the_last_list_reaches_into_the_next_header(void **state)
{
	struct tcache_chunk *chunk = calloc(1, sizeof(*chunk));

	(void)state;
	assert_non_null(chunk);
	assert_int_equal(sizeof(*chunk), CHUNK_BYTES + CHUNK_TAIL_BYTES);
	assert_false(glibc_tcache__plausible((const uint8_t *)chunk, CHUNK_BYTES));
	chunk->entries[75] = 0x7f0000001230;
	assert_true(glibc_tcache__plausible((const uint8_t *)chunk, CHUNK_BYTES));
	chunk->entries[75] = 0x31e0;
	assert_false(glibc_tcache__plausible((const uint8_t *)chunk, CHUNK_BYTES));
	free(chunk);
}

/* A process did not stand still when only its list of the largest chunks changed. */
static void the_digest_is_of_all_lists(void **state)
{
	struct tcache_chunk *chunk = aligned_alloc(4096, 4096);
	uint64_t address = (uint64_t)(uintptr_t)chunk;
	struct page_run run = {.start = address, .end = address + 4096};
	struct page_runs runs = {.runs = &run, .count = 1};
	struct memory memory = {.pid = (uint32_t)getpid(), .runs = &runs};
	struct glibc_tcache item = {.address = address + 16, .chunk_bytes = CHUNK_BYTES};
	struct glibc_tcaches tcaches = {.items = &item, .count = 1};
	uint64_t before;

	(void)state;
	assert_non_null(chunk);
	memset(chunk, 0, 4096);
	before = glibc_tcaches__digest(&tcaches, &memory);
	for (size_t i = 0; i < 76; i++) {
		chunk->entries[i] = 0x7f0000001230;
		assert_int_not_equal(glibc_tcaches__digest(&tcaches, &memory), before);
		chunk->entries[i] = 0;
	}
	assert_int_equal(glibc_tcaches__digest(&tcaches, &memory), before);
	free(chunk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_list_reaches_into_the_next_header),
		cmocka_unit_test(the_digest_is_of_all_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
