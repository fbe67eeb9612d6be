/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_PID_WORLD_H
#define MEMDRIFT_TESTS_PID_WORLD_H

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A pid namespace of its own with a /proc of it: all processes there are the test's. Runs fn as its
 * process 1 and returns what that did; -1 when the host does not allow it.
 */
static inline int in_pid_world(int (*fn)(void))
{
	bool root = geteuid() == 0;
	int status;
	pid_t pid;

	if (unshare((root ? 0 : CLONE_NEWUSER) | CLONE_NEWPID | CLONE_NEWNS))
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("proc", "/proc", "proc", 0, NULL))
			_exit(77);
		exit(fn());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status) == 77 ? -1 : WEXITSTATUS(status);
}

#endif
