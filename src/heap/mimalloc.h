/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_MIMALLOC_H
#define MEMDRIFT_HEAP_MIMALLOC_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * mimalloc 2 (2.0 to 2.2): segments at multiples of 32 MiB. The head of each holds its own address
 * exclusive-or a secret of the process (segment.c, _mi_ptr_cookie); the secret itself lies in the
 * main heap's structure, in the data of the object that mimalloc is part of. Both together are
 * proof. Where in the head the cookie stands differs between versions, and is found with it.
 *
 * Once segments are proven, mappings at the addresses that only mimalloc asks for are its own, too
 * (os.c, hints from 2 to 30 TiB).
 */

/*
 * mimalloc 3: arenas of slices of 64 kB. An arena begins with its own address and size, and a page
 * in it names the arena and its place there (arena.c, types.h: mi_memid_t).
 */

/* Either. 0, -ESRCH, -EACCES, -ENOMEM, -ETIME, -EDQUOT. */
int mimalloc3__read(struct subject *subject, struct claims *claims, struct allocators *out);
int mimalloc__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
