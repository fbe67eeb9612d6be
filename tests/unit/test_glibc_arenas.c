// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/arena_limit.h"
#include "census/glibc_arenas.h"
#include "census/host.h"
#include "census/malloc_par.h"
#include "census/proc_maps.h"
#include "model/model.h"

#include "census_child.h"

#define MB   (1ULL << 20)
#define HEAP GLIBC_HEAP_BYTES

/* glibc's own, which sanitizers do not replace. */
void *__libc_malloc(size_t size);
int __libc_mallopt(int param, int value);

static pthread_barrier_t barrier;
static unsigned int thread_count;
static size_t bytes_each;
static int arena_max;

static void *fill_arena(void *arg)
{
	for (size_t got = 0; got < bytes_each; got += 8000)
		memset(__libc_malloc(8000), 1, 8000);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

static void make_arenas(struct child *child)
{
	if (arena_max)
		__libc_mallopt(M_ARENA_MAX, arena_max);
	memset(__libc_malloc(1000), 1, 1000);
	pthread_barrier_init(&barrier, NULL, thread_count + 1);
	for (unsigned int i = 0; i < thread_count; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, fill_arena, NULL);
	}
	pthread_barrier_wait(&barrier);
	child_ready(child);
	pause();
}

static struct child start_arenas(unsigned int threads, size_t bytes, int max)
{
	thread_count = threads;
	bytes_each = bytes;
	arena_max = max;
	return child__start(make_arenas);
}

static int read_arenas(pid_t pid, struct glibc_arenas *arenas)
{
	struct maps_entry *entries;
	size_t n;
	int err = proc_maps__read(pid, &entries, &n);

	if (err)
		return err;
	err = glibc_arenas__read(pid, entries, n, NULL, arenas);
	maps_entries__free(entries, n);
	return err;
}

static void each_thread_has_its_arena_up_to_the_limit(void **state)
{
	const int limit = 8 * host__cpus_online();
	struct glibc_arenas arenas;
	struct arenas model = {.present = -1};
	char expected[96];

	glibc_arenas__init(&arenas);
	for (int threads = 0; threads <= 6; threads += 3) {
		struct child child = start_arenas(threads, 100000, 0);

		assert_int_equal(read_arenas(child.pid, &arenas), 0);
		assert_true(arenas.has_glibc);
		assert_int_equal(arenas.arena_count, threads + 1);
		assert_int_equal(arenas.heap_count, threads);
		assert_true(arenas.ring_closed);
		assert_true(arenas.main_arena != 0);
		child__end(&child);
	}
	snprintf(expected, sizeof(expected), "8 x %d online CPU%s", limit / 8,
		 limit == 8 ? "" : "s");
	if (limit > 8) {
		assert_int_equal(arenas.limit, limit);
		assert_string_equal(arenas.limit_source, expected);
	}
	glibc_arenas__store(&arenas, &model);
	assert_int_equal(model.present, 7);
	assert_int_equal(model.limit, arenas.limit);
	assert_string_equal(model.limit_source, arenas.limit_source);
	glibc_arenas__free(&arenas);
}

static void no_arena_is_made_beyond_the_limit(void **state)
{
	struct child child = start_arenas(8 * host__cpus_online() + 20, 1000, 0);
	struct glibc_arenas arenas;

	glibc_arenas__init(&arenas);
	assert_int_equal(read_arenas(child.pid, &arenas), 0);
	assert_int_equal(arenas.arena_count, arenas.limit);
	assert_true(arenas.ring_closed);
	glibc_arenas__free(&arenas);
	child__end(&child);
}

