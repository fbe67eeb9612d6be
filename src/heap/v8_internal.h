/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_V8_INTERNAL_H
#define MEMDRIFT_HEAP_V8_INTERNAL_H

/* Shared by v8.c and v8_cpp.c. */

#include "census/claims.h"
#include "census/subject.h"

#define V8_CAGE_BYTES (4ull << 30)

/* Claims what is open of a cage. 0 or -ENOMEM. */
int v8_cage__claim(struct subject *subject, struct claims *claims, uint64_t base, const char *how);

/*
 * V8's heap of C++ objects (cppgc, Blink's garbage collector), in a cage of its own: pages of 128
 * kB whose first words are the heap that they are of and the space in it
 * (src/heap/cppgc/heap-page.h). To be asked only where there is a V8. 0, -ESRCH, -EACCES,
 * -ENOMEM, -ETIME, -EDQUOT.
 */
int v8_cpp__read(struct subject *subject, struct claims *claims);

#endif
