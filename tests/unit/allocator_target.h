/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_ALLOCATOR_TARGET_H
#define MEMDRIFT_TESTS_ALLOCATOR_TARGET_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"
#include "heap/allocators_scan.h"

/*
 * A program that stands still after it has said "ready", with what it says of itself (a JSON
 * object, in $TRUTH or on the line after the word), and what is read of it from outside.
 */
struct target {
	pid_t pid;
	int stdin_fd;
	json_t *truth;
	struct subject subject;
	struct claims claims;
	struct allocators found;
	int err;
};

/* A program of tests/targets; false when it was not built. */
static inline bool target_path(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *const up[] = {"/../targets/", "/../../targets/"};

	if (n <= 0)
		return false;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, PATH_MAX, "%s%s%.40s", self, up[i], name);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

static inline void become(char *const argv[], const char *preload, int in, int out, int truth)
{
	char name[64];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", getppid(), truth);
	setenv("TRUTH", name, 1);
	if (preload)
		setenv("LD_PRELOAD", preload, 1);
	execvp(argv[0], argv);
	_exit(127);
}

/* Starts it and waits for the word: false when it could not be run. */
static inline bool target__start(struct target *target, char *const argv[], const char *preload)
{
	int in[2], out[2];
	char line[8192] = "";
	FILE *said, *truth = tmpfile();

	memset(target, 0, sizeof(*target));
	if (!truth || pipe(in) || pipe(out))
		abort();
	target->pid = fork();
	if (target->pid == 0)
		become(argv, preload, in[0], out[1], fileno(truth));
	close(in[0]);
	close(out[1]);
	target->stdin_fd = in[1];
	said = fdopen(out[0], "r");
	while (said && fgets(line, sizeof(line), said) && strncmp(line, "ready", 5))
		;
	if (strncmp(line, "ready", 5) == 0) {
		target->truth = json_loadf(truth, 0, NULL);
		if (!target->truth && fgets(line, sizeof(line), said))
			target->truth = json_loads(line, 0, NULL);
	}
	fclose(said);
	fclose(truth);
	return target->truth != NULL;
}

static inline void target__read(struct target *target)
{
	target->err = subject__open((uint32_t)target->pid, &target->subject);
	if (!target->err)
		target->err = allocators__read(&target->subject, &target->claims, &target->found);
	if (!target->err)
		target->err = claims__settle(&target->claims);
}

static inline void target__end(struct target *target)
{
	kill(target->pid, SIGKILL);
	waitpid(target->pid, NULL, 0);
	close(target->stdin_fd);
	json_decref(target->truth);
	subject__close(&target->subject);
	claims__free(&target->claims);
}

static inline uint64_t target__told(const struct target *target, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(target->truth, key));
}

/* Resident bytes of [start, end) that a component claims; LEDGER_COMPONENTS: any. */
static inline uint64_t target__claimed_in(const struct target *target,
					  enum ledger_component component, uint64_t start,
					  uint64_t end)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < target->claims.count; i++) {
		const struct claim *claim = &target->claims.items[i];
		uint64_t from = claim->start > start ? claim->start : start;
		uint64_t to = claim->end < end ? claim->end : end;

		if (from < to && (component == LEDGER_COMPONENTS || claim->component == component))
			sum += subject__resident(&target->subject, from, to);
	}
	return sum;
}

static inline uint64_t target__claimed(const struct target *target, enum ledger_component component)
{
	return target__claimed_in(target, component, 0, UINT64_MAX);
}

/* Resident bytes where allocators work: of zero-initialised data of objects only what is claimed.
 */
static inline uint64_t target__anonymous(const struct target *target)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < target->subject.n; i++) {
		const struct maps_entry *entry = &target->subject.entries[i];

		if (scan__is_object_data(&target->subject, i, false))
			sum += target__claimed_in(target, LEDGER_COMPONENTS, entry->start,
						  entry->end);
		else if (entry_is_anonymous_rw(entry))
			sum += subject__resident(&target->subject, entry->start, entry->end);
	}
	return sum;
}

#endif