static void further_heaps_are_no_arenas(void **state)
{
	struct child child = start_arenas(2, 150 * MB, 0);
	struct glibc_arenas arenas;
	size_t first = 0;

	glibc_arenas__init(&arenas);
	assert_int_equal(read_arenas(child.pid, &arenas), 0);
	assert_int_equal(arenas.arena_count, 3);
	assert_int_equal(arenas.heap_count, 6); /* 150 MB need three heaps each */
	for (size_t i = 0; i < arenas.heap_count; i++) {
		const struct glibc_heap *heap = &arenas.heaps[i];

		first += heap->is_first;
		assert_true(heap->base % HEAP == 0);
		assert_int_equal(heap->is_first, heap->prev == 0);
		assert_true(heap->size_bytes <= heap->mprotect_bytes);
		assert_ptr_equal(glibc_arenas__find(&arenas, heap->base), heap);
		assert_ptr_equal(glibc_arenas__find(&arenas, heap->base + HEAP - 1), heap);
		assert_ptr_not_equal(glibc_arenas__find(&arenas, heap->base - 1), heap);
	}
	assert_int_equal(first, 2);
	glibc_arenas__free(&arenas);
	child__end(&child);
}

static void a_limit_set_by_the_program_is_read_from_it(void **state)
{
	struct child child = start_arenas(6, 1000, 3);
	struct glibc_arenas arenas;

	glibc_arenas__init(&arenas);
	assert_int_equal(read_arenas(child.pid, &arenas), 0);
	assert_int_equal(arenas.limit, 3);
	assert_string_equal(arenas.limit_source, "arena_max=3 (read from the process)");
	assert_int_equal(arenas.arena_count, 3);
	glibc_arenas__free(&arenas);
	child__end(&child);
}

static void what_was_last_known_stays_when_a_process_ends(void **state)
{
	struct child child = start_arenas(2, 1000, 0);
	struct glibc_arenas arenas;
	struct maps_entry *entries;
	struct pagemap *pm;
	size_t n;

	glibc_arenas__init(&arenas);
	assert_int_equal(arenas.arena_count, -1);
	assert_int_equal(read_arenas(child.pid, &arenas), 0);
	assert_int_equal(proc_maps__read(child.pid, &entries, &n), 0);
	assert_int_equal(pagemap__open(child.pid, &pm), 0);
	child__end(&child);
	assert_int_equal(glibc_arenas__read(child.pid, entries, n, NULL, &arenas), -ESRCH);
	assert_int_equal(glibc_arenas__read(child.pid, entries, n, pm, &arenas), -ESRCH);
	assert_int_equal(arenas.arena_count, 3);
	assert_int_equal(arenas.heap_count, 2);
	maps_entries__free(entries, n);
	pagemap__close(pm);
	glibc_arenas__free(&arenas);
}

