// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "census/census.h"
#include "census/page_runs.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "census/residency.h"
#include "census/thread_stacks.h"
#include "model/model.h"

#include "census_child.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)

/* glibc's own, which sanitizers do not replace. */
void *__libc_malloc(size_t size);
int __libc_mallopt(int param, int value);

static void runs_answer_for_any_range(void **state)
{
	struct page_runs runs = {0};
	uint64_t bytes = 1;

	assert_int_equal(page_runs__count(&runs, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(page_runs__add(&runs, 0x1000, 0x3000), 0);
	assert_int_equal(page_runs__add(&runs, 0x3000, 0x4000), 0);
	assert_int_equal(page_runs__add(&runs, 0x8000, 0xa000), 0);
	assert_int_equal(page_runs__add_unknown(&runs, 0xc000, 0xd000), 0);
	assert_int_equal(page_runs__add(&runs, 0xe000, 0xf000), 0);
	assert_int_equal(runs.count, 3);
	assert_int_equal(page_runs__count(&runs, 0, 0xc000, &bytes), 0);
	assert_int_equal(bytes, 0x5000);
	assert_int_equal(page_runs__count(&runs, 0x2000, 0x9000, &bytes), 0);
	assert_int_equal(bytes, 0x3000);
	assert_int_equal(page_runs__count(&runs, 0x4000, 0x8000, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(page_runs__count(&runs, 0xd000, 0x10000, &bytes), 0);
	assert_int_equal(bytes, 0x1000);
	assert_int_equal(page_runs__count(&runs, 0xb000, 0xc001, &bytes), -ENODATA);
	assert_int_equal(page_runs__count(&runs, 0, UINT64_MAX, &bytes), -ENODATA);
	page_runs__free(&runs);
}

static void runs_beyond_the_bound_are_unknown(void **state)
{
	struct page_runs runs = {0};
	uint64_t bytes;

	for (uint64_t i = 0; i < PAGE_RUNS_MAX + 10ULL; i++)
		assert_int_equal(page_runs__add(&runs, 2 * i * PAGE, (2 * i + 1) * PAGE), 0);
	assert_int_equal(runs.count, PAGE_RUNS_MAX);
	assert_int_equal(page_runs__count(&runs, 0, 2 * PAGE_RUNS_MAX * PAGE, &bytes), 0);
	assert_int_equal(bytes, PAGE_RUNS_MAX * PAGE);
	assert_int_equal(page_runs__count(&runs, 0, (2 * PAGE_RUNS_MAX + 1) * PAGE, &bytes),
			 -ENODATA);
	page_runs__free(&runs);
}

static void go_heap_addresses_are_known(void **state)
{
	assert_true(go_heap__may_hold(GO_HEAP_HINTED, 0xc000000000));
	assert_true(go_heap__may_hold(GO_HEAP_HINTED, 0xc0deadbeef));
	assert_true(
		go_heap__may_hold(GO_HEAP_HINTED, 0x10000000000)); /* a heap of more than 256 GiB */
	assert_true(go_heap__may_hold(GO_HEAP_HINTED, 0x1c000000000));
	assert_true(go_heap__may_hold(GO_HEAP_HINTED, 0x2c000000000));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0xbfffffffff));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x20000000000));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x2bfffffffff));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x400000));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x55c000000000));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x7fc000001000));
	assert_true(go_heap__may_ask_for(GO_HEAP_HINTED, 0x7fc000001000));
	/* From 1.26 on. */
	assert_true(go_heap__may_hold(GO_HEAP_RANDOM, 0x6b7e4000000));
	assert_false(go_heap__may_hold(GO_HEAP_HINTED, 0x6b7e4000000));
	assert_true(go_heap__may_hold(GO_HEAP_EITHER, 0x6b7e4000000));
	assert_false(go_heap__may_hold(GO_HEAP_RANDOM, 0x55c000000000));
	assert_false(go_heap__may_hold(GO_HEAP_RANDOM, 0x400000));
	assert_false(go_heap__may_hold(GO_HEAP_NONE, 0xc000000000));
	assert_int_equal(go_heap__of_version("go1.25.12"), GO_HEAP_HINTED);
	assert_int_equal(go_heap__of_version("go1.26.1"), GO_HEAP_RANDOM);
	assert_int_equal(go_heap__of_version("devel"), GO_HEAP_EITHER);
}

