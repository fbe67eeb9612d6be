/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_GLIBC_RING_H
#define MEMDRIFT_CENSUS_GLIBC_RING_H

#include <stdint.h>

#include "census/glibc_arenas.h"

/*
 * All arenas of a process are linked into a ring by malloc_state.next, the main arena among them.
 * Follows it from a thread arena, or, when there is none, looks for a main arena that is linked
 * with itself.
 *
 * Number of arenas in the ring, main arena included, when it closes and every member is known to
 * be one; *main_arena is its address, *bins_offset where malloc_state has its bins. -ENOENT when no
 * ring was found, -ESRCH.
 */
int64_t glibc_ring__follow(struct pagemap *pm, const struct maps_entry *entries, size_t n,
			   const struct glibc_arenas *arenas, uint64_t *main_arena,
			   uint16_t *bins_offset);

#endif
