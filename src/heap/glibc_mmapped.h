/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_MMAPPED_H
#define MEMDRIFT_HEAP_GLIBC_MMAPPED_H

#include "heap/glibc_census.h"
#include "heap/glibc_regions.h"

/*
 * Chunks that malloc gave a mapping of their own: found by their headers at the starts of pages of
 * anonymous memory that nobody else claims, checked against malloc's own count and sum (mp_), and
 * claimed. Fills the members mmapped* of *out. 0, -ESRCH, -ENOMEM.
 */
int glibc_mmapped__read(struct subject *subject, const struct glibc_map *map, struct claims *claims,
			struct glibc_census *out);

#endif
