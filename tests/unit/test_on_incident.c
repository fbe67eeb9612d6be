// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/on_incident.h"

/* Until a command must have ended, on the slowest machine. */
#define PATIENCE_MS 20000

static char dir[64];

static int enter_dir(void **state)
{
	strcpy(dir, "/tmp/memdrift-test.XXXXXX");
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int leave_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") || system(command);
}

static struct incident make_incident(void)
{
	struct incident incident = {
		.id = 7,
		.pid = 4711,
		.end_unix = NAN,
		.judgement = {.verdict = DRIFT_LEAK},
	};

	strcpy(incident.name.unit, "a\nb.service");
	strcpy(incident.name.exe, "/bin/x");
	return incident;
}

static struct on_incident *start(const char *command, double timeout_s)
{
	struct on_incident *on_incident;

	assert_int_equal(on_incident__new(&on_incident, command, timeout_s), 0);
	return on_incident;
}

static void add(struct on_incident *on_incident, const char *line)
{
	struct incident incident = make_incident();

	assert_int_equal(on_incident__add(on_incident, &incident, line), 0);
}

/* Turns the loop until nothing runs or waits. */
static struct on_incident_counts finish(struct on_incident *on_incident)
{
	struct on_incident_counts counts;

	on_incident__counts(on_incident, &counts);
	while (counts.running || counts.waiting) {
		struct pollfd fd = {.fd = on_incident__fd(on_incident), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		on_incident__work(on_incident);
		on_incident__counts(on_incident, &counts);
	}
	on_incident__free(on_incident);
	return counts;
}

static void assert_file(const char *path, const char *expected)
{
	char text[8192];
	int fd = open(path, O_RDONLY);
	ssize_t size;

	assert_true(fd >= 0);
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(size >= 0);
	text[size] = '\0';
	assert_string_equal(text, expected);
}

static void the_command_is_told_of_the_incident(void **state)
{
	struct on_incident *on_incident = start(
		"cat >input; echo \"$MEMDRIFT_INCIDENT $MEMDRIFT_STATE $MEMDRIFT_VERDICT "
		"$MEMDRIFT_EXE $MEMDRIFT_PID\" >variables; printf %s \"$MEMDRIFT_UNIT\" >unit",
		0);
	struct on_incident_counts counts;

	add(on_incident, "{\"id\":7}");
	counts = finish(on_incident);
	assert_int_equal(counts.succeeded, 1);
	assert_int_equal(counts.failed, 0);
	assert_file("input", "{\"id\":7}\n");
	assert_file("variables", "7 raised leak /bin/x 4711\n");
	assert_file("unit", "a\\x0ab.service");
}

static void it_inherits_neither_descriptors_nor_signals(void **state)
{
	struct on_incident *on_incident;
	sigset_t set, before;
	int fd = open("/dev/null", O_RDWR), out = dup(STDOUT_FILENO);

	assert_true(fd >= 0 && out >= 0);
	/* Another file than standard error. */
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGPIPE, SIG_IGN);
	on_incident =
		start("ls /proc/self/fd | wc -l >fds; o=$(readlink /proc/$$/fd/1); echo $o >out;"
		      "e=$(readlink /proc/$$/fd/2); echo $e >err;"
		      /* glibc's posix_spawn ignores the two that are its own, 32 and 33. */
		      "grep -c '^SigBlk:.0000000000000000$\\|^SigIgn:.0000000[01][08]0000000$' "
		      "/proc/self/status >signals",
		      0);
	add(on_incident, "{}");
	assert_int_equal(finish(on_incident).succeeded, 1);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(fd);
	/* Three and the directory that ls reads. */
	assert_file("fds", "4\n");
	assert_file("signals", "2\n");
	assert_int_equal(system("cmp out err"), 0);
}

static void one_that_does_not_read_its_input_holds_nothing_up(void **state)
{
	struct on_incident *on_incident = start("exec true", 0);
	/* More than any pipe takes. */
	size_t size = 4 << 20;
	char *line = malloc(size);

	assert_non_null(line);
	memset(line, 'x', size - 1);
	line[size - 1] = '\0';
	add(on_incident, line);
	free(line);
	assert_int_equal(finish(on_incident).succeeded, 1);
}

