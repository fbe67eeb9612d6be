// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "census/ledger.h"
#include "census/thread_stacks.h"

#include "census_child.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)
#define KB   (1ULL << 10)

enum { LIVE = 21, CACHED = 6, UNJOINED = 1 };

/* What the process with the threads knows of them itself. Shared with it. */
struct truth {
	struct {
		uint64_t self; /* pthread_t: the address of its struct pthread */
		uint64_t start, end;
		uint64_t guard;
		pid_t tid;
	} threads[LIVE];
	uint64_t direct; /* 5 MB right below a stack without a guard */
};

static struct truth *truth;
static pthread_barrier_t barrier;

static void note_stack(size_t index, pthread_t thread)
{
	pthread_attr_t attr;
	void *start;
	size_t size, guard;

	if (pthread_getattr_np(thread, &attr) || pthread_attr_getstack(&attr, &start, &size) ||
	    pthread_attr_getguardsize(&attr, &guard))
		_exit(2);
	pthread_attr_destroy(&attr);
	truth->threads[index].self = thread;
	truth->threads[index].start = (uintptr_t)start;
	truth->threads[index].end = (uintptr_t)start + size;
	truth->threads[index].guard = guard;
}

static void *stay(void *arg)
{
	size_t index = (uintptr_t)arg;
	volatile char used[20000];

	for (size_t i = 0; i < sizeof(used); i += PAGE)
		used[i] = 1;
	truth->threads[index].tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	/* One that runs: the kernel tells no stack pointer of it. */
	for (volatile bool runs = index == 0; runs; used[0]++)
		;
	pause();
	return NULL;
}

static void *leave(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	return NULL;
}

static pthread_t start_thread(size_t index)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (index % 5 == 1)
		pthread_attr_setguardsize(&attr, 0);
	if (index % 5 == 2)
		pthread_attr_setstacksize(&attr, 256 * KB);
	if (index == 1)
		pthread_attr_setstacksize(&attr, 40 * MB); /* fits into no gap */
	if (index % 5 == 3) {
		/* In the midst of other memory of the program. */
		char *own = mmap(NULL, 3 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

		memset(own, 1, 3 * MB);
		pthread_attr_setstack(&attr, own + MB + PAGE * index, MB);
	}
	if (pthread_create(&thread, &attr, stay, (void *)index))
		_exit(2);
	return thread;
}

/* Memory right below the stack without a guard of thread 1. */
static void map_beside(pthread_t thread)
{
	char *at;

	note_stack(1, thread);
	at = (char *)truth->threads[1].start - 5 * MB;
	at = mmap(at, 5 * MB, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at != MAP_FAILED)
		memset(at, 1, 5 * MB);
	truth->direct = at == MAP_FAILED ? 0 : (uintptr_t)at;
}

static void end_threads(void)
{
	pthread_t threads[CACHED + UNJOINED];
	static pid_t tids[CACHED + UNJOINED];
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 300 * KB);
	for (size_t i = 0; i < CACHED + UNJOINED; i++)
		pthread_create(&threads[i], &attr, leave, &tids[i]);
	for (size_t i = 0; i < CACHED; i++)
		pthread_join(threads[i], NULL);
	while (!*(volatile pid_t *)&tids[CACHED] || !syscall(SYS_tgkill, getpid(), tids[CACHED], 0))
		sched_yield();
}

static void use_threads(struct child *child)
{
	pthread_t threads[LIVE];

	pthread_barrier_init(&barrier, NULL, LIVE + 1);
	for (size_t i = 2; i <= LIVE + 1; i++)
		threads[i % LIVE] = start_thread(i % LIVE);
	pthread_barrier_wait(&barrier);
	/* Thread 1 came last: below its stack is room. */
	map_beside(threads[1]);
	for (size_t i = 0; i < LIVE; i++)
		note_stack(i, threads[i]);
	end_threads();
	child_ready(child);
	pause();
}

struct fixture {
	struct child child;
	struct subject subject;
};

static struct fixture fixture;

static int start_threads(void **state)
{
	truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	fixture.child = child__start(use_threads);
	return subject__open(fixture.child.pid, &fixture.subject);
}

static int end_child(void **state)
{
	subject__close(&fixture.subject);
	child__end(&fixture.child);
	munmap(truth, sizeof(*truth));
	return 0;
}

static void read_all(struct stack_range **ranges, size_t *count)
{
	const struct stack_query query = {
		.pid = fixture.child.pid,
		.entries = fixture.subject.entries,
		.n = fixture.subject.n,
		.pm = fixture.subject.pm,
		.memory = &fixture.subject.memory,
		.exe = fixture.subject.exe,
	};

	assert_int_equal(thread_stacks__all(&query, ranges, count), 0);
	for (size_t i = 0; i < *count; i++) {
		assert_true((*ranges)[i].start < (*ranges)[i].end);
		assert_true(!i || (*ranges)[i - 1].end <= (*ranges)[i].start);
	}
}

