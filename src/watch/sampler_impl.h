/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SAMPLER_IMPL_H
#define MEMDRIFT_WATCH_SAMPLER_IMPL_H

#include <dirent.h>

#include "census/proc_stat.h"
#include "watch/group_limits.h"
#include "watch/sampler.h"
#include "watch/subjects.h"

/* What statm tells at once, in pages: when all of it is as before, nothing was mapped, faulted in
 * or given back. */
struct statm {
	uint64_t size, resident, shared, data;
};

struct followed {
	struct watched watched;
	int fd;             /* of statm, held open; -1: opened each time */
	uint64_t full_pass; /* when status is read, at the latest */
	uint64_t limits_ns; /* when its control group was looked at */
	struct statm statm;
};

enum known_kind {
	KNOWN_YOUNG,
	KNOWN_IGNORED, /* a kernel thread or a zombie */
	KNOWN_WAITING, /* there was no room */
	KNOWN_FOLLOWED,
};

/*
 * A process that /proc listed. inode is that of its directory: while it stays the process is the
 * same (proc_pid_make_inode, fs/proc/base.c); the kernel may renew it, which costs a reading.
 */
struct known {
	uint32_t pid;
	enum known_kind kind;
	uint64_t inode;
	uint64_t due_pass; /* when a young or waiting one is looked at */
	struct followed *followed;
};

struct known_list {
	struct known *items; /* by pid */
	size_t count, room;
};

struct sampler {
	struct sampler_options options;
	DIR *proc;
	struct known_list known, next;
	size_t known_over; /* beyond SAMPLER_KNOWN_MAX, at most so far */
	size_t followed_count;
	size_t fds, fds_max; /* held open */
	uint64_t pass;       /* the first is 1 */
	uint64_t now_ns;     /* of this pass */
	uint64_t now_ticks;  /* the same as start times are counted */
	double t_unix;
	const struct sampler_handlers *handlers;
	struct subjects *subjects;
	struct group_limits *limits;
	char *text; /* TEXT_MAX */
};

/* The longest of what is read: status with the most groups that a process can be in
 * (NGROUPS_MAX, 65,536 numbers of ten digits). Only what is used is ever resident. */
#define SAMPLER_TEXT_MAX (1u << 20)

/* What a reading of a followed process came to. */
enum reading { READING_OK, READING_GONE, READING_OTHER_PROGRAM };

static inline void sampler__count_loss(struct sampler *sampler, enum watch_loss loss)
{
	if (sampler->options.losses)
		sampler->options.losses[loss]++;
}

/* sampler_read.c */
int statm__open(uint32_t pid);
/* 0, -ESRCH: the process ended, or has no memory any more; or what reading gave. */
int statm__read(int fd, struct statm *out);
/* Reads status into values: COMPONENTS_PASS. 0, -ESRCH, -EINVAL. */
int status__read(struct sampler *sampler, uint32_t pid, int64_t values[COMPONENT_MAX]);
/* Brings one up to date. */
enum reading followed__read(struct sampler *sampler, struct followed *followed);

/* sampler_follow.c */
/* Starts to follow a process that is old enough and hands it out; sets known->kind: there may be no
 * room, or nothing to follow. */
void known__follow(struct sampler *sampler, struct known *known);
/* At the end of a pass: those that wait against the smallest of those that are followed. */
void sampler__admit(struct sampler *sampler);
/* Calls gone and frees it. */
void followed__drop(struct sampler *sampler, struct followed *followed);
void followed__free(struct sampler *sampler, struct followed *followed);
/* Its control group's limits, read again when it is time. */
void followed__limits(struct sampler *sampler, struct followed *followed);

#endif
