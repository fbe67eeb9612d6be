// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>

#include "heap/glibc_census.h"

#include "heap_child.h"

/*
 * MEMDRIFT_READINGS=1000 makes the test of a process that runs long (tests/acceptance).
 */

#define MB 1000000u

static struct heap_shared *shared;

static struct glibc_census read_census(pid_t pid)
{
	struct subject subject;
	struct claims claims = {0};
	struct glibc_census census;
	const char *reason;

	assert_int_equal(subject__open(pid, &subject), 0);
	assert_int_equal(glibc_census__read(&subject, NULL, &claims, &census, &reason), 0);
	claims__free(&claims);
	subject__close(&subject);
	return census;
}

/* What libraries hold since they were loaded. */
static uint64_t libraries_bytes;

static uint64_t sum_live(void)
{
	uint64_t sum = libraries_bytes;

	for (int i = 0; i < HEAP_THREADS_MAX; i++)
		sum += __atomic_load_n(&shared->live_bytes[i], __ATOMIC_RELAXED);
	return sum;
}

static void assert_near(uint64_t got, uint64_t expected, uint64_t allowed)
{
	uint64_t off = got > expected ? got - expected : expected - got;

	if (off > allowed)
		fail_msg("%llu is off %llu by %llu", (unsigned long long)got,
			 (unsigned long long)expected, (unsigned long long)off);
}

/* ---- children ---------------------------------------------------------------------------------
 */

static pthread_barrier_t barrier;

/* Blocks of up to max bytes, linked, until there are `bytes`; every second one is freed again. */
static void fill_and_thin(int id, uint64_t bytes, uint64_t max)
{
	uint64_t random = 88172645463325252ULL + id, live = 0;
	void **first = NULL;

	while (live < bytes) {
		void **block = __libc_malloc(16 + heap__random(&random) % max);

		memset(block, 1, heap__chunk_bytes((uintptr_t)block) - 8);
		*block = first;
		first = block;
		live += heap__chunk_bytes((uintptr_t)block);
	}
	for (void **link = first; link && *link;) {
		void **next = *link;

		live -= heap__chunk_bytes((uintptr_t)next);
		*link = *next;
		link = *next;
		__libc_free(next);
	}
	shared->live_bytes[id] += live;
}

