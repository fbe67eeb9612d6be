// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <grp.h>
#include <sys/resource.h>

#include "pid_world.h"
#include "sampler_fixture.h"

static void churn(int count)
{
	while (count--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

static void samples_are_what_smaps_says(void **state)
{
	enum { COUNT = CHILDREN_MAX };
	static struct child children[COUNT];
	size_t fds = open_fds(), held;

	for (size_t i = 0; i < COUNT; i++) {
		next_kb = 4 * (1 + i % 50);
		children[i] = child__start(be_idle);
	}
	fds += 2 * COUNT;
	begin(0);
	pass();
	assert_int_equal(seen.each, COUNT + 1); /* and we */
	assert_int_equal(seen.fresh, COUNT + 1);
	held = open_fds();
	for (int i = 0; i < 2 * SAMPLER_FULL_PASSES; i++) {
		churn(100);
		pass();
		assert_int_equal(seen.each, COUNT + 1);
		assert_int_equal(seen.fresh, 0);
		assert_int_equal(seen.gone, 0);
	}
	assert_int_equal(open_fds(), held);
	assert_true_to(children, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct watched *watched = seen_pid(children[i].pid);

		assert_true(is_near(watched->sample.value[COMPONENT_SHMEM],
				    (4 + 4 * (1 + (int64_t)i % 50) / 8 * 4) * KB,
				    proc_stat__rss_error_bytes(1)));
		assert_int_equal(watched->sample.value[COMPONENT_THREADS], 1);
		assert_ptr_equal(sampler__find(seen.sampler, children[i].pid)->user, &seen);
	}
	for (size_t i = 0; i < COUNT; i++)
		child__end(&children[i]);
	pass();
	assert_int_equal(seen.gone, COUNT);
	assert_int_equal(seen.each, 1);
	end();
	assert_int_equal(open_fds(), fds - 2 * COUNT);
}

static void a_change_is_seen(void **state)
{
	struct child child = child__start(grow_when_told);
	const struct watched *watched;
	int64_t before[COMPONENT_MAX];
	int waited = 0;

	begin(0);
	passes(2);
	watched = seen_pid(child.pid);
	memcpy(before, watched->sample.value, sizeof(before));

	child__step(&child);
	pass();
	watched = seen_pid(child.pid);
	assert_true(watched->changed);
	assert_true(watched->sample.value[COMPONENT_ANON] >=
		    before[COMPONENT_ANON] + 3 * MB - SLACK);
	assert_true_to(&child, 1);

	child__step(&child);
	pass();
	watched = seen_pid(child.pid);
	assert_int_equal(watched->sample.value[COMPONENT_SHMEM], before[COMPONENT_SHMEM] + 5 * MB);
	assert_true_to(&child, 1);

	/* In at most so many passes, should no page have been touched. */
	child__step(&child);
	do {
		pass();
		watched = seen_pid(child.pid);
	} while (watched->sample.value[COMPONENT_THREADS] != 2 && ++waited < SAMPLER_FULL_PASSES);
	assert_int_equal(watched->sample.value[COMPONENT_THREADS], 2);
	assert_true(watched->changed);
	child__end(&child);
	end();
}

/* As long a status as there is, and a name like a line of it. */
static void say_much(struct child *child)
{
	static gid_t groups[65536];

	for (size_t i = 0; i < 65536; i++)
		groups[i] = (gid_t)(4000000000 + i);
	child->told[0] = setgroups(65536, groups) == 0;
	prctl(PR_SET_NAME, "\nVmRSS: 1 kB");
	child_ready(child);
	for (;;)
		pause();
}

static void a_long_status_is_read_to_its_end(void **state)
{
	struct child child = child__start(say_much);

	begin(0);
	pass();
	if (child.told[0])
		assert_string_equal(seen_pid(child.pid)->name.comm, "\nVmRSS: 1 kB");
	assert_true(seen_pid(child.pid)->sample.value[COMPONENT_RSS] > 100 * KB);
	assert_true_to(&child, 1);
	child__end(&child);
	end();
	if (!child.told[0])
		skip(); /* only root may be in so many groups */
}

static void young_ones_are_not_followed(void **state)
{
	struct child child;

	begin(0);
	pass();
	child = child__start(grow_when_told);
	for (int i = 0; i < SAMPLER_YOUNG_PASSES; i++) {
		pass();
		assert_null(seen_pid(child.pid));
	}
	pass();
	assert_non_null(seen_pid(child.pid));
	assert_true(seen_pid(child.pid)->is_new);
	child__end(&child);
	end();
}

static void at_the_start_age_is_by_start_time(void **state)
{
	const struct sampler_options options = {.interval_s = 1000, .losses = seen.losses};
	struct child child = child__start(grow_when_told);

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(sampler__open(&seen.sampler, &options), 0);
	passes(SAMPLER_YOUNG_PASSES);
	assert_null(seen_pid(child.pid));
	pass();
	assert_non_null(seen_pid(child.pid));
	child__end(&child);
	end();
}

static void another_program_is_another_subject(void **state)
{
	struct child child = child__start(exec_when_told);
	char exe[64] = "", path[64];
	struct proc_stat stat;
	uint64_t start_time;

	begin(0);
	passes(3);
	start_time = seen_pid(child.pid)->start_time;
	assert_int_equal(write(child.to_fd, "g", 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/exe", child.pid);
	while (!strstr(exe, "sleep") && readlink(path, exe, sizeof(exe) - 1) > 0)
		;
	/* The kernel sets comm a moment after it. */
	do {
		assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	} while (strcmp(stat.comm, "sleep"));
	pass();
	assert_int_equal(seen.gone, 1);
	assert_int_equal(seen.last_gone.pid, child.pid);
	assert_null(strstr(seen.last_gone.name.exe, "sleep"));
	assert_true(seen_pid(child.pid)->is_new);
	assert_non_null(strstr(seen_pid(child.pid)->name.exe, "/sleep"));
	assert_string_equal(seen_pid(child.pid)->name.comm, "sleep");
	assert_int_equal(seen_pid(child.pid)->start_time, start_time);
	child__end(&child);
	end();
}

static void a_process_lives_on_without_its_leader(void **state)
{
	struct child child = child__start(lose_leader);
	struct proc_stat stat;
	int64_t anon;

	begin(0);
	passes(2);
	child__step(&child);
	do {
		assert_int_equal(proc_stat__read(child.pid, &stat), 0);
	} while (stat.state != 'Z');
	pass();
	assert_int_equal(seen.gone, 0);
	assert_non_null(seen_pid(child.pid));
	anon = seen_pid(child.pid)->sample.value[COMPONENT_ANON];
	assert_true(anon > 0);
	child__step(&child);
	pass();
	assert_true(seen_pid(child.pid)->sample.value[COMPONENT_ANON] >= anon + 2 * MB - SLACK);
	child__end(&child);
	end();
}

/* A zombie, not waited for. */
static void one_that_ended_is_gone(void **state)
{
	struct child child = child__start(grow_when_told);
	siginfo_t info;

	begin(0);
	passes(2);
	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, child.pid, &info, WEXITED | WNOWAIT), 0);
	pass();
	assert_int_equal(seen.gone, 1);
	passes(2 * SAMPLER_YOUNG_PASSES);
	assert_null(seen_pid(child.pid));
	child__end(&child);
	end();
}

static struct child start_as(pid_t pid)
{
	struct child child;
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "we");

	if (!f || fprintf(f, "%d", pid - 1) < 0 || fclose(f))
		skip();
	child = child__start(grow_when_told);
	assert_int_equal(child.pid, pid);
	return child;
}

static void a_pid_that_is_taken_again_is_another_process(void **state)
{
	struct child child = child__start(grow_when_told), second;
	uint64_t start_time;

	begin(0);
	passes(2);
	start_time = seen_pid(child.pid)->start_time;
	child__end(&child);
	outlast_tick();
	second = start_as(child.pid);
	pass();
	assert_int_equal(seen.gone, 1);
	assert_int_equal(seen.last_gone.start_time, start_time);
	assert_null(seen_pid(child.pid));
	passes(SAMPLER_YOUNG_PASSES);
	assert_true(seen_pid(second.pid)->start_time > start_time);
	assert_true(seen_pid(second.pid)->is_new);
	/* Of the same program, in the slot that was free. */
	assert_int_equal(seen_pid(second.pid)->name.slot, seen.last_gone.name.slot);
	child__end(&second);
	end();
}

/* Without descriptors all is the same, only slower. */
static void files_need_not_be_held(void **state)
{
	struct child child = child__start(grow_when_told);
	size_t fds = open_fds();

	begin(0);
	passes(2);
	assert_int_equal(open_fds(), fds + 1); /* /proc */
	child__step(&child);
	pass();
	assert_true(seen_pid(child.pid)->changed);
	assert_true_to(&child, 1);
	child__end(&child);
	pass();
	assert_int_equal(seen.gone, 1);
	end();
}

static void the_largest_are_followed(void **state)
{
	enum { COUNT = 12, ROOM = 4 };
	static struct child children[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		next_kb = (i + 1) * 10 * 1024;
		children[i] = child__start(be_idle);
	}
	begin(ROOM);
	pass();
	assert_int_equal(sampler__count(seen.sampler), ROOM);
	/* All that wait are looked at in so many. */
	passes(3 * SAMPLER_FULL_PASSES);
	assert_int_equal(seen.each, ROOM);
	for (size_t i = 0; i < COUNT; i++) {
		bool among = i >= COUNT - ROOM;

		/* Those of nearly the same size do not change places. */
		if (i < COUNT - ROOM - 2 || i >= COUNT - 2)
			assert_int_equal(seen_pid(children[i].pid) != NULL, among);
	}
	assert_true(seen.losses[WATCH_LOSS_subjects_dropped] >= COUNT + 1 - ROOM);
	for (size_t i = COUNT / 2; i < COUNT; i++)
		child__end(&children[i]);
	passes(2 * SAMPLER_FULL_PASSES);
	assert_int_equal(seen.each, ROOM);
	for (size_t i = 0; i < COUNT / 2; i++)
		child__end(&children[i]);
	end();
}

static void slots_outlive_watch(void **state)
{
	struct child children[3];
	struct watched before[4];

	for (size_t i = 0; i < 3; i++)
		children[i] = child__start(grow_when_told);
	begin(0);
	pass();
	for (size_t i = 0; i < 3; i++)
		before[i] = *seen_pid(children[i].pid);
	before[3] = *seen_pid(1); /* we, of the same name */
	end();
	child__end(&children[0]);
	begin(0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(sampler__remember(seen.sampler, &before[i].name, before[i].pid,
						   before[i].start_time, before[i].command_hash),
				 0);
	children[0] = child__start(grow_when_told);
	passes(SAMPLER_YOUNG_PASSES + 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(seen_pid(children[i].pid)->name.slot, before[i].name.slot);
	for (size_t i = 0; i < 3; i++)
		child__end(&children[i]);
	end();
}

/* The hard limit, which not everybody may raise again: in a process of its own. */
static int test_with_few_files(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_need_not_be_held),
	};
	const struct rlimit few = {64, 64};
	int status;
	pid_t pid = fork();

	if (!pid)
		exit(setrlimit(RLIMIT_NOFILE, &few) || cmocka_run_group_tests(tests, NULL, NULL));
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

static int test_in_world(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_are_what_smaps_says),
		cmocka_unit_test(a_change_is_seen),
		cmocka_unit_test(a_long_status_is_read_to_its_end),
		cmocka_unit_test(young_ones_are_not_followed),
		cmocka_unit_test(at_the_start_age_is_by_start_time),
		cmocka_unit_test(another_program_is_another_subject),
		cmocka_unit_test(a_process_lives_on_without_its_leader),
		cmocka_unit_test(one_that_ended_is_gone),
		cmocka_unit_test(a_pid_that_is_taken_again_is_another_process),
		cmocka_unit_test(the_largest_are_followed),
		cmocka_unit_test(slots_outlive_watch),
	};

	return test_with_few_files() + cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	int err;

	/* Pages would come and go by themselves. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	err = in_pid_world(test_in_world);
	/* No more children can be made, so none that looks for leaks. */
	if (err >= 0)
		_exit(err);
	puts("1..0 # SKIP no pid namespace can be made here");
	return 0;
}