static void stack_pointers_are_read(void **state)
{
	assert_true(
		stack_pointer_of("202 0x1 0x80 0x0 0x0 0x0 0x0 0x7f00deadbee8 0x7f0012345678\n") ==
		0x7f00deadbee8);
	assert_true(stack_pointer_of("-1 0x7ffc0 0x40\n") == 0x7ffc0);
	assert_true(stack_pointer_of("running\n") == 0);
	assert_true(stack_pointer_of("") == 0);
	assert_true(stack_pointer_of(" ") == 0);
}

static pthread_barrier_t barrier;
static char *own_stack;

static void *hold_still(void *arg)
{
	char deep[40000];
	/* The first request of a thread is met by its new arena, whatever its size. */
	volatile char *small = __libc_malloc(100);
	volatile char *chunk = __libc_malloc(3000000); /* above the mmap threshold */

	memset(deep, 1, sizeof(deep));
	for (size_t i = 0; i < 3000000; i += PAGE)
		chunk[i] = 1;
	for (int i = 0; i < 1000; i++)
		memset(__libc_malloc(8000), 1, 8000);
	pthread_barrier_wait(&barrier);
	pause();
	__asm__ volatile("" : : "r"(deep), "r"(chunk), "r"(small) : "memory");
	return NULL;
}

enum { THREADS = 4, TRIES = 10 };

/* Threads with stacks of all kinds: default, without a guard, small, in memory of the program. */
static void start_threads(void)
{
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	__libc_mallopt(M_MMAP_THRESHOLD, 128 << 10); /* what it was before frees raised it */
	__libc_malloc(100);                          /* the main arena is the main thread's */
	for (int i = 0; i < THREADS; i++) {
		pthread_attr_t attr;
		pthread_t thread;

		pthread_attr_init(&attr);
		if (i == 1)
			pthread_attr_setguardsize(&attr, 0);
		if (i == 2)
			pthread_attr_setstacksize(&attr, 256 << 10);
		if (i == 3)
			pthread_attr_setstack(&attr, own_stack, MB);
		pthread_create(&thread, &attr, hold_still, NULL);
	}
	pthread_barrier_wait(&barrier);
}

static char zeroes[4 * MB];

