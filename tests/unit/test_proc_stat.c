// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "census/host.h"
#include "census/pagemap.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "model/model.h"

#include "census_child.h"

#define MB (1ULL << 20)

static void own_values_are_right(void **state)
{
	struct rusage usage;
	struct proc_stat stat;

	assert_int_equal(proc_stat__read(getpid(), &stat), 0);
	assert_int_equal(stat.ppid, getppid());
	assert_int_equal(stat.nr_threads, 1);
	getrusage(RUSAGE_SELF, &usage);
	assert_in_range(usage.ru_minflt + usage.ru_majflt - (long)stat.faults, 0, 20);
	assert_true(stat.start_ticks > 0);
	assert_false(stat.is_kernel_thread);
	assert_false(stat.is_zombie);
	assert_true(stat.start_brk != 0 && stat.start_brk <= (uintptr_t)sbrk(0));
	assert_true(proc_exists(getpid()));
}

static void use_cpu(struct child *child)
{
	struct proc_stat stat;

	do {
		proc_stat__read(getpid(), &stat);
	} while (stat.cpu_ticks < 3);
	if (fork() == 0) {
		do {
			proc_stat__read(getpid(), &stat);
		} while (stat.cpu_ticks < 2);
		_exit(0);
	}
	wait(NULL);
	child_ready(child);
	pause();
}

static void cpu_of_waited_for_children_is_apart(void **state)
{
	struct child child = child__start(use_cpu);
	struct proc_stat stat;

	assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	assert_true(stat.cpu_ticks >= 3);
	assert_true(stat.children_cpu_ticks >= 2);
	child__end(&child);
}

static const char *const hostile_names[] = {
	"a) S 1 2 3 4", "x\ny)", "((((", "))))))))))))))", ") R 99 (", "\x1b[31m\xff", " ", "",
};

static void take_names(struct child *child)
{
	for (size_t i = 0; i < sizeof(hostile_names) / sizeof(*hostile_names); i++) {
		prctl(PR_SET_NAME, hostile_names[i]);
		child_ready(child);
	}
	pause();
}

static void any_name_is_read_raw(void **state)
{
	struct child child = child__start(take_names);

	for (size_t i = 0; i < sizeof(hostile_names) / sizeof(*hostile_names); i++) {
		struct proc_stat stat;
		uint32_t tgid = 0;

		if (i)
			child__step(&child);
		assert_int_equal(proc_stat__read(child.pid, &stat), 0);
		assert_string_equal(stat.comm, hostile_names[i]);
		assert_int_equal(stat.ppid, getpid());
		assert_int_equal(stat.nr_threads, 1);
		assert_int_equal(proc_tgid(child.pid, &tgid), 0);
		assert_int_equal(tgid, child.pid);
	}
	child__end(&child);
}

static void zombies_and_the_gone_are_told(void **state)
{
	struct proc_stat stat;
	uint64_t rss = 7;
	uint32_t tgid;
	char *text = NULL;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_stat__read(pid, &stat), 0);
	assert_true(stat.is_zombie);
	assert_false(proc_exists(pid));
	assert_int_equal(proc_stat__rss(pid, &rss), 0);
	assert_int_equal(rss, 0);
	waitpid(pid, NULL, 0);
	assert_false(proc_exists(pid));
	assert_int_equal(proc_stat__read(pid, &stat), -ESRCH);
	assert_int_equal(proc_stat__rss(pid, &rss), -ESRCH);
	assert_int_equal(proc_stat__exe(pid, &text), -ESRCH);
	assert_int_equal(proc_seccomp(pid), -ESRCH);
	assert_int_equal(proc_environ(pid, "A", &text), -ESRCH);
	assert_int_equal(proc_tgid(pid, &tgid), -ESRCH);
}

static pthread_barrier_t barrier;
static struct child *self;

static void *go_on_alone(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	self->told[0] = syscall(SYS_gettid);
	child_ready(self);
	pause();
	return NULL;
}

static void end_leader(struct child *child)
{
	static pthread_t leader;
	pthread_t thread;
	char *memory =
		mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, 4 * MB);
	self = child;
	leader = pthread_self();
	pthread_create(&thread, NULL, go_on_alone, &leader);
	pthread_exit(NULL);
}

