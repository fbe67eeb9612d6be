/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_REGIONS_H
#define MEMDRIFT_HEAP_GLIBC_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/glibc_arenas.h"
#include "census/malloc_par.h"
#include "census/subject.h"
#include "heap/glibc_layout.h"

/* A stretch of chunks side by side: a heap of an arena, or the main arena's part of the brk area.
 */
struct glibc_region {
	uint64_t base;  /* where its memory begins: the heap's header, or start */
	uint64_t start; /* its first chunk, or where that is looked for */
	uint64_t end;   /* behind its last chunk */
	uint64_t limit; /* where what is mapped for it ends: no word of the process moves that */
	size_t arena;   /* index in states */
	bool is_main;
};

/* Where the memory of a process's arenas lies, as it was at one moment. */
struct glibc_map {
	struct glibc_arenas arenas; /* heaps, ring, limit */
	struct malloc_par par;
	bool has_par;
	struct glibc_layout layout;
	struct glibc_state *states; /* main arena first if it is known, then by address; owned */
	size_t state_count;
	struct glibc_region *regions; /* by address; owned */
	size_t region_count;
};

/* 0; -ENOENT with *reason: malloc is not glibc's or was never used; -ESRCH, -ENOMEM, and
 * -EAGAIN when no arena could be read consistently. */
int glibc_map__read(struct subject *subject, struct glibc_map *out, const char **reason);
void glibc_map__free(struct glibc_map *map);

/* Where the region says to end now, which may lie above its limit; its end as it was when that
 * cannot be told. */
uint64_t glibc_map__region_end(const struct glibc_map *map, const struct glibc_region *region,
			       struct pagemap *pm);

/* The main arena's region; false when its top, or what it says of that, cannot be. */
bool glibc_map__main_region(const struct glibc_map *map, const struct subject *subject,
			    struct glibc_region *region);

/* The limit of a region with these mappings. */
uint64_t glibc_map__limit(const struct glibc_map *map, const struct glibc_region *region,
			  const struct maps_entry *entries, size_t n);

#endif
