/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_HEAP_USE_H
#define MEMDRIFT_CENSUS_HEAP_USE_H

#include <stdint.h>

#include "model/process.h"

/*
 * Walks glibc's heaps in a process, for at most time_ns, and fills all of *out but t_s.
 * start_ticks: its identity. 0, -ESRCH (it ended, or its pid is another's), -ENOENT (no malloc of
 * glibc's in use), -EACCES, -ENOMEM: then *out is as it was.
 */
int heap_use__read(uint32_t pid, uint64_t start_ticks, uint64_t time_ns, struct heap_use *out);

#endif
