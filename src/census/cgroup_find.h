/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_FIND_H
#define MEMDRIFT_CENSUS_CGROUP_FIND_H

#include <stdbool.h>

#include "census/cgroup_facts.h"
#include "census/cgroup_place.h"

/* A group that a user named, where its memory is accounted. */
struct cgroup_found {
	struct cgroup_place memory;
	struct cgroup_facts facts;
	bool is_root; /* the kernel's own root, not that of a container's namespace */
};

/*
 * `path` as in cgroup_memory__read, looked for in our own mounts and, from a container, in those of
 * process 1. 0, or with one message: -ENOENT, -ENODEV, -ENOMEM; there is then nothing to free.
 */
int cgroup_find__group(const char *path, struct cgroup_found *out);
void cgroup_found__free(struct cgroup_found *found);

#endif
