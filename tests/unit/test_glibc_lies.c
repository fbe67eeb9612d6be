// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "heap/glibc_census.h"
#include "heap/glibc_regions.h"

#include "heap_bounds.h"
#include "heap_child.h"

/* Heaps that say that there is more than there is: for a word that is overwritten, or was mapped
 * since. */

#define ARENAS 4
#define BLOCKS 3000

/* Two of each arena. */
#define WORDS_MAX (2 * (1 + ARENAS))

static pthread_barrier_t barrier;

static void *make_heap(void *arg)
{
	static __thread void *blocks[BLOCKS];
	uint64_t random = 5 + (uintptr_t)arg;

	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = __libc_malloc(16 + heap__random(&random) % (i % 50 ? 200 : 9000));
		memset(blocks[i], 1, 16);
	}
	for (int i = 0; i < BLOCKS; i += 2)
		__libc_free(blocks[i]);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

static void stand_still(struct child *child)
{
	pthread_t thread;

	/* The first thread that allocates has the main arena. */
	memset(__libc_malloc(100), 1, 100);
	pthread_barrier_init(&barrier, NULL, ARENAS + 1);
	for (intptr_t i = 0; i < ARENAS; i++)
		pthread_create(&thread, NULL, make_heap, (void *)i);
	pthread_barrier_wait(&barrier);
	child_ready(child);
	pause();
}

/* A process whose heaps are whole but for single words that the test overwrites. */
struct lies {
	struct child child;
	struct subject subject;
	struct glibc_arenas arenas;
	struct glibc_census whole, census;
	uint64_t top; /* the main arena's */
};

static void move_word(const struct lies *lies, uint64_t addr, uint64_t *word, bool write)
{
	struct iovec local = {word, 8}, remote = {(void *)addr, 8};

	assert_int_equal((write ? process_vm_writev : process_vm_readv)(lies->child.pid, &local, 1,
									&remote, 1, 0),
			 8);
}

/* False when nothing was believed. */
static bool take_census(struct lies *lies, struct glibc_census *census)
{
	struct claims claims = {0};
	const char *reason;
	int err = glibc_census__read(&lies->subject, NULL, &claims, census, &reason);

	assert_true(!err || (err == -ENOENT && reason));
	if (!err)
		expect_possible(census, &lies->subject);
	assert_int_equal(claims__settle(&claims), 0);
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = &claims.items[i];

		assert_true(entries__anonymous_end(lies->subject.entries, lies->subject.n,
						   claim->start, claim->end) == claim->end);
	}
	claims__free(&claims);
	return !err;
}

static uint64_t top_field(const struct lies *lies)
{
	return lies->arenas.main_arena + lies->arenas.bins_offset - 16;
}

static void start_lies(struct lies *lies)
{
	*lies = (struct lies){.child = child__start(stand_still)};
	assert_int_equal(subject__open(lies->child.pid, &lies->subject), 0);
	glibc_arenas__init(&lies->arenas);
	assert_int_equal(glibc_arenas__read(lies->subject.pid, lies->subject.entries,
					    lies->subject.n, lies->subject.pm, &lies->arenas),
			 0);
	assert_true(lies->arenas.main_arena && lies->arenas.heap_count == ARENAS);
	assert_true(take_census(lies, &lies->whole));
	assert_true(lies->whole.stood_still && lies->whole.arenas[0].is_main);
	assert_true(lies->whole.arenas[0].top_bytes > 0 && lies->whole.arenas[0].walked.ok);
	move_word(lies, top_field(lies), &lies->top, false);
}

static void end_lies(struct lies *lies)
{
	glibc_census__free(&lies->whole);
	glibc_arenas__free(&lies->arenas);
	subject__close(&lies->subject);
	child__end(&lies->child);
}

/* The census with these words overwritten by those, put back behind it. */
static bool lie(struct lies *lies, const uint64_t *addrs, const uint64_t *values, size_t n)
{
	uint64_t old[WORDS_MAX];
	bool believed;

	for (size_t i = 0; i < n; i++) {
		uint64_t value = values[i];

		move_word(lies, addrs[i], &old[i], false);
		move_word(lies, addrs[i], &value, true);
	}
	believed = take_census(lies, &lies->census);
	for (size_t i = 0; i < n; i++)
		move_word(lies, addrs[i], &old[i], true);
	return believed;
}

/* Sizes of the top that reach out of what is mapped, up to what no address space has. What lies in
 * front of it is as it was. */
static void a_top_ends_where_its_mapping_does(void **state)
{
	static const uint64_t sizes[] = {
		0x560000000000 | 1, 3900570448 | 1, (1ULL << 47) - 16, 1027604480 | 1, 1ULL << 30,
	};
	struct lies lies;

	start_lies(&lies);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct glibc_arena *main = &lies.whole.arenas[0], *now;
		const uint64_t at = lies.top + 8;

		assert_true(lie(&lies, &at, &sizes[i], 1));
		now = &lies.census.arenas[0];
		assert_true(now->is_main && now->top_bytes == 0 && !now->walked.ok);
		assert_true(now->unwalked_bytes >= main->top_bytes);
		assert_true(now->in_use_bytes <= main->in_use_bytes);
		assert_true(lies.census.in_use_error_bytes >= now->unwalked_bytes);
		glibc_census__free(&lies.census);
	}
	end_lies(&lies);
}

