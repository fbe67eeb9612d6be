// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_MS 1000000ull
/* poll() counts in an int. */
#define POLL_MS_MAX 60000

/* Beyond what is mapped already, which a sanitizer makes much of. */
static bool bound_memory(uint64_t bytes)
{
	unsigned long long pages;
	FILE *f = fopen("/proc/self/statm", "re");
	struct rlimit limit;
	bool known;

	if (!f)
		return false;
	known = fscanf(f, "%llu", &pages) == 1;
	fclose(f);
	limit.rlim_cur = pages * (unsigned long long)sysconf(_SC_PAGESIZE) + bytes;
	limit.rlim_max = limit.rlim_cur;
	return known && !setrlimit(RLIMIT_AS, &limit);
}

static int compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All but the standard ones and these. */
static bool close_others(const int *keep, size_t keep_count, int own)
{
	int kept[CHILD_KEEP_MAX + 1];
	unsigned int next = STDERR_FILENO + 1;

	for (size_t i = 0; i < keep_count; i++)
		kept[i] = keep[i];
	kept[keep_count] = own;
	qsort(kept, keep_count + 1, sizeof(kept[0]), compare_fds);
	for (size_t i = 0; i <= keep_count; i++) {
		unsigned int fd = (unsigned int)kept[i];

		if (kept[i] < 0 || fd < next)
			continue;
		if (fd > next && close_range(next, fd - 1, 0))
			return false;
		next = fd + 1;
	}
	return !close_range(next, ~0u, 0);
}

static _Noreturn void run(const struct child_limits *limits, const int *keep, size_t keep_count,
			  int own, child_fn fn, void *ctx)
{
	struct rlimit cpu = {limits->cpu_s, limits->cpu_s}, core = {0, 0};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || !close_others(keep, keep_count, own) ||
	    setrlimit(RLIMIT_CORE, &core) || setrlimit(RLIMIT_CPU, &cpu) ||
	    !bound_memory(limits->memory_bytes))
		_exit(1);
	/* ^C is for us: what is asked for at the end of a trace is still wanted. */
	signal(SIGINT, SIG_IGN);
	fn(ctx, own);
	_exit(0);
}

int child__start(struct child *child, const struct child_limits *limits, const int *keep,
		 size_t keep_count, child_fn fn, void *ctx)
{
	int ends[2];

	*child = (struct child){.fd = -1};
	if (keep_count > CHILD_KEEP_MAX)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	child->pid = fork();
	if (!child->pid)
		run(limits, keep, keep_count, ends[1], fn, ctx);
	close(ends[1]);
	if (child->pid < 0) {
		int err = -errno;

		close(ends[0]);
		child->pid = 0;
		return err;
	}
	child->fd = ends[0];
	return 0;
}

void child__stop(struct child *child)
{
	if (child->pid <= 0)
		return;
	close(child->fd);
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*child = (struct child){.fd = -1};
}

int child__send(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return sent ? -errno : -EPIPE;
		at += sent;
		size -= (size_t)sent;
	}
	return 0;
}

int child__receive(int fd, void *bytes, size_t size, uint64_t deadline_ns)
{
	char *at = bytes;

	while (size) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		uint64_t now = monotonic_ns(), left_ms;
		ssize_t got;
		int ready;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		left_ms = (deadline_ns - now) / NS_PER_MS + 1;
		ready = poll(&readable, 1, left_ms < POLL_MS_MAX ? (int)left_ms : POLL_MS_MAX);
		if (!ready)
			continue;
		got = ready > 0 ? recv(fd, at, size, 0) : -1;
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EPIPE;
		at += got;
		size -= (size_t)got;
	}
	return 0;
}
