// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_file.h"
#include "watch/sampler_impl.h"

/* Of the process's memory, also where its leader has ended before the other threads. */
static int memory_file(uint32_t pid, const char *file, char *name, size_t size)
{
	uint32_t tid;
	int err = proc_memory_tid(pid, &tid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	snprintf(name, size, "task/%u/%s", tid, file);
	return 0;
}

int statm__open(uint32_t pid)
{
	struct statm statm;
	char name[64];
	int fd = proc_file__open(pid, "statm", O_RDONLY);
	int err;

	if (fd < 0 || statm__read(fd, &statm) == 0)
		return fd;
	close(fd);
	err = memory_file(pid, "statm", name, sizeof(name));
	return err ? err : proc_file__open(pid, name, O_RDONLY);
}

int statm__read(int fd, struct statm *out)
{
	/* "size resident shared text lib data dt" */
	uint64_t values[7];
	char text[192];
	char *p = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	for (int i = 0; i < 7; i++) {
		char *end;

		values[i] = strtoull(p, &end, 10);
		if (end == p)
			return -EINVAL;
		p = end;
	}
	*out = (struct statm){values[0], values[1], values[2], values[5]};
	return out->size ? 0 : -ESRCH;
}

/* The number behind a line's key, in order of the lines: *at moves on. */
static bool find_value(const char **at, const char *key, int64_t *value)
{
	const char *found = strstr(*at, key);
	char *end;

	if (!found)
		return false;
	found += strlen(key);
	*value = strtoll(found, &end, 10);
	*at = end;
	return end != found && *value >= 0;
}

/*
 * task_mem in fs/proc/task_mmu.c and proc_task_status in fs/proc/array.c: names in the text are
 * escaped, so that a line is the kernel's.
 */
static int parse_status(const char *text, int64_t values[COMPONENT_MAX])
{
	static const struct {
		const char *key;
		enum component component;
		int64_t unit;
	} lines[] = {
		{"\nVmRSS:", COMPONENT_RSS, 1024},    {"\nRssAnon:", COMPONENT_ANON, 1024},
		{"\nRssFile:", COMPONENT_FILE, 1024}, {"\nRssShmem:", COMPONENT_SHMEM, 1024},
		{"\nVmSwap:", COMPONENT_SWAP, 1024},  {"\nThreads:", COMPONENT_THREADS, 1},
	};
	const char *at = text;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		int64_t *value = &values[lines[i].component];

		if (!find_value(&at, lines[i].key, value))
			return -EINVAL;
		if (*value > INT64_MAX / lines[i].unit)
			return -EINVAL;
		*value *= lines[i].unit;
	}
	return 0;
}

int status__read(struct sampler *sampler, uint32_t pid, int64_t values[COMPONENT_MAX])
{
	char name[64] = "status";
	ssize_t n = proc_file__read(pid, name, sampler->text, SAMPLER_TEXT_MAX);
	int err;

	if (n <= 0)
		return n ? (int)n : -ESRCH;
	if (!parse_status(sampler->text, values))
		return 0;
	err = memory_file(pid, "status", name, sizeof(name));
	if (err)
		return err;
	n = proc_file__read(pid, name, sampler->text, SAMPLER_TEXT_MAX);
	if (n <= 0)
		return n ? (int)n : -ESRCH;
	return parse_status(sampler->text, values);
}

/* By the file that is held, or one that is opened for now. */
static int read_statm(struct followed *followed, struct statm *out)
{
	struct proc_stat stat;
	int fd, err;

	if (followed->fd >= 0)
		return statm__read(followed->fd, out);
	fd = statm__open(followed->watched.pid);
	if (fd < 0)
		return fd;
	err = statm__read(fd, out);
	close(fd);
	/* Nothing else tells that it is still the same process. */
	if (!err)
		err = proc_stat__read(followed->watched.pid, &stat);
	if (!err && stat.start_ticks != followed->watched.start_time)
		err = -ESRCH;
	return err;
}

/*
 * The file says that the process has no memory: it ended, or only the thread did through which we
 * looked. Then another one is held.
 */
static bool look_again(struct followed *followed, struct statm *out)
{
	struct proc_stat stat;
	int fd = statm__open(followed->watched.pid);

	if (fd < 0)
		return false;
	/* Asked after opening: who has this start time now is whom the file belongs to. */
	if (statm__read(fd, out) || proc_stat__read(followed->watched.pid, &stat) ||
	    stat.start_ticks != followed->watched.start_time) {
		close(fd);
		return false;
	}
	if (followed->fd < 0) {
		close(fd);
		return true;
	}
	close(followed->fd);
	followed->fd = fd;
	return true;
}

/* Whether it still runs the program that it is named after. */
static bool is_same_program(const struct watched *watched)
{
	struct subject_name now;
	char *exe = NULL;
	bool same;

	if (watched->name.exe[0] == '[' || proc_stat__exe(watched->pid, &exe))
		return true;
	subject_name__program(&now, exe);
	same = !strcmp(now.exe, watched->name.exe);
	free(exe);
	return same;
}

static enum reading read_full(struct sampler *sampler, struct followed *followed)
{
	struct watched *watched = &followed->watched;
	struct sample sample;
	struct statm after;
	bool same;
	int err;

	sample__init(&sample, sampler->t_unix);
	err = status__read(sampler, watched->pid, sample.value);
	same = is_same_program(watched);
	/* The held file is the process's for certain: was it there all the time? */
	if (read_statm(followed, &after) && !look_again(followed, &after)) {
		sampler__count_loss(sampler, WATCH_LOSS_processes_gone);
		return READING_GONE;
	}
	if (err)
		sample__init(&sample, sampler->t_unix); /* unknown, not half known */
	if (!same)
		return READING_OTHER_PROGRAM;
	for (int i = 0; i < COMPONENT_MAX; i++) {
		watched->changed |= watched->sample.value[i] != sample.value[i];
		watched->sample.value[i] = sample.value[i];
	}
	/* What changed while it was read, or could not be, is read again: status may be of a moment
	 * that no statm was of. */
	followed->full_pass = sampler->pass + sampler->options.full_passes;
	if (err || memcmp(&after, &followed->statm, sizeof(after)))
		followed->full_pass = sampler->pass + 1;
	return READING_OK;
}

enum reading followed__read(struct sampler *sampler, struct followed *followed)
{
	struct statm statm;
	int err = read_statm(followed, &statm);

	followed->watched.changed = false;
	followed->watched.sample.t_s = sampler->t_unix;
	if (err == -ESRCH)
		err = look_again(followed, &statm) ? 0 : -ESRCH;
	if (err == -ESRCH)
		return READING_GONE;
	if (!err && sampler->pass < followed->full_pass &&
	    !memcmp(&statm, &followed->statm, sizeof(statm)))
		return READING_OK;
	followed->statm = statm;
	return read_full(sampler, followed);
}
