// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "census/cgroup_place.h"
#include "census/proc_file.h"
#include "watch/sampler_impl.h"

/* Of a command line; two that differ only behind that count as the same. */
#define COMMAND_BYTES 4096

/* How much larger one that waits must be than the one that it takes the place of: the two would
 * change places for ever. */
#define LARGER_BY 1.25

/* FNV-1a. */
static uint64_t hash_bytes(const char *bytes, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
	return hash ? hash : 1;
}

/*
 * The one file that is in the process's memory: reading it waits for the lock of its address space.
 * Where the process hangs in the kernel it is not tried. (Pages of files are not read there since
 * 7f7ccc2ccc2e, Linux 4.17, so none can hang by a file system of its own.)
 */
static uint64_t read_command(struct sampler *sampler, uint32_t pid, char state)
{
	ssize_t n;

	if (state == 'D')
		return 0;
	n = proc_file__read(pid, "cmdline", sampler->text, COMMAND_BYTES);
	return n > 0 ? hash_bytes(sampler->text, n) : 0;
}

/* Its control group's whole path, in memory that the caller frees; NULL unknown. text has its
 * /proc/PID/cgroup then. */
static char *read_group(struct sampler *sampler, uint32_t pid)
{
	const struct cgroup_mounts none = {0};
	struct cgroup_place place;
	char *path;

	if (proc_file__read(pid, "cgroup", sampler->text, SAMPLER_TEXT_MAX) <= 0 ||
	    cgroup_place__find(sampler->text, &none, "memory", &place))
		return NULL;
	path = place.path;
	place.path = NULL;
	cgroup_place__free(&place);
	return path;
}

static void take_limits(struct sampler *sampler, struct followed *followed, const char *path)
{
	struct watched *watched = &followed->watched;
	struct group_limit limit;

	followed->limits_ns = sampler->now_ns;
	if (!path ||
	    group_limits__get(sampler->limits, path, watched->pid, sampler->now_ns, &limit))
		return;
	watched->limit_bytes = limit.limit_bytes;
	watched->cpus = limit.cpus;
	strlcpy(watched->name.cgroup, limit.path, sizeof(watched->name.cgroup));
}

void followed__limits(struct sampler *sampler, struct followed *followed)
{
	char *path;

	if (sampler->now_ns - followed->limits_ns < sampler->options.limits_s * 1e9)
		return;
	path = read_group(sampler, followed->watched.pid);
	take_limits(sampler, followed, path);
	free(path);
}

static int name_process(struct sampler *sampler, struct followed *followed,
			const struct proc_stat *stat)
{
	struct watched *watched = &followed->watched;
	char *exe = NULL, *path;
	int err = 0;

	watched->start_time = stat->start_ticks;
	watched->command_hash = read_command(sampler, watched->pid, stat->state);
	strlcpy(watched->name.comm, stat->comm, sizeof(watched->name.comm));
	if (proc_stat__exe(watched->pid, &exe))
		exe = NULL;
	subject_name__program(&watched->name, exe);
	free(exe);
	path = read_group(sampler, watched->pid);
	if (path)
		err = subject_name__place(&watched->name, sampler->text);
	if (!err)
		take_limits(sampler, followed, path);
	free(path);
	return err;
}

/* statm is open: at the end it tells whether all of it was one process. */
static int fill_followed(struct sampler *sampler, struct followed *followed)
{
	struct watched *watched = &followed->watched;
	struct proc_stat stat, after;
	int err = proc_stat__read(watched->pid, &stat);

	if (!err)
		err = name_process(sampler, followed, &stat);
	sample__init(&watched->sample, sampler->t_unix);
	if (!err)
		err = status__read(sampler, watched->pid, watched->sample.value);
	if (!err)
		err = statm__read(followed->fd, &followed->statm);
	if (!err)
		err = proc_stat__read(watched->pid, &after);
	if (!err && after.start_ticks != stat.start_ticks)
		err = -ESRCH;
	watched->sample.pid = watched->pid;
	watched->sample.start_time = watched->start_time;
	return err;
}