static void every_stack_has_its_exact_bounds(void **state)
{
	struct stack_range *ranges;
	size_t count, ended = 0;

	read_all(&ranges, &count);
	assert_int_equal(count, LIVE + CACHED + UNJOINED);
	for (size_t i = 0; i < LIVE; i++) {
		const struct stack_range *range =
			thread_stacks__find(ranges, count, truth->threads[i].start, NULL);

		assert_non_null(range);
		assert_true(range->exact);
		assert_int_equal(range->tid, truth->threads[i].tid);
		/* pthread_attr_getstack leaves the guard out, the mapping has it at its start. */
		assert_true(range->start == truth->threads[i].start ||
			    range->start == truth->threads[i].start - truth->threads[i].guard);
		assert_true(range->end == truth->threads[i].end);
	}
	for (size_t i = 0; i < count; i++)
		ended += ranges[i].tid == 0;
	assert_int_equal(ended, CACHED + UNJOINED);
	free(ranges);
}

static void claimed_stacks_leave_their_neighbours_alone(void **state)
{
	struct subject *subject = &fixture.subject;
	struct claims claims = {0};
	struct stack_facts facts;
	struct ledger ledger;
	uint64_t next;

	assert_int_equal(thread_stacks__claim(subject, false, &claims, &facts), 0);
	assert_int_equal(claims__settle(&claims), 0);
	assert_int_equal(facts.live, LIVE);
	assert_int_equal(facts.cached, CACHED + UNJOINED);
	/* Eight megabytes, or what the limit of this shell makes the default. */
	assert_true(facts.usual_bytes > 0);
	assert_true(facts.live_resident_bytes >= LIVE * 5 * PAGE);
	assert_true(facts.cached_resident_bytes >= (CACHED + UNJOINED) * PAGE);
	assert_true(facts.cached_resident_bytes < (CACHED + UNJOINED) * 300 * KB);
	assert_true(truth->direct != 0);
	assert_null(claims__find(&claims, truth->direct, &next));
	assert_true(next == truth->direct + 5 * MB);
	assert_int_equal(ledger__sum(subject, &claims, &ledger), 0);
	assert_true(ledger.rows[LEDGER_THREAD_STACKS].resident_bytes ==
		    facts.live_resident_bytes + facts.cached_resident_bytes);
	for (size_t i = 3; i < LIVE; i += 5) {
		uint64_t start = truth->threads[i].start, end = truth->threads[i].end;

		assert_null(claims__find(&claims, start - 1, NULL));
		assert_null(claims__find(&claims, end, NULL));
		assert_true(subject__resident(subject, start, end) >= 5 * PAGE);
	}
	claims__free(&claims);
}

/* The kernel tells stack pointers of threads that wait, and some may not have come to that yet. */
static void wait_for_stacks(void)
{
	const struct subject *subject = &fixture.subject;
	struct stack_range *ranges;
	size_t count;

	do {
		assert_int_equal(thread_stacks__read(fixture.child.pid, subject->entries,
						     subject->n, subject->pm, GO_HEAP_NONE, &ranges,
						     &count),
				 0);
		free(ranges);
	} while (count < LIVE - 1);
}

/* Another mapping around a stack pointer is a stack's only as far as nobody else claims it. */
static void what_others_claim_is_not_taken_for_a_stack(void **state)
{
	struct subject *subject = &fixture.subject;
	const struct maps_entry *entry = subject__entry(subject, truth->threads[3].start);
	struct claims claims = {0};
	struct stack_facts facts;
	uint64_t zeroes[2] = {0}, self = truth->threads[3].self;
	struct iovec local = {zeroes, sizeof(zeroes)};
	struct iovec remote = {(void *)(self + 0x10), sizeof(zeroes)};

	wait_for_stacks();
	/* Its struct pthread is one no more: neither in the list nor above the stack pointer. */
	assert_int_equal(process_vm_writev(fixture.child.pid, &local, 1, &remote, 1, 0),
			 sizeof(zeroes));
	assert_int_equal(claims__add(&claims, entry->start, entry->start + 512 * KB,
				     LEDGER_MALLOC_MMAPPED, NULL),
			 0);
	assert_int_equal(claims__settle(&claims), 0);
	assert_int_equal(thread_stacks__claim(subject, false, &claims, &facts), 0);
	assert_int_equal(claims__settle(&claims), 0);
	assert_int_equal(claims__find(&claims, entry->start, NULL)->component,
			 LEDGER_MALLOC_MMAPPED);
	assert_int_equal(claims__find(&claims, entry->start + 512 * KB, NULL)->component,
			 LEDGER_THREAD_STACKS);
	claims__free(&claims);
}

/* The list's links, the bounds and all else of the structs overwritten: whatever comes out is
 * bounded, in order, and comes at all. */