/* An aligned place for a heap of our own making. */
static uint64_t *map_heap(void)
{
	char *memory = mmap(NULL, 2 * HEAP, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t base = ((uintptr_t)memory + HEAP - 1) & ~(HEAP - 1);

	assert_ptr_not_equal(memory, MAP_FAILED);
	if (base > (uintptr_t)memory)
		munmap(memory, base - (uintptr_t)memory);
	munmap((void *)(base + HEAP), (uintptr_t)memory + HEAP - base);
	return (uint64_t *)base;
}

static void heaps_are_known_by_their_first_words(void **state)
{
	uint64_t *words = map_heap();
	const uint64_t base = (uintptr_t)words, other = base + HEAP;
	const struct {
		int err;
		uint64_t words[5];
	} cases[] = {
		{0, {base + 0x30, 0, 0x21000, 0x21000, 0x1000}}, /* from 2.35 on */
		{0, {base + 0x30, 0, 0x21000, HEAP, 2 * MB}},
		{0, {base + 0x20, 0, 0x21000, 0x22000, 0}}, /* before */
		{0, {base + 0x20, 0, 0x21000, 0x22000, 0x100000000}},
		{0, {other + 0x30, other, HEAP, HEAP, 0x1000}}, /* a further heap */
		{0, {other + 0x20, other - 2 * HEAP, 0x1000, 0x1000, 0}},
		{-ENOENT, {0, 0, 0, 0, 0}},
		{-ENOENT, {base + 0x28, 0, 0x21000, 0x21000, 0x1000}},
		{-ENOENT, {base + 0x30, base, 0x21000, 0x21000, 0x1000}},
		{-ENOENT, {base + 0x30, other, 0x21000, 0x21000, 0x1000}}, /* first with another */
		{-ENOENT, {other + 0x30, 0, 0x21000, 0x21000, 0x1000}},    /* further without */
		{-ENOENT, {other + 0x30, other + 8, 0x21000, 0x21000, 0x1000}},
		{-ENOENT, {other + 0x30, base, 0x21000, 0x21000, 0x1000}},
		{-ENOENT, {base + 0x30, 0, 0, 0x21000, 0x1000}},
		{-ENOENT, {base + 0x30, 0, 0x22000, 0x21000, 0x1000}},
		{-ENOENT, {base + 0x30, 0, 0x21010, 0x22000, 0x1000}},
		{-ENOENT, {base + 0x30, 0, 0x21000, HEAP + 0x1000, 0x1000}},
		{-ENOENT, {base + 0x30, 0, 0x21000, 0x21000, 0x1001}},
		{-ENOENT, {base + 0x30, 0, 0x21000, 0x21000, 0}},
	};
	struct glibc_heap heap;

	assert_int_equal(glibc_heap__read(getpid(), base, &heap), -ENODATA); /* not resident */
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(&heap, 0, sizeof(heap));
		memcpy(words, cases[i].words, sizeof(cases[i].words));
		if (glibc_heap__read(getpid(), base, &heap) != cases[i].err)
			fail_msg("case %zu", i);
		if (cases[i].err)
			continue;
		assert_true(heap.base == base && heap.arena == cases[i].words[0]);
		assert_int_equal(heap.is_first, cases[i].words[1] == 0);
		assert_true(heap.prev == cases[i].words[1]);
		assert_true(heap.size_bytes == cases[i].words[2]);
		assert_true(heap.mprotect_bytes == cases[i].words[3]);
	}
	assert_int_equal(glibc_heap__read(getpid(), base + 4096, &heap), -EINVAL);
	assert_int_equal(glibc_heap__read(getpid(), 0, &heap), -EINVAL);
	munmap(words, HEAP);
}

/* Memory that looks like heaps but belongs to no arena must not count. */
static void fake_heaps(struct child *child)
{
	uint64_t *a = map_heap(), *b = map_heap(), *c = map_heap();
	const uint64_t at_a = (uintptr_t)a, at_b = (uintptr_t)b, nowhere = at_a ^ (1ULL << 40);
	/* Two that lead to each other, and one that leads nowhere. */
	const uint64_t words_a[] = {nowhere + 0x30, at_b, 0x1000, 0x1000, 0x1000};
	const uint64_t words_b[] = {nowhere + 0x30, at_a, 0x1000, 0x1000, 0x1000};
	const uint64_t words_c[] = {nowhere + 0x30, nowhere, 0x1000, 0x1000, 0x1000};

	memcpy(a, words_a, sizeof(words_a));
	memcpy(b, words_b, sizeof(words_b));
	memcpy(c, words_c, sizeof(words_c));
	child_ready(child);
	pause();
}

static void heaps_that_lead_to_no_arena_do_not_count(void **state)
{
	struct child child = child__start(fake_heaps);
	struct glibc_arenas arenas;

	glibc_arenas__init(&arenas);
	assert_int_equal(read_arenas(child.pid, &arenas), 0);
	assert_int_equal(arenas.heap_count, 0);
	assert_int_equal(arenas.arena_count, 1);
	glibc_arenas__free(&arenas);
	child__end(&child);
}

