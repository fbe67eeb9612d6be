/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * many_idle PROCESSES KB: so many children that have touched KB each and sleep. Says "ready" and
 * answers lines until its input ends, when all of them end:
 *	churn N   N children that end at once, each waited for; "done"
 *	move N    the first N touch (or give back) 1 MB; "done"
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOVE_BYTES (1 << 20)

struct idler {
	pid_t pid;
	int to_fd;
};

static int from[2];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *touch(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	memset(p, 1, bytes);
	return p;
}

/* A byte says that it is ready, or has moved. */
static void idle(int fd, size_t bytes)
{
	char byte = 0;
	void *moved = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (bytes)
		touch(bytes);
	while (write(from[1], &byte, 1) == 1 && read(fd, &byte, 1) == 1) {
		if (moved)
			munmap(moved, MOVE_BYTES);
		moved = moved ? NULL : touch(MOVE_BYTES);
	}
	_exit(0);
}

static void await(size_t count)
{
	char byte;

	while (count--)
		if (read(from[0], &byte, 1) != 1)
			die("a child");
}

static struct idler start_idler(size_t bytes)
{
	struct idler idler;
	int to[2];

	if (pipe(to))
		die("pipe");
	idler.pid = fork();
	if (idler.pid < 0)
		die("fork");
	if (!idler.pid) {
		close(to[1]);
		idle(to[0], bytes);
	}
	close(to[0]);
	idler.to_fd = to[1];
	return idler;
}

static void churn(size_t count)
{
	while (count--) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* A descriptor for each. */
static void raise_files(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0, n;
	size_t bytes = argc == 3 ? strtoul(argv[2], NULL, 10) * 1024 : 0;
	struct idler *idlers = calloc(count + 1, sizeof(*idlers));
	char line[128];

	if (!count || count > 100000 || !idlers || pipe(from))
		die("many_idle PROCESSES KB");
	raise_files();
	for (size_t i = 0; i < count; i++)
		idlers[i] = start_idler(bytes);
	await(count);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "churn %zu", &n) == 1)
			churn(n);
		if (sscanf(line, "move %zu", &n) == 1 && n <= count) {
			for (size_t i = 0; i < n; i++)
				if (write(idlers[i].to_fd, "m", 1) != 1)
					die("write");
			await(n);
		}
		puts("done");
		fflush(stdout);
	}
	return 0;
}