static void structs_may_hold_anything(void **state)
{
	enum { SAVED = 0x900, ROUNDS = 300 };
	uint64_t saved[SAVED / 8], broken[SAVED / 8];

	srand(6);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t self = truth->threads[rand() % LIVE].self;
		uint64_t other = truth->threads[rand() % LIVE].self;
		struct iovec local = {saved, sizeof(saved)}, remote = {(void *)self, sizeof(saved)};
		struct stack_range *ranges;
		size_t count;

		assert_int_equal(process_vm_readv(fixture.child.pid, &local, 1, &remote, 1, 0),
				 sizeof(saved));
		memcpy(broken, saved, sizeof(saved));
		for (int k = rand() % 6; k >= 0; k--) {
			const uint64_t values[] = {0,           UINT64_MAX, self + 704,
						   other + 704, self,       self + 704 + 64,
						   other,       1ULL << 47, rand()};
			size_t at = rand() % 2 ? 88 + rand() % 3 : rand() % (SAVED / 8);

			broken[at] = values[rand() % (sizeof(values) / sizeof(values[0]))];
		}
		local.iov_base = broken;
		assert_int_equal(process_vm_writev(fixture.child.pid, &local, 1, &remote, 1, 0),
				 sizeof(saved));
		read_all(&ranges, &count);
		assert_true(count <= LIVE + CACHED + UNJOINED + 2);
		free(ranges);
		local.iov_base = saved;
		assert_int_equal(process_vm_writev(fixture.child.pid, &local, 1, &remote, 1, 0),
				 sizeof(saved));
	}
	every_stack_has_its_exact_bounds(state);
}

static void swap_words(uint64_t addr, uint64_t words[static 2])
{
	struct iovec remote = {(void *)addr, 16}, local = {words, 16};
	uint64_t before[2];
	struct iovec saved = {before, 16};

	assert_int_equal(process_vm_readv(fixture.child.pid, &saved, 1, &remote, 1, 0), 16);
	assert_int_equal(process_vm_writev(fixture.child.pid, &local, 1, &remote, 1, 0), 16);
	memcpy(words, before, sizeof(before));
}

/* Where thread i's struct pthread has {stackblock, stackblock_size}. */
static uint64_t find_block(size_t i)
{
	uint64_t words[0x900 / 8], self = truth->threads[i].self;
	struct iovec local = {words, sizeof(words)}, remote = {(void *)self, sizeof(words)};

	assert_int_equal(process_vm_readv(fixture.child.pid, &local, 1, &remote, 1, 0),
			 sizeof(words));
	for (size_t k = 0; k + 1 < sizeof(words) / 8; k++) {
		if (words[k] && words[k] <= truth->threads[i].start &&
		    words[k] + words[k + 1] == truth->threads[i].end)
			return self + k * 8;
	}
	fail_msg("no bounds in the struct pthread");
	return 0;
}

/* Bounds that begin far below the stack: over libraries, over other threads' and what is not mapped
 * at all. */
static void a_stack_is_mapped_from_start_to_end(void **state)
{
	static const uint64_t more[] = {1ULL << 39, 1ULL << 35, 1ULL << 30};
	struct subject *subject = &fixture.subject;

	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		uint64_t block = find_block(0), words[2], reserved = 0;
		struct stack_range *ranges;
		size_t count;

		words[0] = truth->threads[0].start - more[i];
		words[1] = truth->threads[0].end - words[0];
		swap_words(block, words);
		read_all(&ranges, &count);
		swap_words(block, words);
		for (size_t k = 0; k < count; k++)
			reserved += ranges[k].end - ranges[k].start;
		free(ranges);
		assert_true(count >= LIVE + CACHED + UNJOINED - 1);
		assert_true(reserved <= subject__mapped(subject));
	}
	every_stack_has_its_exact_bounds(state);
}

static void be_alone(struct child *child)
{
	child_ready(child);
	pause();
}

static void one_thread_alone_has_only_the_main_stack(void **state)
{
	struct child child = child__start(be_alone);
	struct subject subject;
	struct claims claims = {0};
	struct stack_facts facts;

	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(thread_stacks__claim(&subject, false, &claims, &facts), 0);
	assert_int_equal(facts.live, 0);
	assert_int_equal(facts.usual_bytes, -1);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_stack_has_its_exact_bounds, start_threads,
						end_child),
		cmocka_unit_test_setup_teardown(claimed_stacks_leave_their_neighbours_alone,
						start_threads, end_child),
		cmocka_unit_test_setup_teardown(what_others_claim_is_not_taken_for_a_stack,
						start_threads, end_child),
		cmocka_unit_test_setup_teardown(a_stack_is_mapped_from_start_to_end, start_threads,
						end_child),
		cmocka_unit_test_setup_teardown(structs_may_hold_anything, start_threads,
						end_child),
		cmocka_unit_test(one_thread_alone_has_only_the_main_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
