/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_ALLOCATORS_REPORT_H
#define MEMDRIFT_HEAP_ALLOCATORS_REPORT_H

#include "heap/allocators.h"

/* Adds one to others of out, or its bytes to the one of that name; beyond ALLOCATORS_MAX it is left
 * out. */
void allocators__add(struct allocators *out, const struct allocator_facts *facts);

#endif