static void a_failure_is_counted(void **state)
{
	struct on_incident *on_incident = start("cat >/dev/null; exit 3", 0);
	struct on_incident_counts counts;

	add(on_incident, "{}");
	counts = finish(on_incident);
	assert_int_equal(counts.failed, 1);
	assert_int_equal(counts.succeeded, 0);
	on_incident = start("kill -SEGV $$", 0);
	add(on_incident, "{}");
	assert_int_equal(finish(on_incident).failed, 1);
}

static bool is_there(const char *path)
{
	struct stat stat_buf;

	return !stat(path, &stat_buf) && stat_buf.st_size > 0;
}

/* Whether the process whose pid the file has is gone: dead, if init has not reaped it yet. */
static bool is_gone(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "pid=$(cat %s) && [ -n \"$pid\" ] && ! grep -q '^State:.[^ZX]' /proc/$pid/status"
		 " 2>/dev/null",
		 path);
	return system(command) == 0;
}

static bool comes_true(bool (*test)(const char *path), const char *path)
{
	uint64_t end_ns = monotonic_ns() + PATIENCE_MS * 1000000ull;

	while (monotonic_ns() < end_ns) {
		if (test(path))
			return true;
		usleep(5000);
	}
	return false;
}

static void one_that_does_not_end_is_killed_with_its_children(void **state)
{
	struct on_incident *on_incident =
		start("sh -c 'echo $$ >pid; exec sleep 1000' & sleep 1000", 0.3);
	struct on_incident_counts counts;

	add(on_incident, "{}");
	counts = finish(on_incident);
	assert_int_equal(counts.timed_out, 1);
	assert_int_equal(counts.failed, 0);
	/* Killed before it had come so far is as good. */
	assert_true(!is_there("pid") || comes_true(is_gone, "pid"));
}

static void what_it_leaves_behind_is_killed(void **state)
{
	struct on_incident *on_incident = start(
		"sh -c 'echo $$ >left; exec sleep 1000' & while ! [ -s left ]; do :; done", 0);

	add(on_incident, "{}");
	assert_int_equal(finish(on_incident).succeeded, 1);
	assert_true(comes_true(is_gone, "left"));
}

static void few_run_at_once_and_few_wait(void **state)
{
	/* Each waits for the file. */
	struct on_incident *on_incident = start("until [ -e go ]; do sleep 0.01; done", 0);
	struct incident incident = make_incident();
	struct on_incident_counts counts;
	int fd;

	for (int i = 0; i < ON_INCIDENT_RUNNING_MAX + ON_INCIDENT_WAITING_MAX; i++)
		add(on_incident, "{}");
	assert_int_equal(on_incident__add(on_incident, &incident, "{}"), -ENOBUFS);
	on_incident__counts(on_incident, &counts);
	assert_int_equal(counts.running, ON_INCIDENT_RUNNING_MAX);
	assert_int_equal(counts.waiting, ON_INCIDENT_WAITING_MAX);
	assert_int_equal(counts.dropped, 1);
	fd = open("go", O_CREAT | O_WRONLY, 0600);
	close(fd);
	counts = finish(on_incident);
	assert_int_equal(counts.succeeded, ON_INCIDENT_RUNNING_MAX + ON_INCIDENT_WAITING_MAX);
}

static void the_end_of_watch_ends_them(void **state)
{
	struct on_incident *on_incident = start("echo $$ >running; exec sleep 1000", 0);

	for (int i = 0; i < ON_INCIDENT_RUNNING_MAX + 3; i++)
		add(on_incident, "{}");
	assert_true(comes_true(is_there, "running"));
	on_incident__free(on_incident);
	assert_int_equal(system("for p in /proc/[0-9]*; do grep -qs \"^PPid:.$PPID$\" $p/status && "
				"grep -qs sleep $p/comm && exit 1; done; exit 0"),
			 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_dir, leave_dir)
	const struct CMUnitTest tests[] = {
		TEST(the_command_is_told_of_the_incident),
		TEST(it_inherits_neither_descriptors_nor_signals),
		TEST(one_that_does_not_read_its_input_holds_nothing_up),
		TEST(a_failure_is_counted),
		TEST(one_that_does_not_end_is_killed_with_its_children),
		TEST(what_it_leaves_behind_is_killed),
		TEST(few_run_at_once_and_few_wait),
		TEST(the_end_of_watch_ends_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
