/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_PYMALLOC_H
#define MEMDRIFT_HEAP_PYMALLOC_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * CPython's allocator of small objects (Objects/obmalloc.c), in 3.x: a table of arenas to which a
 * variable in the interpreter's data points. Each arena (1 MiB of 16 kB pools since 3.10, 256 kB of
 * 4 kB pools before) holds pools that know the index of their arena in the table: that is what is
 * believed. A subinterpreter's arenas since 3.12 have a table of their own and are not found.
 */

/* 0, -ESRCH, -EACCES, -ENOMEM. */
int pymalloc__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
