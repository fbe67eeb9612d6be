// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/census_child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static void read_process(void *ctx, int fd)
{
	const uint32_t *pid = ctx;
	struct census_answer answer;

	memset(&answer, 0, sizeof(answer));
	answer.err = census_figures__read(*pid, &answer.figures);
	(void)child__send(fd, &answer, sizeof(answer)); /* who no longer wants it has closed */
}

int census_child__start(struct census_child *census, uint32_t pid, uint64_t start_time)
{
	const struct child_limits limits = {CENSUS_CPU_S_MAX, CENSUS_MEMORY_BYTES_MAX};

	*census = (struct census_child){.pid = pid, .start_time = start_time};
	census->deadline_ns = monotonic_ns() + CENSUS_NS_MAX;
	return child__start(&census->child, &limits, NULL, 0, read_process, &pid);
}

static uint64_t usage_ns(const struct rusage *usage)
{
	return ((uint64_t)usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000ull +
	       ((uint64_t)usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000ull;
}

/* Its CPU time, and that of its own children. */
static uint64_t end_child(struct child *child)
{
	struct rusage usage = {0};
	pid_t got;

	close(child->fd);
	kill(child->pid, SIGKILL);
	do {
		got = wait4(child->pid, NULL, 0, &usage);
	} while (got < 0 && errno == EINTR);
	*child = (struct child){.fd = -1};
	return got > 0 ? usage_ns(&usage) : 0;
}

/* 0: all of it is here; -EAGAIN, -EPIPE. */
static int receive(struct census_child *census)
{
	char *bytes = (char *)&census->answer;

	while (census->received < sizeof(census->answer)) {
		ssize_t got = recv(census->child.fd, bytes + census->received,
				   sizeof(census->answer) - census->received, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return -EAGAIN;
		if (got <= 0)
			return -EPIPE;
		census->received += (uint32_t)got;
	}
	return 0;
}

/* The child read what others wrote: its answer counts as theirs. */
static void check_figures(struct census_figures *figures)
{
	figures->arena_limit_source[sizeof(figures->arena_limit_source) - 1] = '\0';
	figures->malloc_owner[sizeof(figures->malloc_owner) - 1] = '\0';
	if (!(figures->cpu_quota >= 0))
		figures->cpu_quota = 0;
	if (figures->row_count > CENSUS_ROWS_MAX)
		figures->row_count = 0;
	for (uint32_t i = 0; i < figures->row_count; i++)
		figures->rows[i].name[CENSUS_ROW_NAME - 1] = '\0';
}

int census_child__finish(struct census_child *census, uint64_t now_ns, struct census_figures *out,
			 uint64_t *cpu_ns)
{
	int err = receive(census);

	if (err == -EAGAIN && now_ns < census->deadline_ns)
		return err;
	if (err == -EAGAIN)
		err = -ETIMEDOUT;
	*cpu_ns = end_child(&census->child);
	if (err)
		return err;
	if (census->answer.err)
		return census->answer.err < 0 ? census->answer.err : -EINVAL;
	if (census->answer.figures.start_time != census->start_time)
		return -ESRCH;
	check_figures(&census->answer.figures);
	*out = census->answer.figures;
	return 0;
}

void census_child__stop(struct census_child *census)
{
	if (census_child__runs(census))
		end_child(&census->child);
}

/* What is known is never negative. */
static int64_t checked(int64_t value)
{
	return value < 0 ? SERIES_UNKNOWN : value;
}

void census_figures__into(const struct census_figures *figures, struct sample *sample)
{
	const struct {
		enum component component;
		int64_t value;
	} values[] = {
		{COMPONENT_BRK, figures->brk},
		{COMPONENT_ARENA_RESIDENT, figures->arena_resident},
		{COMPONENT_ARENA_COMMITTED, figures->arena_committed},
		{COMPONENT_ARENAS, figures->arenas},
		{COMPONENT_MALLOC_IN_USE, figures->malloc_in_use},
		{COMPONENT_MALLOC_FREE, figures->malloc_free},
		{COMPONENT_GO_HEAP, figures->go_heap},
		{COMPONENT_GO_ALLOC, figures->go_alloc},
		{COMPONENT_GO_IDLE, figures->go_idle},
		{COMPONENT_DIRECT_MAPPING, figures->direct_mapping},
		{COMPONENT_THREAD_STACK, figures->thread_stack},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		sample->value[values[i].component] = checked(values[i].value);
}
