/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_IMAGES_H
#define MEMDRIFT_UNWIND_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/unwind.h"
#include "unwind/unwind_pool.h"

/*
 * Which objects the images hold. The kernel's side gives images out and takes them back by itself,
 * so what each one holds is found by looking at them all from time to time; until then nothing
 * that one of them held is let go.
 */
struct image_hold {
	uint32_t generation, count; /* of the image when it was looked at */
	uint32_t object_count;
	uint32_t *objects; /* each held once */
};

struct images {
	struct unwind_image *images; /* UNWIND_IMAGES_MAX, as the kernel's side sees them */
	struct unwind_pool *pool;
	struct image_hold holds[UNWIND_IMAGES_MAX];
};

/* images stays the caller's, and so does the pool. */
void images__init(struct images *all, struct unwind_image *images, struct unwind_pool *pool);
void images__clear(struct images *all);

/*
 * Fills an image that nobody is on; its objects are held from now on, before anybody is moved to
 * it. 0 or -ENOMEM (it is not to be used).
 */
int images__fill(struct images *all, uint32_t number, const struct unwind_mapping *mappings,
		 uint32_t count);
/* Whether it has just these mappings. */
bool images__equal(const struct images *all, uint32_t number, const struct unwind_mapping *mappings,
		   uint32_t count);
/* Looks at all of them: holds what those need that the kernel's side has made, lets go of what
 * nobody is on any more. */
void images__sweep(struct images *all);

#endif
