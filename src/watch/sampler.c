// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/sampler.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/sampler_impl.h"

#define LIMITS_S_DEFAULT 300
/* Descriptors that are left to the rest of watch: database, listener, probes. */
#define FDS_RESERVED 512

static void read_clocks(struct sampler *sampler)
{
	struct timespec boot;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	sampler->now_ticks =
		(uint64_t)(((double)boot.tv_sec + boot.tv_nsec / 1e9) * sysconf(_SC_CLK_TCK));
	sampler->now_ns = monotonic_ns();
}

static struct known *append_known(struct known_list *list)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 1024;
		struct known *grown = reallocarray(list->items, room, sizeof(*grown));

		if (!grown)
			return NULL;
		list->items = grown;
		list->room = room;
	}
	return &list->items[list->count++];
}

/* In how many passes a process is old enough that was there before us. */
static uint64_t passes_till_old(const struct sampler *sampler, uint64_t start_ticks)
{
	double age_s = 0, old_s = SAMPLER_YOUNG_PASSES * sampler->options.interval_s;

	if (sampler->now_ticks > start_ticks)
		age_s = (double)(sampler->now_ticks - start_ticks) / sysconf(_SC_CLK_TCK);
	return age_s >= old_s ? 0 : (uint64_t)ceil((old_s - age_s) / sampler->options.interval_s);
}

/*
 * Nothing is read of a process that has just begun: most of those that come and go are gone before
 * they are old enough.
 */
static void meet_process(struct sampler *sampler, struct known *known)
{
	struct proc_stat stat;

	known->kind = KNOWN_YOUNG;
	known->followed = NULL;
	known->due_pass = sampler->pass + SAMPLER_YOUNG_PASSES;
	if (sampler->pass > 1)
		return;
	if (proc_stat__read(known->pid, &stat) == 0)
		known->due_pass = sampler->pass + passes_till_old(sampler, stat.start_ticks);
	if (known->due_pass <= sampler->pass)
		known__follow(sampler, known);
}

static void read_followed(struct sampler *sampler, struct known *known)
{
	struct followed *followed = known->followed;
	enum reading reading = followed__read(sampler, followed);

	if (reading == READING_OK) {
		followed__limits(sampler, followed);
		followed->watched.is_new = false;
		sampler->handlers->each(sampler->handlers->ctx, &followed->watched);
		return;
	}
	followed__drop(sampler, followed);
	if (reading == READING_OTHER_PROGRAM)
		known__follow(sampler, known);
	else
		meet_process(sampler, known);
}

/* A process that /proc lists, and as what it was known before, or NULL. */
static int visit_process(struct sampler *sampler, uint32_t pid, uint64_t inode,
			 const struct known *before)
{
	struct known *known;

	if (sampler->next.count >= SAMPLER_KNOWN_MAX)
		return -ENOSPC;
	known = append_known(&sampler->next);
	if (!known)
		return -ENOMEM;
	*known = (struct known){.pid = pid, .inode = inode};
	if (before && before->kind == KNOWN_FOLLOWED) {
		*known = *before;
		known->inode = inode;
		read_followed(sampler, known);
	} else if (before && before->inode == inode) {
		*known = *before;
		if (known->kind == KNOWN_YOUNG && known->due_pass <= sampler->pass)
			known__follow(sampler, known);
	} else {
		meet_process(sampler, known);
	}
	return 0;
}

static void drop_known(struct sampler *sampler, struct known *known)
{
	if (known->kind == KNOWN_FOLLOWED)
		followed__drop(sampler, known->followed);
}

static uint32_t parse_pid(const char *name)
{
	char *end;
	unsigned long pid;

	if (*name < '1' || *name > '9')
		return 0;
	pid = strtoul(name, &end, 10);
	return *end || pid > INT32_MAX ? 0 : (uint32_t)pid;
}

/* Both lists are in order of pid: /proc is (next_tgid, fs/proc/base.c). */
static int merge_list(struct sampler *sampler)
{
	size_t at = 0, over = 0;
	uint32_t last = 0;
	struct dirent *entry;
	int err = 0;

	rewinddir(sampler->proc);
	while (!err && (errno = 0, entry = readdir(sampler->proc))) {
		uint32_t pid = parse_pid(entry->d_name);
		struct known *before = NULL;

		if (pid <= last)
			continue;
		last = pid;
		while (at < sampler->known.count && sampler->known.items[at].pid < pid)
			drop_known(sampler, &sampler->known.items[at++]);
		if (at < sampler->known.count && sampler->known.items[at].pid == pid)
			before = &sampler->known.items[at++];
		err = visit_process(sampler, pid, entry->d_ino, before);
		if (err && before)
			drop_known(sampler, before);
		if (err == -ENOSPC) {
			over++;
			err = 0;
		}
	}
	if (!err)
		err = -errno;
	while (at < sampler->known.count)
		drop_known(sampler, &sampler->known.items[at++]);
	for (; sampler->known_over < over; sampler->known_over++)
		sampler__count_loss(sampler, WATCH_LOSS_subjects_dropped);
	return err;
}

