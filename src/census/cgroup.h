/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_H
#define MEMDRIFT_CENSUS_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Processes of a control group and of the groups below it. `path` is a directory under
 * /sys/fs/cgroup (of version 2, or of any hierarchy of version 1), or a group's name as in
 * /proc/PID/cgroup, with or without its leading slash; a name is looked for in version 2, then in
 * the memory and systemd hierarchies of version 1, then in the others, and the first hierarchy
 * in which it has a process counts.
 *
 * fn gets each pid once, in order; it returns 0 to go on, anything else to stop, which is then
 * returned. Processes outside our pid namespace cannot be named and are passed over.
 *
 * 0, or with one message: -ENOENT (no such group), -EINVAL (not a control group), -EACCES, -ENOMEM.
 */
int cgroup__each_process(const char *path, int (*fn)(void *ctx, uint32_t pid), void *ctx);

/* The same without the groups below it. */
int cgroup__each_own_process(const char *path, int (*fn)(void *ctx, uint32_t pid), void *ctx);

/* A control group that forks without end is read up to this many processes. */
#define CGROUP_PROCESSES_MAX (4u << 20)

#endif
