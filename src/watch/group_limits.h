/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_GROUP_LIMITS_H
#define MEMDRIFT_WATCH_GROUP_LIMITS_H

#include <stdint.h>

/*
 * What bounds the processes of a control group, read once in a while for all that are in it: some
 * 100 us each, as all groups above are looked at.
 */
struct group_limits;

/* Groups that are kept; the one read longest ago makes room. */
#define GROUP_LIMITS_MAX 4096

struct group_limit {
	int64_t limit_bytes; /* the nearest enclosing; -1 none or unknown */
	double cpus;         /* online, cpuset, quota: the least; 0 unknown */
	/* The group's path as the host sees it, where that can be told; else as given. The cache's,
	 * until the next call. */
	const char *path;
};

/* After keep_ns a group is read again. NULL: no memory. */
struct group_limits *group_limits__new(uint64_t keep_ns);
void group_limits__free(struct group_limits *limits);
/* Of the group that a process is in; path: as in its /proc/PID/cgroup, whole. 0, -ESRCH, -ENOMEM,
 * -EAGAIN: it was moved meanwhile. */
int group_limits__get(struct group_limits *limits, const char *path, uint32_t pid, uint64_t now_ns,
		      struct group_limit *out);

#endif
