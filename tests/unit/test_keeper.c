// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The keeper as a process; what it attaches and closes is for tests/kernel/kills.sh. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/keeper.h"

#define PATIENCE_MS 60000

static struct keeper *start(void)
{
	struct keeper *keeper;

	assert_int_equal(keeper__start(&keeper), 0);
	return keeper;
}

static void read_name(pid_t pid, const char *file, char *name, size_t size)
{
	char path[64];
	FILE *stream;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	stream = fopen(path, "re");
	assert_non_null(stream);
	assert_non_null(fgets(name, (int)size, stream));
	fclose(stream);
}

static void starts_and_ends(void **state)
{
	struct keeper *keeper = start();
	pid_t pid = keeper__pid(keeper);
	char name[64];

	assert_true(keeper__lives(keeper));
	/* By the time of an answer it has made itself at home. */
	keeper__close(keeper, 1);
	assert_int_equal(getsid(pid), pid);
	read_name(pid, "comm", name, sizeof(name));
	assert_string_equal(name, "drift-keeper\n");
	read_name(pid, "cmdline", name, sizeof(name));
	assert_string_equal(name, "drift-keeper");
	keeper__end(keeper);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	keeper__end(NULL);
}

static void own_signals_are_as_before(void **state)
{
	struct keeper *keeper;
	sigset_t before, after;

	sigprocmask(SIG_SETMASK, NULL, &before);
	keeper = start();
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	keeper__end(keeper);
}

static void outlives_signals(void **state)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGUSR1};
	struct keeper *keeper = start();

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		assert_int_equal(kill(keeper__pid(keeper), signals[i]), 0);
	/* Still answers. */
	keeper__close(keeper, 1);
	assert_true(keeper__lives(keeper));
	keeper__end(keeper);
}

static bool ends(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	return poll(&end, 1, PATIENCE_MS) == 1;
}

/* Killed, wherever it stands: its keeper has gone as well, by itself. */
static void goes_with_its_asker(void **state)
{
	pid_t asker, pid;
	int words[2], pidfd;

	/* Orphans come to this process, which sees how they ended. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(words), 0);
	asker = fork();
	assert_true(asker >= 0);
	if (!asker) {
		pid = keeper__pid(start());
		if (write(words[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		while (1)
			pause();
	}
	assert_int_equal(read(words[0], &pid, sizeof(pid)), sizeof(pid));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(kill(asker, SIGKILL), 0);
	assert_true(ends(pidfd));
	close(pidfd);
	assert_int_equal(waitpid(asker, NULL, 0), asker);
	{
		int status;

		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	close(words[0]);
	close(words[1]);
}

/* What is asked of one that is gone fails, and does not wait for ever. */
static void tells_of_a_dead_one(void **state)
{
	struct attach_site sites[2] = {{.offset = 1}, {.offset = 2}};
	struct keeper *keeper = start();
	int pidfd = (int)syscall(SYS_pidfd_open, keeper__pid(keeper), 0);
	uint64_t link = 7, later = 3;

	kill(keeper__pid(keeper), SIGKILL);
	assert_true(ends(pidfd));
	close(pidfd);
	assert_false(keeper__lives(keeper));
	assert_int_equal(
		keeper__attach(keeper, NULL, ATTACH_HERE, 1, "/proc/self/exe", sites, 2, &link),
		-EOWNERDEAD);
	assert_int_equal(link, 0);
	link = 7;
	assert_int_equal(keeper__attach_usdt(keeper, NULL, 1, "/proc/self/exe", "none", &link),
			 -EOWNERDEAD);
	assert_int_equal(link, 0);
	keeper__close(keeper, 3);
	keeper__close_later(keeper, &later);
	assert_int_equal(later, 0);
	keeper__end(keeper);
}

static void refuses_what_it_cannot_hold(void **state)
{
	static struct attach_site sites[KEEPER_SITES_MAX + 1];
	static char path[2 * PATH_MAX];
	struct keeper *keeper = start();
	uint64_t link = 7;

	assert_int_equal(keeper__attach(keeper, NULL, ATTACH_HERE, 1, "/proc/self/exe", sites,
					KEEPER_SITES_MAX + 1, &link),
			 -E2BIG);
	assert_int_equal(link, 0);
	memset(path, 'a', sizeof(path) - 1);
	assert_int_equal(keeper__attach(keeper, NULL, ATTACH_HERE, 1, path, sites, 1, &link),
			 -ENAMETOOLONG);
	keeper__end(keeper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_and_ends),
		cmocka_unit_test(own_signals_are_as_before),
		cmocka_unit_test(outlives_signals),
		cmocka_unit_test(goes_with_its_asker),
		cmocka_unit_test(tells_of_a_dead_one),
		cmocka_unit_test(refuses_what_it_cannot_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