static void a_process_goes_on_without_its_leader(void **state)
{
	struct child child = child__start(end_leader);
	struct maps_entry *entries;
	struct proc_stat stat;
	struct pagemap *pm;
	uint64_t rss = 0, resident = 0;
	uint32_t tgid = 0;
	size_t n = 0;

	/* pthread_join returns before the kernel has ended the thread. */
	do {
		assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	} while (stat.state != 'Z');
	assert_false(stat.is_zombie);
	assert_true(proc_exists(child.pid));
	assert_int_equal(proc_tgid(child.told[0], &tgid), 0);
	assert_int_equal(tgid, child.pid);
	assert_false(proc_exists(child.told[0])); /* a thread, no process */
	assert_int_equal(proc_stat__rss(child.pid, &rss), 0);
	assert_true(rss >= 4 * MB);
	assert_int_equal(proc_maps__read(child.pid, &entries, &n), 0);
	assert_true(n > 5);
	maps_entries__free(entries, n);
	assert_int_equal(pagemap__open(child.pid, &pm), 0);
	assert_int_equal(pagemap__resident(pm, 0, UINT64_MAX, &resident), 0);
	assert_true(resident >= 4 * MB);
	pagemap__close(pm);
	child__end(&child);
}

static void use_memory(struct child *child)
{
	char *memory =
		mmap(NULL, 64 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	child_ready(child);
	memset(memory, 1, 32 * MB);
	child_ready(child);
	pause();
}

static void rss_follows_use_within_its_error(void **state)
{
	struct child child = child__start(use_memory);
	uint64_t before = 0, after = 0, error = proc_stat__rss_error_bytes(1);

	assert_int_equal(proc_stat__rss(child.pid, &before), 0);
	child__step(&child);
	assert_int_equal(proc_stat__rss(child.pid, &after), 0);
	assert_true(after - before >= 32 * MB - 2 * error);
	/* Page tables and stack apart, nothing else grew. */
	assert_true(after - before <= 33 * MB + 2 * error);
	child__end(&child);
}

static void the_error_of_rss_depends_on_the_kernel(void **state)
{
	const uint64_t page = host__page_bytes();

	assert_int_equal(rss_error_bytes(6, 1, 2, 3), 3 * 66 * 16 * page);
	assert_int_equal(rss_error_bytes(5, 19, 64, 1), 66 * 16 * page);
	assert_int_equal(rss_error_bytes(6, 2, 2, 100), 3 * 2 * 31 * page);
	assert_int_equal(rss_error_bytes(6, 12, 16, 1), 3 * 16 * 31 * page);
	assert_int_equal(rss_error_bytes(6, 16, 64, 1), 3 * 64 * 127 * page);
	assert_int_equal(rss_error_bytes(6, 17, 64, 1), 0);
	assert_int_equal(rss_error_bytes(7, 0, 64, 1), 0);
}

static char copy_path[64];

static void exec_with_environment(struct child *child)
{
	char *envp[] = {"MALLOC_ARENA_MAX=2",
			"EMPTY=",
			"MALLOC_ARENA_MAX=7",
			"NOVALUE",
			"GLIBC_TUNABLES=glibc.malloc.arena_max=3",
			NULL};
	char *argv[] = {"sleep", "1000", NULL};

	child_ready(child);
	fcntl(child->from_fd, F_SETFD, FD_CLOEXEC);
	execve(copy_path, argv, envp);
	_exit(1);
}

static struct child start_copy(void)
{
	struct child child;
	struct proc_stat stat;
	char command[128], c;

	snprintf(copy_path, sizeof(copy_path), "/tmp/test_proc_stat.%d\n", getpid());
	snprintf(command, sizeof(command), "cp /bin/sleep '%s'", copy_path);
	assert_int_equal(system(command), 0);
	child = child__start(exec_with_environment);
	assert_int_equal(write(child.to_fd, "", 1), 1);
	assert_int_equal(read(child.from_fd, &c, 1), 0); /* closed by the exec */
	/* Which puts the environment in place later: when the program sleeps it is there. */
	do {
		assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	} while (stat.state != 'S');
	return child;
}

static void environment_and_program_are_those_of_the_start(void **state)
{
	struct child child = start_copy();
	char *text = NULL, deleted[80];

	assert_int_equal(proc_environ(child.pid, "MALLOC_ARENA_MAX", &text), 0);
	assert_string_equal(text, "2");
	free(text);
	assert_int_equal(proc_environ(child.pid, "EMPTY", &text), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(proc_environ(child.pid, "GLIBC_TUNABLES", &text), 0);
	assert_string_equal(text, "glibc.malloc.arena_max=3");
	free(text);
	assert_int_equal(proc_environ(child.pid, "MALLOC_ARENA", &text), -ENOENT);
	assert_int_equal(proc_environ(child.pid, "NOVALUE", &text), -ENOENT);
	assert_int_equal(proc_environ(child.pid, "LD_PRELOAD", &text), -ENOENT);

	assert_int_equal(proc_stat__exe(child.pid, &text), 0);
	assert_string_equal(text, copy_path);
	free(text);
	unlink(copy_path);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", copy_path);
	assert_int_equal(proc_stat__exe(child.pid, &text), 0);
	assert_string_equal(text, deleted);
	free(text);
	child__end(&child);
}

static void *filter_system_calls(void *arg)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {.len = 1, .filter = &allow};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

static void filter_in_one_thread(struct child *child)
{
	pthread_t thread;

	child_ready(child);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, filter_system_calls, NULL);
	pthread_barrier_wait(&barrier);
	child_ready(child);
	pause();
}

static void a_filter_in_any_thread_counts(void **state)
{
	struct child child = child__start(filter_in_one_thread);
	int before = proc_seccomp(child.pid);

	assert_true(before >= 0);
	child__step(&child);
	assert_int_equal(proc_seccomp(child.pid), 2);
	child__end(&child);
}

struct listing {
	uint32_t wanted, last;
	bool found, ordered;
	int calls;
};

static int look_for(void *ctx, uint32_t pid)
{
	struct listing *listing = ctx;

	listing->ordered &= pid > listing->last;
	listing->last = pid;
	listing->found |= pid == listing->wanted;
	listing->calls++;
	return 0;
}

static int stop_at_once(void *ctx, uint32_t pid)
{
	struct listing *listing = ctx;

	listing->calls++;
	return 42;
}

static void processes_are_listed_in_order(void **state)
{
	struct listing listing = {.wanted = getpid(), .ordered = true};

	assert_int_equal(proc_each(look_for, &listing), 0);
	assert_true(listing.found && listing.ordered);
	listing.calls = 0;
	assert_int_equal(proc_each(stop_at_once, &listing), 42);
	assert_int_equal(listing.calls, 1);
	listing = (struct listing){.wanted = getpid(), .ordered = true};
	assert_int_equal(proc_each_thread(getpid(), look_for, &listing), 0);
	assert_true(listing.found && listing.calls == 1);
}

static void kernel_threads_are_told(void **state)
{
	struct proc_stat stat;
	uint64_t rss = 1;
	char *exe;
	struct pagemap *pm;

	/* kthreadd, where memdrift's own pid namespace shows it */
	if (proc_stat__read(2, &stat) || strcmp(stat.comm, "kthreadd"))
		skip();
	assert_true(stat.is_kernel_thread);
	assert_int_equal(proc_stat__rss(2, &rss), 0);
	assert_int_equal(rss, 0);
	assert_int_equal(proc_stat__exe(2, &exe), -ENOENT);
	assert_int_equal(pagemap__open(2, &pm), -ESRCH);
}

static void tell_own_namespace(struct child *child)
{
	pid_t pid;
	int status;

	child->told[0] = 2;
	if (unshare(CLONE_NEWPID) == 0) {
		pid = fork();
		if (pid == 0)
			_exit(proc_in_initial_pid_ns());
		waitpid(pid, &status, 0);
		child->told[0] = WEXITSTATUS(status);
	}
	child_ready(child);
}

static void a_pid_namespace_of_its_own_is_noticed(void **state)
{
	struct child child = child__start(tell_own_namespace);

	child__end(&child);
	if (child.told[0] == 2)
		skip(); /* not root */
	assert_int_equal(child.told[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_values_are_right),
		cmocka_unit_test(cpu_of_waited_for_children_is_apart),
		cmocka_unit_test(any_name_is_read_raw),
		cmocka_unit_test(zombies_and_the_gone_are_told),
		cmocka_unit_test(a_process_goes_on_without_its_leader),
		cmocka_unit_test(rss_follows_use_within_its_error),
		cmocka_unit_test(the_error_of_rss_depends_on_the_kernel),
		cmocka_unit_test(environment_and_program_are_those_of_the_start),
		cmocka_unit_test(a_filter_in_any_thread_counts),
		cmocka_unit_test(processes_are_listed_in_order),
		cmocka_unit_test(kernel_threads_are_told),
		cmocka_unit_test(a_pid_namespace_of_its_own_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
