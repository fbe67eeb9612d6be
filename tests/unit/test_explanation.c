// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/explanation.h"

#include "census_child.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)

static pthread_barrier_t barrier;

static void *wait_in_thread(void *arg)
{
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

static void stand_still(struct child *child)
{
	char *direct =
		mmap(NULL, 9 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	memset(direct, 1, 9 * MB);
	pthread_barrier_init(&barrier, NULL, 3);
	pthread_create(&thread, NULL, wait_in_thread, NULL);
	pthread_create(&thread, NULL, wait_in_thread, NULL);
	pthread_barrier_wait(&barrier);
	child_ready(child);
	pause();
}

static void expect_sum(const struct explanation *explanation)
{
	uint64_t sum = 0;

	for (int i = 0; i < LEDGER_COMPONENTS; i++)
		sum += explanation->ledger.rows[i].resident_bytes;
	assert_true(sum == explanation->ledger.resident_bytes);
	assert_true(sum == explanation->ledger.rss.found);
}

static void a_process_that_stands_still_is_read_once(void **state)
{
	struct child child = child__start(stand_still);
	struct explanation explanation;
	struct proc_stat stat;
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self));

	assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	assert_int_equal(explanation__read(child.pid, &explanation), 0);
	expect_sum(&explanation);
	assert_true(explanation.ledger.rss.done && explanation.ledger.rss.ok);
	assert_false(explanation.changed);
	assert_int_equal(explanation.readings, 1);
	assert_int_equal(explanation.pid, child.pid);
	assert_true(explanation.start_ticks == stat.start_ticks);
	assert_string_equal(explanation.comm, stat.comm);
	assert_int_equal(strlen(explanation.exe), length);
	assert_memory_equal(explanation.exe, self, length);
	assert_int_equal(explanation.threads, 3);
	assert_int_equal(explanation.thread_stacks_live, 2);
	assert_int_equal(explanation.thread_stacks_cached, 0);
	assert_true(explanation.thread_stack_bytes > 0);
	assert_false(explanation.has_go);
	assert_true(explanation.ledger.rows[LEDGER_OTHER_ANONYMOUS].resident_bytes >= 9 * MB);
	assert_true(explanation.rss_peak_bytes >= 9 * MB);
	assert_true(explanation.page_table_bytes > 0);
	/* Half of what is private since the fork is the parent's. */
	assert_true(explanation.pss_bytes >= 9 * MB);
	assert_true(explanation.pss_bytes <= explanation.ledger.rss.expected + 16 * PAGE);
	assert_true(explanation.cpus_online >= 1);
	assert_true(explanation.cpu_ns > 0 && explanation.wall_ns > 0);
	assert_true(explanation.bytes_read > 0);
	explanation__free(&explanation);
	child__end(&child);
}

/* Maps, fills and unmaps without end. */
static void change_always(struct child *child)
{
	child_ready(child);
	while (true) {
		char *at = mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

		memset(at, 1, 4 * MB);
		munmap(at, 4 * MB);
		at = malloc(300000);
		memset(at, 1, 300000);
		if (rand() % 2)
			free(at);
	}
}

static void a_process_that_always_changes_comes_to_an_end(void **state)
{
	for (int round = 0; round < 5; round++) {
		struct child child = child__start(change_always);
		struct explanation explanation;

		if (write(child.to_fd, "", 1) != 1)
			abort();
		assert_int_equal(explanation__read(child.pid, &explanation), 0);
		expect_sum(&explanation);
		assert_in_range(explanation.readings, 1, EXPLANATION_READINGS);
		/* What does not agree is never said to. */
		assert_true(!explanation.ledger.rss.ok ||
			    explanation.ledger.rss.found == explanation.ledger.rss.expected);
		explanation__free(&explanation);
		child__end(&child);
	}
}

static void *end_leader(void *arg)
{
	struct child *child = arg;

	/* The main thread is gone when its task is a zombie. */
	while (true) {
		char text[512] = "";
		FILE *file = fopen("/proc/self/stat", "r");
		bool gone = file && fgets(text, sizeof(text), file) && strstr(text, ") Z ");

		if (file)
			fclose(file);
		if (gone)
			break;
	}
	child_ready(child);
	pause();
	return NULL;
}

static void leave_main(struct child *child)
{
	static struct child kept;
	pthread_t thread;

	kept = *child;
	pthread_create(&thread, NULL, end_leader, &kept);
	pthread_exit(NULL);
}

static void a_process_whose_main_thread_has_ended_is_explained(void **state)
{
	struct child child = child__start(leave_main);
	struct explanation explanation;

	assert_int_equal(explanation__read(child.pid, &explanation), 0);
	expect_sum(&explanation);
	assert_true(explanation.ledger.rss.ok);
	assert_true(explanation.ledger.resident_bytes > 100 * PAGE);
	/* Its memory was read as well, through the thread that is left. */
	assert_true(explanation.bytes_read > PAGE);
	assert_int_equal(explanation.thread_stacks_live, 1);
	explanation__free(&explanation);
	child__end(&child);
}

static void what_is_no_process_is_told(void **state)
{
	struct explanation explanation;
	char comm[32] = "";
	FILE *file = fopen("/proc/2/comm", "r");
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(explanation__read(pid, &explanation), -ESRCH); /* a zombie */
	explanation__free(&explanation);
	waitpid(pid, NULL, 0);
	assert_int_equal(explanation__read(pid, &explanation), -ESRCH);
	assert_int_equal(explanation__read(0, &explanation), -ESRCH);
	assert_int_equal(explanation__read(UINT32_MAX, &explanation), -ESRCH);
	if (file && fgets(comm, sizeof(comm), file) && !strcmp(comm, "kthreadd\n"))
		assert_int_equal(explanation__read(2, &explanation), -ENODATA);
	if (file)
		fclose(file);
}

static void *kill_later(void *arg)
{
	const struct child *child = arg;

	for (volatile int i = rand() % 3000000; i > 0; i--)
		;
	kill(child->pid, SIGKILL);
	return NULL;
}

static void a_process_may_end_at_any_moment(void **state)
{
	for (int round = 0; round < 40; round++) {
		struct child child = child__start(stand_still);
		struct explanation explanation;
		pthread_t killer;
		int err;

		pthread_create(&killer, NULL, kill_later, &child);
		err = explanation__read(child.pid, &explanation);
		pthread_join(killer, NULL);
		if (err != 0)
			assert_int_equal(err, -ESRCH);
		else
			expect_sum(&explanation);
		explanation__free(&explanation);
		child__end(&child);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_stands_still_is_read_once),
		cmocka_unit_test(a_process_that_always_changes_comes_to_an_end),
		cmocka_unit_test(a_process_whose_main_thread_has_ended_is_explained),
		cmocka_unit_test(what_is_no_process_is_told),
		cmocka_unit_test(a_process_may_end_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
