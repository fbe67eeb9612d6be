/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_LOOK_H
#define MEMDRIFT_HEAP_GLIBC_LOOK_H

#include "heap/glibc_walk.h"

/* One walk over all arenas. */
struct glibc_look {
	struct glibc_map map;
	struct glibc_tally *arenas; /* one for each of map.states; owned */
	uint64_t *system_after;     /* system_bytes of each behind the walk; owned */
	struct glibc_cells cells;
	uint64_t in_use_bytes; /* of all */
	uint64_t unwalked_bytes, torn_bytes;
	uint64_t doubtful_bytes; /* looked cached, but no list led to them */
	bool stood_still;        /* no arena and no thread cache was used while it was walked */
	bool learnt;             /* something that it would have needed from its start on */
	uint64_t wall_ns;
};

/*
 * Walks all arenas once. layout and tcaches keep what was learnt for the next look. 0; -ENOENT
 * with *reason, -EAGAIN (nothing consistent), -ESRCH, -ENOMEM.
 */
int glibc_look__take(struct subject *subject, uint32_t bytes_percent, struct glibc_layout *layout,
		     struct glibc_tcaches *tcaches, struct glibc_look *out, const char **reason);
void glibc_look__free(struct glibc_look *look);

#endif