/* told[0]: 20 MB of direct memory, [1]: a hole of 2 MB within, [2]: 64 MB shared, of which 4. */
static void use_memory(struct child *child)
{
	char *direct =
		mmap(NULL, 20 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared =
		mmap(NULL, 64 * MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *brk;

	memset(direct, 1, 20 * MB);
	madvise(direct + 8 * MB, 2 * MB, MADV_DONTNEED);
	memset(shared, 1, 4 * MB);
	/* A stack in one run of pages with other memory: nothing but its bounds tells them apart.
	 */
	own_stack = MB + (char *)mmap(NULL, 3 * MB, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(own_stack - MB, 1, 3 * MB);
	brk = sbrk(6 * MB);
	memset(brk, 1, 6 * MB);
	memset(zeroes, 1, sizeof(zeroes));
	start_threads();
	child->told[0] = (uintptr_t)direct;
	child->told[1] = (uintptr_t)shared;
	child->told[2] = (uintptr_t)own_stack;
	child_ready(child);
	munmap(direct, 20 * MB);
	child_ready(child);
	pause();
}

struct look {
	struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	struct glibc_arenas arenas;
	struct residency residency;
	struct page_runs runs;
};

/* The kernel tells the stacks of waiting threads: ours are on their way to that. */
static void wait_for_stacks(pid_t pid)
{
	struct stack_range *ranges;
	struct maps_entry *entries;
	struct pagemap *pm;
	size_t n, count;

	assert_int_equal(pagemap__open(pid, &pm), 0);
	assert_int_equal(proc_maps__read(pid, &entries, &n), 0);
	do {
		assert_int_equal(thread_stacks__read(pid, entries, n, pm, false, &ranges, &count),
				 0);
		free(ranges);
	} while (count < THREADS);
	maps_entries__free(entries, n);
	pagemap__close(pm);
}

static void look_at(pid_t pid, bool scan, struct look *look)
{
	struct residency_input input;
	struct proc_stat stat;

	wait_for_stacks(pid);
	memset(look, 0, sizeof(*look));
	glibc_arenas__init(&look->arenas);
	assert_int_equal(proc_stat__read(pid, &stat), 0);
	assert_int_equal(proc_maps__read(pid, &look->entries, &look->n), 0);
	assert_int_equal(pagemap__open(pid, &look->pm), 0);
	if (!scan)
		pagemap__without_scan(look->pm);
	assert_int_equal(glibc_arenas__read(pid, look->entries, look->n, look->pm, &look->arenas),
			 0);
	input = (struct residency_input){
		.pid = pid,
		.entries = look->entries,
		.n = look->n,
		.pm = look->pm,
		.arenas = &look->arenas,
		.start_brk = stat.start_brk,
		.keep = &look->runs,
	};
	assert_int_equal(residency__measure(&input, &look->residency), 0);
}

static void end_look(struct look *look)
{
	maps_entries__free(look->entries, look->n);
	pagemap__close(look->pm);
	glibc_arenas__free(&look->arenas);
	page_runs__free(&look->runs);
}

static void expect_between(uint64_t bytes, uint64_t low, uint64_t high)
{
	if (bytes < low || bytes > high)
		fail_msg("%" PRIu64 " is not within %" PRIu64 " to %" PRIu64, bytes, low, high);
}

/* Sanitizers bring mappings of their own, all of which count as direct. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static void every_part_is_found_and_the_sum_is_rss(void **state)
{
	struct child child = child__start(use_memory);
	/* 20 MB of its own, and in each thread a chunk with a mapping, touched every 4 KiB. */
	const uint64_t direct = 20 * MB + THREADS * (2999999 / PAGE + 1) * PAGE;

	if (geteuid()) {
		child__end(&child);
		skip();
	}
	for (int scan = 0; scan < 2; scan++) {
		struct look look;
		const struct residency *r = &look.residency;
		const uint64_t error = proc_stat__rss_error_bytes(THREADS + 1);
		uint64_t rss = 0, in_runs;

		/* Who places uprobes in libc between the two readings changes Rss: then again. */
		for (int try = 1;; try++) {
			look_at(child.pid, scan, &look);
			assert_int_equal(proc_stat__rss(child.pid, &rss), 0);
			if (try == TRIES ||
			    (residency__sum(r) + error >= rss && residency__sum(r) <= rss + error))
				break;
			end_look(&look);
		}
		expect_between(residency__sum(r) + error, rss, rss + 2 * error);
		assert_true(r->known);
		/* Four threads with 1,000 chunks of 8,008 bytes each. */
		expect_between(r->arenas, THREADS * 8008000, THREADS * 8008000 + 2 * MB);
		expect_between(r->thread_stacks, MB + 3 * 40000, MB + 3 * 80000 + 200000);
		expect_between(r->brk, 6 * MB, 12 * MB);
		expect_between(r->other, 4 * MB, SANITIZED ? 64 * MB : 5 * MB);
		assert_int_equal(r->go_heap, 0);
		expect_between(r->file, 4 * MB, 64 * MB);
		expect_between(r->direct, direct, direct + (SANITIZED ? 500 * MB : MB / 4));
		if (page_runs__count(&look.runs, 0, UINT64_MAX, &in_runs) == 0)
			assert_int_equal(in_runs, residency__sum(r));
		else
			assert_true(SANITIZED); /* their shadow memory is too long for runs */
		assert_int_equal(page_runs__count(&look.runs, child.told[0],
						  child.told[0] + 20 * MB, &in_runs),
				 0);
		assert_int_equal(in_runs, 18 * MB);
		end_look(&look);
	}
	child__end(&child);
}

static void stacks_are_told_from_their_neighbours(void **state)
{
	struct child child = child__start(use_memory);
	struct stack_range *ranges;
	struct look look;
	size_t count = 0;
	bool own_found = false;

	look_at(child.pid, true, &look);
	assert_int_equal(thread_stacks__read(child.pid, look.entries, look.n, look.pm, false,
					     &ranges, &count),
			 0);
	assert_int_equal(count, THREADS);
	for (size_t i = 0; i < count; i++) {
		uint64_t next;

		assert_true(ranges[i].exact);
		assert_true(ranges[i].start <= ranges[i].sp && ranges[i].sp < ranges[i].end);
		assert_true(i == 0 || ranges[i - 1].end <= ranges[i].start);
		own_found |=
			ranges[i].start == child.told[2] && ranges[i].end == child.told[2] + MB;
		assert_ptr_equal(thread_stacks__find(ranges, count, ranges[i].sp, &next),
				 &ranges[i]);
		assert_true(next == ranges[i].end);
	}
	assert_true(own_found);
	assert_null(thread_stacks__find(ranges, count, 0x1000, NULL));
	free(ranges);
	end_look(&look);
	child__end(&child);
}

/* A process of the model as the census sees it, seeded from its maps. */
static struct process *add_process(pid_t pid)
{
	struct process *process = calloc(1, sizeof(*process));
	struct maps_entry *entries;
	struct proc_stat stat;
	size_t n;

	assert_int_equal(proc_stat__read(pid, &stat), 0);
	process->pid = pid;
	process->start_ticks = stat.start_ticks;
	process->start_ns = stat.start_ticks * 10000000;
	process->space = space__new();
	process->arenas.present = process->arenas.limit = -1;
	assert_int_equal(proc_maps__read(pid, &entries, &n), 0);
	assert_true(space__reconcile(process->space, entries, n, 0, UINT64_MAX, NULL, 0) >= 0);
	maps_entries__free(entries, n);
	return process;
}

static void free_process(struct process *process)
{
	space__unref(process->space);
	free(process);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void ended_processes_are_answered_for_from_what_was_read(void **state)
{
	const uint64_t size = 20 * MB;
	struct child child = child__start(use_memory);
	struct process *process = add_process(child.pid);
	struct census *census = census__new(now_ns(), &size, 1);
	struct large_facts facts;
	uint64_t start = child.told[0], bytes = 0, words[2] = {0}, cost_ns = 0;
	double age_s = -1;

	census__large_facts(census, &facts);
	/* Nothing was read, but it runs. */
	assert_int_equal(facts.resident(facts.ctx, process, start, start + 20 * MB, &bytes, &age_s),
			 0);
	assert_int_equal(bytes, 18 * MB);
	assert_true(age_s == 0);
	assert_int_equal(facts.go_heap(facts.ctx, process), 0);

	assert_int_equal(census__read(census, process, &cost_ns), 0);
	assert_true(cost_ns > 0 && census__cost_ns(census) >= cost_ns);
	assert_true(process->at_start.known && process->at_end.known);
	assert_int_equal(process->arenas.present, THREADS + 1);
	assert_true(process->arenas.limit > 0);

	child__end(&child);
	process->ended_ns = now_ns();
	process->end = PROCESS_EXITED;
	assert_int_equal(census__read(census, process, &cost_ns), -ESRCH);
	assert_true(process->at_end.known);
	assert_int_equal(process->arenas.present, THREADS + 1);
	bytes = 0;
	assert_int_equal(facts.resident(facts.ctx, process, start, start + 20 * MB, &bytes, &age_s),
			 0);
	assert_int_equal(bytes, 18 * MB);
	assert_true(age_s > 0);
	assert_int_equal(
		facts.resident(facts.ctx, process, start + 7 * MB, start + 9 * MB, &bytes, &age_s),
		0);
	assert_int_equal(bytes, MB);
	assert_int_equal(facts.peek(facts.ctx, process, start, words, 2), 0);
	assert_true(words[0] == 0x0101010101010101 && words[1] == words[0]);
	assert_true(facts.peek(facts.ctx, process, start + PAGE, words, 2) < 0);
	assert_int_equal(facts.go_heap(facts.ctx, process), 0);

	census__forget(census, process);
	assert_true(facts.resident(facts.ctx, process, start, start + 20 * MB, &bytes, &age_s) < 0);
	assert_true(facts.peek(facts.ctx, process, start, words, 2) < 0);
	census__free(census);
	free_process(process);
}

static void a_pid_that_is_anothers_is_not_read(void **state)
{
	struct child child = child__start(use_memory);
	struct process *process = add_process(child.pid);
	struct census *census = census__new(now_ns(), NULL, 0);
	struct large_facts facts;
	uint64_t bytes;
	double age_s;

	census__large_facts(census, &facts);
	process->start_ticks++;
	assert_int_equal(census__read(census, process, NULL), -ESRCH);
	assert_false(process->at_start.known);
	assert_int_equal(process->arenas.present, -1);
	assert_true(facts.resident(facts.ctx, process, child.told[0], child.told[0] + MB, &bytes,
				   &age_s) < 0);
	census__free(census);
	free_process(process);
	child__end(&child);
}

static void readings_keep_to_their_share(void **state)
{
	struct child child = child__start(use_memory);
	struct process *process = add_process(child.pid);
	struct census *census = census__new(now_ns(), NULL, 0);

	/* The first is free while nothing was spent, the next must wait for its time. */
	assert_int_equal(census__read_if_due(census, process, 0.01), 1);
	assert_int_equal(census__read_if_due(census, process, 0.01), 0);
	/* With all of the time it is due as soon as as much has passed as it took. */
	while (census__read_if_due(census, process, 1.0) == 0)
		;
	census__free(census);
	free_process(process);
	child__end(&child);
}

static void one_request_is_summed_over_its_pieces(void **state)
{
	struct child child = child__start(use_memory);
	struct process *process = add_process(child.pid);
	struct mapping *piece;
	struct pagemap *pm;
	uint64_t bytes = 0, start = child.told[1];

	const struct map_request other = {
		.addr = child.told[1] + MB,
		.len = MB,
		.prot = PROT_READ,
		.map_flags = MAP_PRIVATE | MAP_ANONYMOUS,
		.stack = -1,
	};

	/* 64 MB of shared memory; in the model a hole is cut into it, where another one is put. */
	assert_int_equal(pagemap__open(child.pid, &pm), 0);
	piece = space__find(process->space, start);
	assert_non_null(piece);
	assert_int_equal(residency__origin(pm, process->space, piece->origin, &bytes), 0);
	assert_int_equal(bytes, 4 * MB);
	space__unmap(process->space, start + MB, MB, NULL);
	assert_int_equal(space__map(process->space, &other), 0);
	space__protect(process->space, start + 3 * MB, MB, PROT_NONE);
	piece = space__find(process->space, start);
	assert_int_equal(residency__origin(pm, process->space, piece->origin, &bytes), 0);
	assert_int_equal(bytes, 3 * MB);
	pagemap__close(pm);
	free_process(process);
	child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_answer_for_any_range),
		cmocka_unit_test(runs_beyond_the_bound_are_unknown),
		cmocka_unit_test(go_heap_addresses_are_known),
		cmocka_unit_test(stack_pointers_are_read),
		cmocka_unit_test(every_part_is_found_and_the_sum_is_rss),
		cmocka_unit_test(stacks_are_told_from_their_neighbours),
		cmocka_unit_test(ended_processes_are_answered_for_from_what_was_read),
		cmocka_unit_test(a_pid_that_is_anothers_is_not_read),
		cmocka_unit_test(readings_keep_to_their_share),
		cmocka_unit_test(one_request_is_summed_over_its_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
