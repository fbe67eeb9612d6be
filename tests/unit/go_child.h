/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_GO_CHILD_H
#define MEMDRIFT_TESTS_GO_CHILD_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program of tests/targets/go/memstats at work: it stands still between its lines. */
struct go_child {
	pid_t pid;
	FILE *says;
	int to_fd;
};

/* The built program, or NULL where there is no Go. */
static inline const char *go_child__path(void)
{
	static char path[4096];
	const char *build = getenv("BUILD");

	snprintf(path, sizeof(path), "%s/targets/go-memstats", build ? build : "build");
	return access(path, X_OK) ? NULL : path;
}

/* What it says next; the caller's. */
static inline json_t *go_child__next(struct go_child *child)
{
	char line[2048];

	if (!fgets(line, sizeof(line), child->says))
		return NULL;
	return json_loads(line, 0, NULL);
}

static inline void go_child__tell(struct go_child *child)
{
	if (write(child->to_fd, "\n", 1) != 1)
		abort();
}

/* argv: its options after its name, NULL at the end. */
static inline struct go_child go_child__start(char *const argv[])
{
	struct go_child child = {0};
	int from[2], to[2];

	if (!argv[0] || pipe(from) || pipe(to))
		abort();
	child.pid = fork();
	if (child.pid < 0)
		abort();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(from[0]);
		close(to[1]);
		execv(argv[0], argv);
		_exit(1);
	}
	close(from[1]);
	close(to[0]);
	child.says = fdopen(from[0], "r");
	if (!child.says)
		abort();
	child.to_fd = to[1];
	return child;
}

static inline void go_child__end(struct go_child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	fclose(child->says);
	close(child->to_fd);
}

#endif
