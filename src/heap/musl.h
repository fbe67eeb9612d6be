/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_MUSL_H
#define MEMDRIFT_HEAP_MUSL_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * musl's mallocng (since 1.2.1), from its own list of areas: malloc_context lies in libc's data and
 * begins with a secret that every area begins with as well (src/malloc/mallocng/meta.h). A group of
 * slots is believed when it points back at its meta. Nothing is claimed without that.
 *
 * The older malloc (up to 1.2.0) has no such context. Where the program's malloc is musl's and
 * there is none, its mmapped chunks are known by their headers ({16, length - 16} in the second 16
 * bytes of a mapping) and the brk area is its own, because musl has no other use for it.
 */

/* 0, -ESRCH, -EACCES, -ENOMEM. */
int musl__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
