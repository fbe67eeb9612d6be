// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Usable bytes by the headers of this process's own chunks. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "census/chunk_sizes.h"

#define CHUNKS 3000

static void test_own_chunks(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	skip(); /* its malloc is not glibc's */
#endif
	uint64_t pointers[CHUNKS], sizes[CHUNKS], usable[CHUNKS];

	for (size_t i = 0; i < CHUNKS; i++) {
		sizes[i] = i % 7 ? i * i % 5000 : 200000 + i * 100;
		pointers[i] = (uintptr_t)(i % 3 ? malloc(sizes[i]) : memalign(64, sizes[i]));
		assert_int_not_equal(pointers[i], 0);
	}
	assert_int_equal(glibc_chunk__usable((uint32_t)getpid(), pointers, sizes, CHUNKS, usable),
			 0);
	for (size_t i = 0; i < CHUNKS; i++) {
		assert_int_equal(usable[i], malloc_usable_size((void *)(uintptr_t)pointers[i]));
		free((void *)(uintptr_t)pointers[i]);
	}
}

/* Pages that are gone hide nobody's chunk but their own; what is no header says nothing. */
static void test_bad_pointers(void **state)
{
	uint64_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t pointers[6], sizes[6] = {8, 8, 8, 8, 100, 8}, usable[6];

	assert_ptr_not_equal(page, MAP_FAILED);
	munmap(page + 512, 4096);
	page[1] = 0x41;   /* 64 bytes */
	page[3] = 0x1009; /* no multiple of 16 */
	page[5] = 0x11;   /* less than any chunk has */
	page[7] = 0x1002; /* from mmap */
	pointers[0] = (uintptr_t)&page[2];
	pointers[1] = (uintptr_t)&page[4];
	pointers[2] = (uintptr_t)&page[520]; /* gone */
	pointers[3] = (uintptr_t)&page[6];
	pointers[4] = (uintptr_t)&page[2]; /* smaller than what was requested */
	pointers[5] = (uintptr_t)&page[8];
	assert_int_equal(glibc_chunk__usable((uint32_t)getpid(), pointers, sizes, 6, usable), 0);
	assert_int_equal(usable[0], 56);
	assert_int_equal(usable[1], 0);
	assert_int_equal(usable[2], 0);
	assert_int_equal(usable[3], 0);
	assert_int_equal(usable[4], 0);
	assert_int_equal(usable[5], 0x1000 - 16);
	munmap(page, 4096);
}

/* A process that is not there. */
static void test_no_process(void **state)
{
	uint64_t pointer = 4096, size = 8, usable = 1;

	assert_true(glibc_chunk__usable(4194304, &pointer, &size, 1, &usable) < 0);
	assert_int_equal(usable, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_chunks),
		cmocka_unit_test(test_bad_pointers),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