int sampler__pass(struct sampler *sampler, double t_unix, const struct sampler_handlers *handlers)
{
	struct known_list before;
	int err;

	sampler->pass++;
	sampler->t_unix = t_unix;
	sampler->handlers = handlers;
	read_clocks(sampler);
	err = merge_list(sampler);
	before = sampler->known;
	sampler->known = sampler->next;
	sampler->next = before;
	sampler->next.count = 0;
	if (!err)
		sampler__admit(sampler);
	sampler->handlers = NULL;
	return err;
}

/* A descriptor for each that is followed, as far as we are allowed to. */
static size_t raise_fds(size_t wanted)
{
	struct rlimit limit;
	rlim_t all = wanted + FDS_RESERVED;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	if (limit.rlim_cur < all) {
		limit.rlim_cur = limit.rlim_max < all ? limit.rlim_max : all;
		if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
			return 0;
	}
	if (limit.rlim_cur <= FDS_RESERVED)
		return 0;
	return limit.rlim_cur - FDS_RESERVED < wanted ? limit.rlim_cur - FDS_RESERVED : wanted;
}

int sampler__open(struct sampler **out, const struct sampler_options *options)
{
	double limits_s = options->limits_s > 0 ? options->limits_s : LIMITS_S_DEFAULT;
	struct sampler *sampler;
	int err;

	if (!(options->interval_s > 0))
		return -EINVAL;
	sampler = calloc(1, sizeof(*sampler));
	if (!sampler)
		return -ENOMEM;
	sampler->options = *options;
	sampler->options.limits_s = limits_s;
	if (!sampler->options.subjects_max)
		sampler->options.subjects_max = SAMPLER_SUBJECTS_DEFAULT;
	if (!sampler->options.full_passes)
		sampler->options.full_passes = SAMPLER_FULL_PASSES;
	sampler->fds_max = raise_fds(sampler->options.subjects_max);
	sampler->text = malloc(SAMPLER_TEXT_MAX);
	sampler->subjects = subjects__new();
	sampler->limits = group_limits__new((uint64_t)(limits_s * 1e9));
	err = sampler->text && sampler->subjects && sampler->limits ? 0 : -ENOMEM;
	if (!err) {
		sampler->proc = opendir("/proc");
		err = sampler->proc ? 0 : -errno;
	}
	if (err)
		sampler__close(sampler);
	else
		*out = sampler;
	return err;
}

void sampler__close(struct sampler *sampler)
{
	if (!sampler)
		return;
	for (size_t i = 0; i < sampler->known.count; i++) {
		if (sampler->known.items[i].kind == KNOWN_FOLLOWED)
			followed__free(sampler, sampler->known.items[i].followed);
	}
	free(sampler->known.items);
	free(sampler->next.items);
	if (sampler->proc)
		closedir(sampler->proc);
	subjects__free(sampler->subjects);
	group_limits__free(sampler->limits);
	free(sampler->text);
	free(sampler);
}

int sampler__remember(struct sampler *sampler, const struct subject_name *name, uint32_t pid,
		      uint64_t start_time, uint64_t command_hash)
{
	const struct subject_process process = {pid, start_time, command_hash};

	return subjects__remember(sampler->subjects, name, &process);
}

size_t sampler__count(const struct sampler *sampler)
{
	return sampler->followed_count;
}

void sampler__each(struct sampler *sampler, void (*fn)(void *ctx, struct watched *watched),
		   void *ctx)
{
	for (size_t i = 0; i < sampler->known.count; i++) {
		if (sampler->known.items[i].kind == KNOWN_FOLLOWED)
			fn(ctx, &sampler->known.items[i].followed->watched);
	}
}

static int compare_pid(const void *key, const void *item)
{
	uint32_t pid = *(const uint32_t *)key;
	const struct known *known = item;

	return (pid > known->pid) - (pid < known->pid);
}

struct watched *sampler__find(struct sampler *sampler, uint32_t pid)
{
	struct known *known = NULL;

	if (sampler->known.count)
		known = bsearch(&pid, sampler->known.items, sampler->known.count, sizeof(*known),
				compare_pid);
	return known && known->kind == KNOWN_FOLLOWED ? &known->followed->watched : NULL;
}
