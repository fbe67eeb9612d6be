// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/mappings.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/burst_run.h"

#define NS_PER_S  1000000000ull
#define RECORDING "mappings.mdr"
#define MESSAGES  "mappings.txt"

static void path_of(const struct mappings *mappings, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", mappings->directory, name);
}

static void folded_path(const struct mappings *mappings, unsigned int file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/mappings.%u.folded", mappings->directory, file);
}

/* What a system call that does nothing takes: the least of some batches is least disturbed. */
static double syscall_ns(void)
{
	enum { BATCHES = 20, CALLS = 2000 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t began = monotonic_ns(), took;

		for (int j = 0; j < CALLS; j++)
			syscall(SYS_getppid);
		took = monotonic_ns() - began;
		least = took < least ? took : least;
	}
	return (double)least / CALLS;
}

static int run(struct mappings *mappings, char *const *args)
{
	char messages[PATH_MAX];

	path_of(mappings, MESSAGES, messages);
	return burst_run__start(args, messages, &mappings->child, &mappings->pidfd);
}

static void wait_and_retry(struct mappings *mappings, uint64_t now_ns)
{
	if (mappings->child > 0)
		kill(mappings->child, SIGKILL);
	mappings->cpu_ns += burst_run__reap(&mappings->child, &mappings->pidfd, NULL);
	++*mappings->failed;
	burst_run__remove_files(mappings->directory, RECORDING);
	mappings->tax_ns = 0;
	mappings->stage = MAPPINGS_WAITING;
	mappings->deadline_ns = now_ns + MAPPINGS_RETRY_NS;
}

static void start_trace(struct mappings *mappings, uint64_t now_ns)
{
	char seconds[32], recording[PATH_MAX];
	char *args[] = {"memdrift", "trace",   "-d", seconds,     "--ring-size", "16M",
			"--record", recording, "-o", "/dev/null", NULL};

	snprintf(seconds, sizeof(seconds), "%.3f", mappings->run_s);
	path_of(mappings, RECORDING, recording);
	mappings->untaxed_ns = syscall_ns();
	if (run(mappings, args)) {
		wait_and_retry(mappings, now_ns);
		return;
	}
	mappings->stage = MAPPINGS_BEGINNING;
	mappings->deadline_ns = now_ns + MAPPINGS_BEGIN_NS;
}

static void start_folding(struct mappings *mappings, uint64_t now_ns)
{
	char recording[PATH_MAX], folded[PATH_MAX];
	char *args[] = {"memdrift", "report",           recording, "--folded",  folded,
			"--weight", "unreleased_bytes", "-o",      "/dev/null", NULL};

	path_of(mappings, RECORDING, recording);
	folded_path(mappings, mappings->next, folded);
	mappings->next = (mappings->next + 1) % MAPPINGS_FILES;
	if (run(mappings, args)) {
		wait_and_retry(mappings, now_ns);
		return;
	}
	mappings->stage = MAPPINGS_FOLDING;
	mappings->deadline_ns = now_ns + MAPPINGS_OVER_NS_MAX;
}

void mappings__start(struct mappings *mappings, char *directory, double speed, uint64_t *failed)
{
	double run_s = MAPPINGS_RUN_S / speed;

	*mappings = (struct mappings){
		.directory = directory,
		.failed = failed,
		.run_s = run_s < MAPPINGS_RUN_S_MIN ? MAPPINGS_RUN_S_MIN : run_s,
		.pidfd = -1,
	};
	burst_run__remove_files(directory, MAPPINGS_PREFIX);
	start_trace(mappings, monotonic_ns());
}

void mappings__stop(struct mappings *mappings)
{
	if (!mappings->directory)
		return;
	if (mappings->child > 0)
		kill(mappings->child, SIGKILL);
	burst_run__reap(&mappings->child, &mappings->pidfd, NULL);
	burst_run__remove_files(mappings->directory, MAPPINGS_PREFIX);
	mappings->directory = NULL;
}

/* The child has ended. */
static void go_on(struct mappings *mappings, uint64_t now_ns)
{
	int status = 0;

	mappings->cpu_ns += burst_run__reap(&mappings->child, &mappings->pidfd, &status);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		log_info("the trace of mapping calls failed; the next one comes in a minute");
		wait_and_retry(mappings, now_ns);
	} else if (mappings->stage == MAPPINGS_FOLDING) {
		mappings->runs++;
		start_trace(mappings, now_ns);
	} else {
		start_folding(mappings, now_ns);
	}
}

void mappings__work(struct mappings *mappings, uint64_t now_ns)
{
	double tax;

	if (mappings->child > 0 && burst_run__ended(mappings->pidfd)) {
		go_on(mappings, now_ns);
		return;
	}
	if (now_ns < mappings->deadline_ns)
		return;
	switch (mappings->stage) {
	case MAPPINGS_WAITING:
		start_trace(mappings, now_ns);
		break;
	case MAPPINGS_BEGINNING:
		tax = syscall_ns() - mappings->untaxed_ns;
		mappings->tax_ns = tax > 0 ? tax : 0;
		mappings->stage = MAPPINGS_TRACING;
		mappings->deadline_ns =
			now_ns + (uint64_t)(mappings->run_s * NS_PER_S) + MAPPINGS_OVER_NS_MAX;
		break;
	default:
		wait_and_retry(mappings, now_ns);
		break;
	}
}

/* Whether a line's first frame is "name-PID". A name can have any of these characters. */
static bool is_of(const char *line, uint32_t pid)
{
	const char *end = strchr(line, ';');
	const char *dash = end ? memrchr(line, '-', (size_t)(end - line)) : NULL;
	char *rest;

	return dash && strtoul(dash + 1, &rest, 10) == pid && rest == end;
}

int mappings__of(const struct mappings *mappings, uint32_t pid, double started_unix, char **folded,
		 size_t *size)
{
	FILE *out = open_memstream(folded, size);
	char *line = NULL;
	size_t room = 0;

	if (!out)
		return -ENOMEM;
	for (unsigned int i = 0; i < MAPPINGS_FILES; i++) {
		char path[PATH_MAX];
		struct stat stat;
		FILE *in;

		folded_path(mappings, i, path);
		in = fopen(path, "re");
		if (!in)
			continue;
		if (!fstat(fileno(in), &stat) && (double)stat.st_mtime >= started_unix)
			while (getline(&line, &room, in) > 0 && ftell(out) < MAPPINGS_BYTES_MAX)
				if (is_of(line, pid))
					fputs(line, out);
		fclose(in);
	}
	free(line);
	if (fclose(out)) {
		free(*folded);
		return -ENOMEM;
	}
	if (*size)
		return 0;
	free(*folded);
	return -ENOENT;
}
