/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_MOUNTS_H
#define MEMDRIFT_CENSUS_CGROUP_MOUNTS_H

#include <stddef.h>
#include <stdio.h>

/* Where the control-group hierarchies are mounted, in the order in which groups are looked for:
 * version 2, then of version 1 memory, name=systemd, and the others. */
struct cgroup_mounts {
	char **paths;
	size_t count;
};

/* Version 1 has 14 controllers and named hierarchies, containers show some of them twice. */
#define CGROUP_MOUNTS_MAX 256

/* From /proc/self/mountinfo. 0 or a negative errno. */
int cgroup_mounts__read(struct cgroup_mounts *mounts);
/* From a text of that form. */
int cgroup_mounts__parse(FILE *mountinfo, struct cgroup_mounts *mounts);
void cgroup_mounts__free(struct cgroup_mounts *mounts);

#endif
