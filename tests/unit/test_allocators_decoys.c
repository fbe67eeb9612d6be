// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Memory that looks like an allocator's at a glance and is not: each decoy keeps the pattern and
 * lacks what proves it. Nothing of it may be claimed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "census/claims.h"
#include "census/subject.h"
#include "census_child.h"
#include "heap/allocators.h"

#define MB (1ull << 20)

/* Memory at a multiple of align. */
static uint64_t *map_aligned(uint64_t bytes, uint64_t align)
{
	char *base = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		_exit(1);
	return (uint64_t *)(((uintptr_t)base + align - 1) & ~(align - 1));
}

static void run_decoy(void (*fn)(struct child *child))
{
	struct child child = child__start(fn);
	struct allocators found;
	struct claims claims = {0};
	struct subject subject;

	assert_int_equal(subject__open((uint32_t)child.pid, &subject), 0);
	assert_int_equal(allocators__read(&subject, &claims, &found), 0);
	for (size_t i = 0; i < claims.count; i++)
		print_message("claimed for %s: %s\n",
			      ledger_component__name(claims.items[i].component),
			      claims.items[i].how);
	assert_int_equal(claims.count, 0);
	assert_int_equal(found.other_count, 0);
	assert_false(found.has_jemalloc);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

/* Groups whose meta points back, in an area without the secret of a context. */
static void make_groups(struct child *child)
{
	uint64_t *area = map_aligned(MB, 4096), *groups = map_aligned(MB, 4096);

	area[0] = 0x1234567890abcdefull;
	for (size_t i = 0; i < 100; i++) {
		groups[i * 512] = (uintptr_t)(area + 3 + 5 * i);
		area[3 + 5 * i + 2] = (uintptr_t)(groups + i * 512);
		area[3 + 5 * i + 4] = 1ull << 12 | 63 << 6;
	}
	child_ready(child);
	pause();
}

/* Segments whose cookies agree with each other, for a secret that no data holds. */
static void make_segments(struct child *child)
{
	uint64_t *segments = map_aligned(128 * MB, 32 * MB);

	for (size_t i = 0; i < 4; i++) {
		uint64_t *segment = segments + i * 32 * MB / 8;

		segment[27] = (uintptr_t)segment ^ 0xfedcba9876543210ull * (uint64_t)getpid();
		segment[28] = 512;
	}
	child_ready(child);
	pause();
}

/* The secret is in data, but the words that match it are the last of what is read of a head. */
static volatile uint64_t secret_in_data = 0x8877665544332211ull;

static void make_late_cookies(struct child *child)
{
	uint64_t *segments = map_aligned(128 * MB, 32 * MB);

	for (size_t i = 0; i < 4; i++) {
		uint64_t *segment = segments + i * 32 * MB / 8;

		segment[63] = (uintptr_t)segment ^ secret_in_data;
		/* Where a reader that goes on takes the number of slices of the one before from. */
		segment[1] = 512;
	}
	child_ready(child);
	pause();
}

/* An arena of mimalloc 3 with pages that name another. */
static void make_arena(struct child *child)
{
	uint64_t *arena = map_aligned(64 * MB, 65536);

	arena[0] = (uintptr_t)arena;
	arena[1] = 64 * MB;
	arena[2] = 4;
	arena[4] = 1024;
	for (size_t i = 1; i < 100; i++) {
		uint64_t *page = arena + i * 8192;

		page[2] = 16 | 16ull << 16 | 16ull << 32;
		page[5] = 64;
		page[6] = (uintptr_t)(page + 16);
		page[12] = (uintptr_t)(arena + 8192);
		page[13] = i | 1ull << 32;
		page[14] = 7;
	}
	child_ready(child);
	pause();
}

/* Pools with all that a pool has, and no table of arenas. */
static void make_pools(struct child *child)
{
	char *arena = (char *)map_aligned(MB, MB);

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t *pool = (uint32_t *)(arena + i * 16384);

		pool[0] = 100;
		pool[9] = 3;
		pool[10] = 48;
		pool[11] = 16384 - 64;
	}
	child_ready(child);
	pause();
}

/* Chunks of V8's that were not reserved as what they are, or belong to no heap. */
static void make_chunks(struct child *child)
{
	uint64_t *chunks = map_aligned(4 * MB, 256 << 10);

	for (size_t i = 0; i < 16; i++) {
		uint64_t *chunk = chunks + i * 32768;

		chunk[0] = 256 << 10;
		chunk[2] = i % 2 ? (uintptr_t)chunks : 8;
		chunk[3] = (uintptr_t)chunk + 4096;
		chunk[4] = (uintptr_t)chunk + (256 << 10);
		chunk[10] = i % 2 ? (uintptr_t)chunk + 4096 : (uintptr_t)chunk;
		chunk[11] = 256 << 10;
	}
	child_ready(child);
	pause();
}

/* Large enough for a root of jemalloc's, in the program's own zero-initialised data. */
static uint64_t root[1 << 19];

/* A tree whose extents are not where its leaf has them. */
static void make_tree(struct child *child)
{
	uint64_t *leaf = map_aligned(4 * MB, 2 * MB), *extents = map_aligned(MB, MB);

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t *extent = extents + 16 * i;

		extent[1] = (uintptr_t)leaf + 4096 * (i + 7);
		extent[2] = 4096;
		leaf[i] = (uintptr_t)extent;
	}
	root[(uintptr_t)leaf >> 30] = (uintptr_t)leaf;
	child_ready(child);
	pause();
}

static void test_groups(void **state)
{
	run_decoy(make_groups);
}

static void test_segments(void **state)
{
	run_decoy(make_segments);
}

static void test_late_cookies(void **state)
{
	run_decoy(make_late_cookies);
}

static void test_arena(void **state)
{
	run_decoy(make_arena);
}

static void test_pools(void **state)
{
	run_decoy(make_pools);
}

static void test_chunks(void **state)
{
	run_decoy(make_chunks);
}

static void test_tree(void **state)
{
	run_decoy(make_tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),       cmocka_unit_test(test_segments),
		cmocka_unit_test(test_arena),        cmocka_unit_test(test_pools),
		cmocka_unit_test(test_chunks),       cmocka_unit_test(test_tree),
		cmocka_unit_test(test_late_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