static int make_followed(struct sampler *sampler, uint32_t pid, struct followed **out)
{
	struct followed *followed = calloc(1, sizeof(*followed));
	int err;

	if (!followed)
		return -ENOMEM;
	followed->watched.pid = pid;
	followed->watched.limit_bytes = SERIES_UNKNOWN;
	followed->watched.is_new = followed->watched.changed = true;
	/* Those that are met together are not all read in full together. */
	followed->full_pass = sampler->pass + 1 + pid % sampler->options.full_passes;
	followed->fd = statm__open(pid);
	err = followed->fd < 0 ? followed->fd : fill_followed(sampler, followed);
	if (!err) {
		const struct subject_process process = {pid, followed->watched.start_time,
							followed->watched.command_hash};

		err = subjects__take(sampler->subjects, &followed->watched.name, &process);
	}
	if (err) {
		if (followed->fd >= 0)
			close(followed->fd);
		free(followed);
		return err;
	}
	if (sampler->fds < sampler->fds_max) {
		sampler->fds++;
	} else {
		close(followed->fd);
		followed->fd = -1;
	}
	*out = followed;
	return 0;
}

void followed__free(struct sampler *sampler, struct followed *followed)
{
	subjects__release(sampler->subjects, &followed->watched.name);
	if (followed->fd >= 0) {
		close(followed->fd);
		sampler->fds--;
	}
	sampler->followed_count--;
	free(followed);
}

void followed__drop(struct sampler *sampler, struct followed *followed)
{
	const struct sampler_handlers *handlers = sampler->handlers;

	if (handlers->gone)
		handlers->gone(handlers->ctx, &followed->watched);
	followed__free(sampler, followed);
}

static void let_wait(struct sampler *sampler, struct known *known)
{
	known->kind = KNOWN_WAITING;
	known->followed = NULL;
	known->due_pass = sampler->pass;
	sampler__count_loss(sampler, WATCH_LOSS_subjects_dropped);
}

void known__follow(struct sampler *sampler, struct known *known)
{
	struct proc_stat stat;
	int err = proc_stat__read(known->pid, &stat);

	known->followed = NULL;
	known->kind = KNOWN_YOUNG;
	known->due_pass = sampler->pass + SAMPLER_YOUNG_PASSES; /* should it fail */
	if (!err && (stat.is_kernel_thread || stat.is_zombie)) {
		known->kind = KNOWN_IGNORED;
		return;
	}
	if (!err && sampler->followed_count >= sampler->options.subjects_max) {
		let_wait(sampler, known);
		return;
	}
	if (!err)
		err = make_followed(sampler, known->pid, &known->followed);
	if (err) {
		if (err == -ESRCH)
			sampler__count_loss(sampler, WATCH_LOSS_processes_gone);
		return;
	}
	known->kind = KNOWN_FOLLOWED;
	sampler->followed_count++;
	sampler->handlers->each(sampler->handlers->ctx, &known->followed->watched);
}

static struct known *find_smallest(struct sampler *sampler)
{
	struct known *smallest = NULL;

	for (size_t i = 0; i < sampler->known.count; i++) {
		struct known *known = &sampler->known.items[i];

		if (known->kind == KNOWN_FOLLOWED &&
		    (!smallest || known->followed->watched.sample.value[COMPONENT_RSS] <
					  smallest->followed->watched.sample.value[COMPONENT_RSS]))
			smallest = known;
	}
	return smallest;
}

void sampler__admit(struct sampler *sampler)
{
	struct known *smallest = NULL;

	for (size_t i = 0; i < sampler->known.count; i++) {
		struct known *known = &sampler->known.items[i];
		uint64_t rss;

		if (known->kind != KNOWN_WAITING || known->due_pass > sampler->pass)
			continue;
		known->due_pass = sampler->pass + sampler->options.full_passes;
		if (sampler->followed_count < sampler->options.subjects_max) {
			known__follow(sampler, known);
			continue;
		}
		if (!smallest)
			smallest = find_smallest(sampler);
		if (proc_stat__rss(known->pid, &rss) || !smallest ||
		    (double)rss <=
			    LARGER_BY *
				    (double)smallest->followed->watched.sample.value[COMPONENT_RSS])
			continue;
		followed__drop(sampler, smallest->followed);
		let_wait(sampler, smallest);
		smallest->due_pass += sampler->options.full_passes;
		smallest = NULL;
		known__follow(sampler, known);
	}
}
