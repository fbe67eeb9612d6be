/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_FILE_H
#define MEMDRIFT_CENSUS_CGROUP_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The small files of a control group. What cannot be read or is no such text is unknown: -1. */

/* No limit: "max" in version 2; in version 1 whatever is 2^62 or more (the kernel's own is
 * LONG_MAX rounded down to a page). */
#define CGROUP_NO_LIMIT INT64_MAX

/* memory.stat has some 60 lines of version 2, twice 40 of version 1. */
#define CGROUP_TEXT_MAX 16384

/* At most size - 1 bytes of a regular file, whole lines when it is longer, and a NUL. Their number
 * or a negative errno, buf then being empty. */
ssize_t cgroup_file__read(const char *dir, const char *name, char *buf, size_t size);
/* A number that is never negative, CGROUP_NO_LIMIT, or -1. */
int64_t cgroup_file__bytes(const char *dir, const char *name);
/* The value behind "key " at the start of a line, as above. */
int64_t cgroup_text__value(const char *text, const char *key);

/* CPUs that one group's quota comes to: version 2's cpu.max, version 1's cpu.cfs_quota_us over
 * cpu.cfs_period_us. 0: none, or unknown. */
double cgroup_file__cpu_quota(const char *dir, int version);
/* CPUs of a list such as "0-3,8"; 0: none, or unknown. */
int cgroup_file__cpus(const char *dir, const char *name);

#endif
