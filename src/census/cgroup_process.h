/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_PROCESS_H
#define MEMDRIFT_CENSUS_CGROUP_PROCESS_H

#include "census/cgroup_memory.h"

/*
 * The processes of the group at dir, and of those below unless stat.flat: sets processes,
 * process_count, unread_count and unread_err, which are 0 before. 0, or with one message a
 * negative errno; what was read till then is in memory->processes either way.
 */
int cgroup_processes__read(const char *dir, struct cgroup_memory *memory);

#endif
