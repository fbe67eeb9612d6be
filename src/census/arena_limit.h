/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_ARENA_LIMIT_H
#define MEMDRIFT_CENSUS_ARENA_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "census/malloc_par.h"

/*
 * How many arenas glibc may make, main arena included, and where that comes from:
 * "MALLOC_ARENA_MAX=2 (environment)", "arena_max=3 (read from the process)",
 * "8 x 2 online CPUs", "arena_test=20 (read from the process) + 1".
 * glibc 2.35 to 2.38 as released count the CPUs of the affinity mask instead of those online;
 * distributions have changed that (Debian's 2.36 did), so a version tells nothing.
 */

/* par: read from the process, or NULL when that was not possible; malloc_arena_max and tunables:
 * the variables MALLOC_ARENA_MAX and GLIBC_TUNABLES at its start, NULL when not set. Returns the
 * limit; source is NUL-terminated and cut to size. */
int64_t arena_limit__decide(const struct malloc_par *par, const char *malloc_arena_max,
			    const char *tunables, int cpus_online, char *source, size_t size);

#endif
