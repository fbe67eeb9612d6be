/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_V8_H
#define MEMDRIFT_HEAP_V8_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * V8's chunks, as node up to 20 has them (V8 before 12; src/heap/basic-memory-chunk.h): each begins
 * at a multiple of 256 kB with its size, and holds where its area begins and ends and, as what it
 * was reserved as, its own address and size again. All chunks of a heap name that heap. What of
 * them is in use is not told: new space counts whole pages.
 *
 * Newer versions keep all that outside of the chunk; theirs are not recognised.
 */

/* 0, -ESRCH, -EACCES, -ENOMEM. */
int v8__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
