// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/burst_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch/burst.h"

/* What is watched comes first. */
#define NICENESS 5

static _Noreturn void run(char *const *args, const char *messages, pid_t parent)
{
	struct rlimit file = {BURST_FILE_BYTES_MAX, BURST_FILE_BYTES_MAX};
	int nothing, err;
	sigset_t none;

	sigemptyset(&none);
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	err = open(messages, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* After prctl: a parent that has gone already sends nothing. */
	if (nothing < 0 || err < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0u, 0) ||
	    setrlimit(RLIMIT_FSIZE, &file) || sigprocmask(SIG_SETMASK, &none, NULL))
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	setpriority(PRIO_PROCESS, 0, NICENESS);
	execv("/proc/self/exe", args);
	_exit(127);
}

int burst_run__start(char *const *args, const char *messages, pid_t *child, int *pidfd)
{
	pid_t parent = getpid();

	*child = fork();
	if (!*child)
		run(args, messages, parent);
	if (*child < 0) {
		*child = 0;
		return -errno;
	}
	*pidfd = (int)syscall(SYS_pidfd_open, *child, 0);
	if (*pidfd < 0) {
		int err = -errno;

		kill(*child, SIGKILL);
		burst_run__reap(child, pidfd, NULL);
		return err;
	}
	return 0;
}

bool burst_run__ended(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return poll(&ended, 1, 0) == 1;
}

static uint64_t ns_of(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000000ull + (uint64_t)time->tv_usec * 1000;
}

uint64_t burst_run__reap(pid_t *child, int *pidfd, int *status)
{
	struct rusage usage = {0};
	uint64_t cpu_ns = 0;

	if (*child > 0) {
		while (wait4(*child, status, 0, &usage) < 0 && errno == EINTR)
			;
		cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
	}
	if (*pidfd >= 0)
		close(*pidfd);
	*child = 0;
	*pidfd = -1;
	return cpu_ns;
}

void burst_run__remove_files(const char *directory, const char *prefix)
{
	const char *other = prefix ? prefix : MAPPINGS_PREFIX;
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, other, strlen(other)) == !!prefix)
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}
