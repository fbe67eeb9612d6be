/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_CENSUS_CHILD_H
#define MEMDRIFT_TESTS_CENSUS_CHILD_H

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A process to look at: a child that does its work, says that it is done and then holds still
 * until it is ended. What it found (addresses, counts) it can hand over in `told`.
 */
struct child {
	pid_t pid;
	int from_fd;
	int to_fd;
	uint64_t told[8];
};

/* In the child: says that it is ready; returns when it shall go on or its parent is gone. */
static inline void child_ready(const struct child *child)
{
	char go;

	if (write(child->from_fd, child->told, sizeof(child->told)) != sizeof(child->told) ||
	    read(child->to_fd, &go, 1) != 1)
		_exit(1);
}

/* Starts it and waits until it is ready. fn calls child_ready once at least. */
static inline struct child child__start(void (*fn)(struct child *child))
{
	int from[2], to[2];
	struct child child = {0};

	if (pipe(from) || pipe(to))
		abort();
	child.pid = fork();
	if (child.pid < 0)
		abort();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(from[0]);
		close(to[1]);
		child.from_fd = from[1];
		child.to_fd = to[0];
		fn(&child);
		_exit(0);
	}
	close(from[1]);
	close(to[0]);
	child.from_fd = from[0];
	child.to_fd = to[1];
	if (read(child.from_fd, child.told, sizeof(child.told)) != sizeof(child.told))
		abort();
	return child;
}

/* Lets it go on, and waits until it says again that it is ready. */
static inline void child__step(struct child *child)
{
	if (write(child->to_fd, "", 1) != 1 ||
	    read(child->from_fd, child->told, sizeof(child->told)) != sizeof(child->told))
		abort();
}

static inline void child__end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->from_fd);
	close(child->to_fd);
}

#endif
