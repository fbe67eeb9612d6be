/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_LINK_MAP_H
#define MEMDRIFT_CENSUS_LINK_MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The objects of a running program in the order in which its loader looks for a name: the program,
 * what was preloaded, what it needs. Read from the loader's list in the process's memory
 * (DT_DEBUG, struct r_debug of <link.h>; glibc and musl both keep it).
 */

/* Chromium has some 200; a list that is longer runs in a circle or is not one. */
#define LINK_MAP_MAX 4096

/*
 * The address of each object's dynamic section, which lies in a mapping of its file; at most max
 * of them. Their number; 0 for a static program; -ESRCH, -EACCES, or -EINVAL when what is there is
 * no such list (yet: the loader makes it at the start).
 */
int link_map__read(uint32_t pid, uint64_t *dynamic, size_t max);

#endif
