/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_PLACE_H
#define MEMDRIFT_CENSUS_CGROUP_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "census/cgroup_mounts.h"

/* Groups nest no deeper than this in practice (cgroup.max.depth). */
#define CGROUP_DEPTH_MAX 256

/*
 * Where the group of a controller is. On a hybrid host each controller has a place of its own: in
 * its hierarchy of version 1, or in version 2.
 */
struct cgroup_place {
	char *path;  /* the group's name as in /proc/PID/cgroup, raw; owned; NULL: none */
	int version; /* 1 or 2; 0: there is no such controller for it */
	char *dir;   /* the group's directory; owned; NULL: not visible in these mounts */
	size_t top;  /* dir's first so many bytes are the mount point: nothing above is visible */
	char *root;  /* the name of the group at the mount point; owned; NULL with dir */
};

/*
 * The place of a controller ("memory", "cpu", "cpuset") for a process, from the text of its
 * /proc/PID/cgroup. 0 (also when there is none: *out is then without version or dir) or -ENOMEM.
 */
int cgroup_place__find(const char *proc_cgroup, const struct cgroup_mounts *mounts,
		       const char *controller, struct cgroup_place *out);
/* The same for a group of which only the name is known. */
int cgroup_place__named(const char *name, const struct cgroup_mounts *mounts,
			const char *controller, struct cgroup_place *out);
/*
 * The name of the group whose directory this is (absolute, without links or ".."); in memory that
 * the caller frees, NULL when it lies in none of the mounts or memory is out.
 */
char *cgroup_place__name_of(const char *dir, const struct cgroup_mounts *mounts);

/* From a directory to the one above, in place; false at the mount point. */
bool cgroup_place__up(const struct cgroup_place *place, char *dir);
/* The name of the group at dir, which is place->dir or above it; the caller frees it, NULL when
 * memory is out. */
char *cgroup_place__name_at(const struct cgroup_place *place, const char *dir);

void cgroup_place__free(struct cgroup_place *place);

#endif
