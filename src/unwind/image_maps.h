/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_IMAGE_MAPS_H
#define MEMDRIFT_UNWIND_IMAGE_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "model/space.h"
#include "unwind/unwind_pool.h"

/* The code of a process as an image has it. Its objects are held while it is at hand. */
struct image_maps {
	struct unwind_mapping mappings[UNWIND_MAPPINGS_MAX];
	uint32_t count;
};

/* Where the objects come from. */
struct image_source {
	struct unwind_pool *pool;
	/* Called for each file that has an object, with its descriptor. */
	void (*opened)(void *ctx, int fd, uint32_t object);
	void *ctx;
};

/*
 * Takes the executable ones of a process's maps, and has their tables built. Those beyond
 * UNWIND_MAPPINGS_MAX stay unknown: walks end there.
 */
void image_maps__fill(struct image_maps *maps, const struct image_source *source, uint32_t pid,
		      const struct maps_entry *entries, size_t n);
void image_maps__release(struct image_maps *maps, struct unwind_pool *pool);

#endif
