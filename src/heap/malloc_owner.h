/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_MALLOC_OWNER_H
#define MEMDRIFT_HEAP_MALLOC_OWNER_H

#include <stddef.h>
#include <stdint.h>

#include "heap/allocators.h"
#include "probe/allocator.h"

/* Whose malloc a program calls: of the objects that define one the first in the order in which the
 * loader looks; a static program's own. */

/* An object of a process with allocator functions in it. */
struct malloc_object {
	char *path;     /* owned */
	uint64_t start; /* of a mapping of it */
	const struct allocator_object *object;
};

/* The one of these; NULL when none defines malloc or the order cannot be told. */
const struct malloc_object *malloc_owner__find(uint32_t pid, const struct malloc_object *objects,
					       size_t count);

/* Fills malloc_owner and malloc_object of out; both stay empty when that cannot be told. 0 or
 * -ENOMEM. */
int malloc_owner__read(uint32_t pid, struct allocators *out);

#endif