static void *fill_thread(void *arg)
{
	fill_and_thin((int)(intptr_t)arg, 4 * MB, 1500);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

static void tell(struct child *child)
{
	struct heap_truth truth = heap__truth();

	memcpy(child->told, &truth, sizeof(truth));
}

static void start_threads(void *(*fn)(void *), int n)
{
	pthread_t thread;

	for (intptr_t i = 1; i <= n; i++)
		pthread_create(&thread, NULL, fn, (void *)i);
}

/* Stands still, then calls malloc_trim. */
static void stand_still(struct child *child)
{
	uint64_t before;

	pthread_barrier_init(&barrier, NULL, 4);
	start_threads(fill_thread, 3);
	fill_and_thin(0, 4 * MB, 20000);
	pthread_barrier_wait(&barrier);
	heap__anonymous_bytes(); /* what it touches for the first time is touched */
	tell(child);
	child_ready(child);
	before = heap__anonymous_bytes();
	malloc_trim(0);
	child->told[0] = before - heap__anonymous_bytes();
	child_ready(child);
	pause();
}

static void standing_still_all_is_exact(void **state)
{
	struct child child;
	struct heap_truth truth;
	struct glibc_census census;
	uint64_t overhead;

	memset(shared, 0, sizeof(*shared));
	child = child__start(stand_still);
	memcpy(&truth, child.told, sizeof(truth));
	census = read_census(child.pid);
	assert_true(census.stood_still);
	assert_true(census.ring_closed);
	assert_int_equal(census.arena_count, truth.arenas);
	assert_int_equal(census.system_bytes, truth.system_bytes);
	assert_int_equal(census.unwalked_bytes, 0);
	assert_int_equal(census.in_use_error_bytes, 0);
	for (size_t i = 0; i < census.arena_count; i++) {
		assert_true(census.arenas[i].walked.ok);
		assert_int_equal(census.arenas[i].is_main, i == 0);
	}
	/* glibc counts what lies in thread caches as in use; arenas and heaps have headers. */
	overhead = census.system_bytes - census.in_use_bytes - census.free_bytes;
	assert_in_range(overhead, 0, 4 * 4096);
	assert_near(census.free_bytes - census.cached_bytes, truth.free_bytes,
		    truth.free_bytes / 1000);
	assert_true(census.cached_bytes >= truth.fast_bytes);
	assert_near(census.in_use_bytes, sum_live(), sum_live() / 1000 + 16384);
	child__step(&child);
	assert_near(census.trimmable_bytes, child.told[0], child.told[0] / 200);
	assert_true(child.told[0] > 0);
	child__end(&child);
	glibc_census__free(&census);
}

/* Chunks go to the fastbins, and come back without a byte written: their old links are still in
 * them. */
#define STALE 20000

static void reuse_unwritten(struct child *child)
{
	static void *blocks[STALE];

	for (int i = 0; i < STALE; i++)
		blocks[i] = __libc_malloc(40);
	for (int i = 0; i < STALE; i++)
		__libc_free(blocks[i]);
	child->told[0] = heap__chunk_bytes((uintptr_t)blocks[0]) * STALE;
	child_ready(child);
	for (int i = 0; i < STALE; i++)
		blocks[i] = __libc_malloc(40);
	child_ready(child);
	pause();
}

static void old_links_in_memory_handed_out_mean_nothing(void **state)
{
	struct child child = child__start(reuse_unwritten);
	struct glibc_census freed = read_census(child.pid), again;

	child__step(&child);
	again = read_census(child.pid);
	assert_near(freed.cached_bytes - again.cached_bytes, child.told[0], 1000);
	assert_near(again.in_use_bytes - freed.in_use_bytes, child.told[0], 1000);
	child__end(&child);
	glibc_census__free(&freed);
	glibc_census__free(&again);
}

/* Mappings of malloc's own between others that look a little like them. */
static void map_chunks(struct child *child)
{
	for (int i = 0; i < 40; i++) {
		uint64_t *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		page[0] = 0;
		page[1] = i % 2 ? 0x1002 : 0x7002; /* a short one, and one beyond its mapping */
		memset(__libc_malloc(34000000 + 8192 * i), 1, 1000);
		if (i % 5 == 0)
			memset(__libc_memalign(1 << 21, 300000), 1, 1000);
	}
	tell(child);
	child_ready(child);
	pause();
}

static void chunks_of_their_own_mapping_are_found(void **state)
{
	struct child child = child__start(map_chunks);
	struct glibc_census census = read_census(child.pid);
	struct heap_truth truth;

	memcpy(&truth, child.told, sizeof(truth));
	assert_true(census.mmapped.done && census.mmapped.ok);
	assert_int_equal(census.mmapped_chunks, truth.mmapped_chunks);
	assert_int_equal(census.mmapped_bytes, truth.mmapped_bytes);
	child__end(&child);
	glibc_census__free(&census);
}

#define SLOTS 16384

static void *churn(void *arg)
{
	int id = (int)(intptr_t)arg;
	uint64_t random = 1234567 + 99991 * id;
	static __thread uint64_t *slots[SLOTS];

	for (;;) {
		uint64_t **slot = &slots[heap__random(&random) % SLOTS], bytes;

		if (*slot) {
			bytes = -heap__chunk_bytes((uintptr_t)*slot);
			__libc_free(*slot);
			*slot = NULL;
		} else {
			*slot = __libc_malloc(16 + heap__random(&random) % 1000);
			(*slot)[0] = (*slot)[1] = 1;
			bytes = heap__chunk_bytes((uintptr_t)*slot);
		}
		__atomic_fetch_add(&shared->live_bytes[id], bytes, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->rounds[id], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

#define CHURNERS 4

static void churn_without_end(struct child *child)
{
	start_threads(churn, CHURNERS);
	for (int i = 1; i <= CHURNERS; i++) {
		while (__atomic_load_n(&shared->rounds[i], __ATOMIC_RELAXED) < 4 * SLOTS)
			sched_yield();
	}
	child_ready(child);
	pause();
}

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* How far a reading is off what was in use at some time of it, in parts of that; 0 when it lies
 * between what was in use before and after. */
static double deviation(uint64_t got, uint64_t before, uint64_t after)
{
	uint64_t low = before < after ? before : after, high = before < after ? after : before;
	uint64_t off = got < low ? low - got : got > high ? got - high : 0;

	return (double)off / (double)low;
}

static void a_running_process_is_read_within_its_error(void **state)
{
	const char *wish = getenv("MEMDRIFT_READINGS");
	int n = wish ? atoi(wish) : 16, covered = 0;
	double *off = calloc(n, sizeof(*off));
	struct child child;

	memset(shared, 0, sizeof(*shared));
	child = child__start(churn_without_end);
	for (int i = 0; i < n; i++) {
		uint64_t before = sum_live();
		struct glibc_census census = read_census(child.pid);

		off[i] = deviation(census.in_use_bytes, before, sum_live());
		if (off[i] > 0.1)
			print_message(
				"# in use %llu, not %llu: %u walks of %zu arenas, %llu left out\n",
				(unsigned long long)census.in_use_bytes, (unsigned long long)before,
				census.walks, census.arena_count,
				(unsigned long long)census.unwalked_bytes);
		covered += off[i] * (double)before <=
			   (double)(census.in_use_error_bytes + CHURNERS * 4096);
		assert_true(census.walks > 1 || census.stood_still);
		glibc_census__free(&census);
	}
	child__end(&child);
	qsort(off, n, sizeof(*off), by_value);
	print_message("# %d readings: median error %.3f %%, largest %.3f %%, %d covered\n", n,
		      100 * off[n / 2], 100 * off[n - 1], covered);
	assert_true(off[n / 2] <= 0.01);
	/* None may be far off, whatever it says of itself. */
	assert_true(off[n - 1] <= 0.1);
	/* Of a few readings chance alone can miss one or two. */
	assert_true(covered >= (n >= 100 ? n * 95 / 100 : n - 3));
	free(off);
}

static void of_a_process_that_ended_nothing_is_told(void **state)
{
	struct child child = child__start(map_chunks);
	struct subject subject;
	struct claims claims = {0};
	struct glibc_census census;
	const char *reason;

	assert_int_equal(subject__open(child.pid, &subject), 0);
	child__end(&child);
	assert_int_equal(glibc_census__read(&subject, NULL, &claims, &census, &reason), -ESRCH);
	assert_null(census.arenas);
	claims__free(&claims);
	subject__close(&subject);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standing_still_all_is_exact),
		cmocka_unit_test(old_links_in_memory_handed_out_mean_nothing),
		cmocka_unit_test(chunks_of_their_own_mapping_are_found),
		cmocka_unit_test(a_running_process_is_read_within_its_error),
		cmocka_unit_test(of_a_process_that_ended_nothing_is_told),
	};

	libraries_bytes = mallinfo2().uordblks;
	shared = heap__share();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