/* The main arena's top in a thread's heap: that is the thread's as before. */
static void no_chunk_is_in_two_arenas(void **state)
{
	struct lies lies;

	start_lies(&lies);
	for (size_t i = 0; i < lies.arenas.heap_count; i++) {
		const struct glibc_heap *heap = &lies.arenas.heaps[i];
		const uint64_t top = top_field(&lies);
		const uint64_t values[] = {heap->base + 0x8d0, heap->base + heap->size_bytes - 64,
					   heap->base};

		for (size_t k = 0; k < sizeof(values) / sizeof(*values); k++) {
			assert_true(lie(&lies, &top, &values[k], 1));
			assert_true(lies.census.arenas[0].is_main);
			assert_true(lies.census.arenas[0].in_use_bytes == 0);
			assert_true(lies.census.arenas[0].free_bytes == 0);
			assert_true(lies.census.arenas[0].unwalked_bytes ==
				    lies.census.arenas[0].system_bytes);
			glibc_census__free(&lies.census);
		}
	}
	end_lies(&lies);
}

/* system_mem follows bins, binmap, next, next_free and attached_threads (2.27 to 2.42), and is
 * followed by its maximum. */
static void say_system_bytes(const struct lies *lies, uint64_t bytes, uint64_t *addrs,
			     uint64_t *values)
{
	for (size_t i = 0; i < WORDS_MAX; i++) {
		uint64_t arena =
			i < 2 ? lies->arenas.main_arena : lies->arenas.heaps[i / 2 - 1].arena;

		addrs[i] = arena + lies->arenas.bins_offset + 0x818 + i % 2 * 8;
		values[i] = bytes;
	}
}

/* Each arena for itself says no more than is mapped; all of them together do. */
static void arenas_together_have_no_more_than_is_mapped(void **state)
{
	uint64_t addrs[WORDS_MAX], values[WORDS_MAX];
	struct lies lies;
	int believed = 0;

	start_lies(&lies);
	for (uint64_t part = 1; part <= 6; part++) {
		say_system_bytes(&lies, subject__mapped(&lies.subject) / part & ~4095ULL, addrs,
				 values);
		if (!lie(&lies, addrs, values, WORDS_MAX))
			continue;
		believed++;
		glibc_census__free(&lies.census);
	}
	assert_true(believed > 0);
	end_lies(&lies);
}

int __libc_mallopt(int param, int value);

#define BLOCKS_MAX  1000
#define BLOCK_BYTES (100u << 10)
#define GROWN_BYTES (4u << 20)

/* Takes from its top until the kernel has given it more, and gives all of it back to the top. */
static void grow(struct child *child)
{
	static void *blocks[BLOCKS_MAX];
	const char *end;
	size_t n = 0;

	__libc_mallopt(M_TRIM_THRESHOLD, INT_MAX);
	__libc_mallopt(M_MMAP_THRESHOLD, 2 * BLOCK_BYTES);
	memset(__libc_malloc(100), 1, 100);
	child_ready(child);
	end = (const char *)sbrk(0) + GROWN_BYTES;
	while (n < BLOCKS_MAX && (const char *)sbrk(0) < end)
		blocks[n++] = __libc_malloc(BLOCK_BYTES);
	while (n)
		__libc_free(blocks[--n]);
	child_ready(child);
	pause();
}

/* What says to be longer than its mapping was may have grown since that was read. */
static void a_heap_that_grew_is_walked_to_its_new_end(void **state)
{
	struct child child = child__start(grow);
	struct glibc_census before, after;
	struct claims claims = {0};
	struct subject subject;
	const char *reason;

	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(glibc_census__read(&subject, NULL, &claims, &before, &reason), 0);
	child__step(&child);
	assert_int_equal(glibc_census__read(&subject, NULL, &claims, &after, &reason), 0);
	assert_true(before.arenas[0].walked.ok && after.arenas[0].walked.ok);
	assert_true(after.system_bytes >= before.system_bytes + GROWN_BYTES);
	assert_true(after.free_bytes >= before.free_bytes + GROWN_BYTES);
	assert_true(after.unwalked_bytes == 0);
	glibc_census__free(&before);
	glibc_census__free(&after);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_top_ends_where_its_mapping_does),
		cmocka_unit_test(no_chunk_is_in_two_arenas),
		cmocka_unit_test(arenas_together_have_no_more_than_is_mapped),
		cmocka_unit_test(a_heap_that_grew_is_walked_to_its_new_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
