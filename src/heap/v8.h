/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_V8_H
#define MEMDRIFT_HEAP_V8_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * V8's chunks begin at multiples of 256 kB. As node up to 20 has them (V8 before 12;
 * src/heap/basic-memory-chunk.h) each begins with its size, and holds where its area begins and
 * ends, which heap it is of and, as what it was reserved as, its own address and size again. What
 * of them is in use is not told: new space counts whole pages.
 *
 * Newer versions keep all that outside of the chunk. Those with a cage for compressed pointers
 * (Chromium) leave the chunk's number within its 4 GiB in its second word; three of them that are
 * right prove the cage, and what is mapped in it is V8's. Those without (node from 22 on) are not
 * recognised.
 */

/* 0, -ESRCH, -EACCES, -ENOMEM. */
int v8__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
