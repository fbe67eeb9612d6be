/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_MOUNTS_H
#define MEMDRIFT_CENSUS_CGROUP_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A mounted control-group hierarchy, or a part of one. */
struct cgroup_mount {
	char *path; /* where it can be opened */
	/* Which group is seen there, named as from the reader's cgroup namespace: "/", "/docker/x",
	 * and "/../.." for one above the namespace's own root. */
	char *root;
	char *options; /* of the file system: in version 1 they name the controllers */
	int version;   /* 1 or 2 */
};

/* All of them, in the order in which groups are looked for: version 2, then of version 1 memory,
 * name=systemd, and the others. */
struct cgroup_mounts {
	struct cgroup_mount *list;
	size_t count;
};

/* Version 1 has 14 controllers and named hierarchies, containers show some of them twice. */
#define CGROUP_MOUNTS_MAX 256

/* Our own mounts. 0 or a negative errno. */
int cgroup_mounts__read(struct cgroup_mounts *mounts);
/* Those of process 1: in a container that shares the host's processes these are the host's,
 * reached through /proc/1/root. 0 or a negative errno. */
int cgroup_mounts__read_init(struct cgroup_mounts *mounts);
/* From a text as of /proc/PID/mountinfo; what it calls /x is at PREFIX/x. */
int cgroup_mounts__parse(FILE *mountinfo, const char *prefix, struct cgroup_mounts *mounts);
void cgroup_mounts__free(struct cgroup_mounts *mounts);

/* Of version 1 and for that controller ("memory"). */
bool cgroup_mount__controls(const struct cgroup_mount *mount, const char *controller);

/* "a,b,c" has the word; the list ends at a NUL, a colon or a line break. */
bool cgroup_list__has(const char *list, const char *word);

#endif