static void the_limit_says_where_it_comes_from(void **state)
{
	const struct malloc_par unset = {.arena_test = 8},
				three = {.arena_max = 3, .arena_test = 8};
	const struct malloc_par many = {.arena_test = 20};
	const struct {
		const struct malloc_par *par;
		const char *variable, *tunables;
		int cpus;
		int64_t limit;
		const char *source;
	} cases[] = {
		{NULL, NULL, NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, NULL, NULL, 1, 8, "8 x 1 online CPU"},
		{&unset, NULL, NULL, 64, 512, "8 x 64 online CPUs"},
		{NULL, "2", NULL, 2, 2, "MALLOC_ARENA_MAX=2 (environment)"},
		{NULL, "0x10", NULL, 2, 16, "MALLOC_ARENA_MAX=16 (environment)"},
		{NULL, "0", NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, "-1", NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, "two", NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, "2x", NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, "", "", 2, 16, "8 x 2 online CPUs"},
		{NULL, "99999999999999999999999", NULL, 2, 16, "8 x 2 online CPUs"},
		{NULL, "2", "glibc.malloc.arena_max=5", 2, 5,
		 "glibc.malloc.arena_max=5 (environment)"},
		{NULL, NULL, "a=b:glibc.malloc.arena_max=5:glibc.malloc.arena_max=6:c", 2, 6,
		 "glibc.malloc.arena_max=6 (environment)"},
		{NULL, NULL, "glibc.malloc.arena_maximum=5:xglibc.malloc.arena_max=4", 2, 16,
		 "8 x 2 online CPUs"},
		{&three, "3", NULL, 2, 3, "MALLOC_ARENA_MAX=3 (environment)"},
		{&three, "4", NULL, 2, 3, "arena_max=3 (read from the process)"},
		{&three, NULL, NULL, 2, 3, "arena_max=3 (read from the process)"},
		{&unset, "4", NULL, 2, 16, "8 x 2 online CPUs"}, /* it was not heeded */
		{&many, NULL, NULL, 2, 21, "arena_test=20 (read from the process) + 1"},
		{&many, NULL, NULL, 3, 24, "8 x 3 online CPUs"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char source[96];

		assert_int_equal(arena_limit__decide(cases[i].par, cases[i].variable,
						     cases[i].tunables, cases[i].cpus, source,
						     sizeof(source)),
				 cases[i].limit);
		assert_string_equal(source, cases[i].source);
	}
}

struct segment {
	uint64_t words[64];
};

static uint64_t halves(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

/* malloc_par as three generations of glibc have it, at the tenth word; returns where sbrk_base
 * lies. */
static size_t lay_out(struct segment *segment, int generation, uint64_t max, uint64_t sbrk_base)
{
	uint64_t *w = segment->words + 10;

	memset(segment, 0, sizeof(*segment));
	*w++ = 128 << 10; /* trim_threshold */
	*w++ = 128 << 10; /* top_pad */
	*w++ = 128 << 10; /* mmap_threshold */
	*w++ = 8;         /* arena_test */
	*w++ = max;
	if (generation == 43)
		*w++ = 0; /* thp_mode */
	if (generation >= 35) {
		*w++ = 0;                /* thp_pagesize */
		*w++ = 0;                /* hp_pagesize */
		*w++ = halves(0, 3);     /* hp_flags, n_mmaps */
		*w++ = halves(65536, 5); /* n_mmaps_max, max_n_mmaps */
		*w++ = halves(0, 0);     /* no_dyn_threshold */
	} else {
		*w++ = halves(3, 65536); /* n_mmaps, n_mmaps_max */
		*w++ = halves(5, 0);     /* max_n_mmaps, no_dyn_threshold */
	}
	*w++ = 12 * MB;
	*w++ = 20 * MB;
	*w++ = sbrk_base;
	*w++ = generation == 43 ? 76 : 64; /* tcache_bins */
	*w++ = 1032;
	return w - segment->words - 3;
}

static void malloc_par_is_found_in_all_layouts(void **state)
{
	static const int generations[] = {31, 35, 43};
	const uint64_t address = 0x7f0000001000, heap = 0x555500000000;

	for (size_t i = 0; i < 3; i++) {
		for (int arenas = 0; arenas <= 8; arenas += 4) {
			for (int grown = 0; grown < 2; grown++) {
				struct segment segment;
				struct malloc_par par;
				size_t at = lay_out(&segment, generations[i], arenas,
						    grown ? heap + 16 : 0);

				assert_int_equal(malloc_par__search((const uint8_t *)segment.words,
								    sizeof(segment), address,
								    grown ? heap : 0,
								    grown ? heap + MB : 0, &par),
						 0);
				assert_true(par.address == address + 8 * at);
				assert_int_equal(par.arena_max, arenas);
				assert_int_equal(par.arena_test, 8);
				assert_int_equal(par.mmap_threshold_bytes, 128 << 10);
				assert_int_equal(par.mmapped_chunks, 3);
				assert_int_equal(par.mmapped_bytes, 12 * MB);
			}
		}
	}
}

static void malloc_par_is_not_guessed(void **state)
{
	const uint64_t heap = 0x555500000000;
	struct segment segment, twice[2];
	struct malloc_par par;
	const uint8_t *bytes = (const uint8_t *)segment.words;

	memset(&segment, 0, sizeof(segment));
	assert_int_equal(malloc_par__search(bytes, sizeof(segment), 0, heap, heap + MB, &par),
			 -ENOENT);
	assert_int_equal(malloc_par__search(bytes, 0, 0, heap, heap + MB, &par), -ENOENT);
	lay_out(&segment, 35, 0, heap + 2 * MB); /* outside of the heap */
	assert_int_equal(malloc_par__search(bytes, sizeof(segment), 0, heap, heap + MB, &par),
			 -ENOENT);
	lay_out(&twice[0], 35, 0, heap);
	lay_out(&twice[1], 35, 4, heap);
	assert_int_equal(
		malloc_par__search((const uint8_t *)twice, sizeof(twice), 0, heap, heap + MB, &par),
		-ENOTUNIQ);
}

static void glibc_is_known_by_its_file_name(void **state)
{
	assert_true(path_is_glibc("/usr/lib/x86_64-linux-gnu/libc.so.6"));
	assert_true(path_is_glibc("/a/libc.so.6 (deleted)"));
	assert_true(path_is_glibc("/lib/libc-2.31.so"));
	assert_true(path_is_glibc("/lib/libc-2.17.so (deleted)"));
	assert_false(path_is_glibc("libc.so.6"));
	assert_false(path_is_glibc("/lib/libc.so.6.1"));
	assert_false(path_is_glibc("/lib/libc.so"));
	assert_false(path_is_glibc("/lib/ld-musl-x86_64.so.1"));
	assert_false(path_is_glibc("/lib/libc-2.so"));
	assert_false(path_is_glibc("/lib/libc-2.31.so.old"));
	assert_false(path_is_glibc("/lib/libc-2.31so"));
	assert_false(path_is_glibc(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_thread_has_its_arena_up_to_the_limit),
		cmocka_unit_test(no_arena_is_made_beyond_the_limit),
		cmocka_unit_test(further_heaps_are_no_arenas),
		cmocka_unit_test(a_limit_set_by_the_program_is_read_from_it),
		cmocka_unit_test(what_was_last_known_stays_when_a_process_ends),
		cmocka_unit_test(heaps_are_known_by_their_first_words),
		cmocka_unit_test(heaps_that_lead_to_no_arena_do_not_count),
		cmocka_unit_test(the_limit_says_where_it_comes_from),
		cmocka_unit_test(malloc_par_is_found_in_all_layouts),
		cmocka_unit_test(malloc_par_is_not_guessed),
		cmocka_unit_test(glibc_is_known_by_its_file_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
