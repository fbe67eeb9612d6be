/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_PARTITION_ALLOC_H
#define MEMDRIFT_HEAP_PARTITION_ALLOC_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"

/*
 * Chromium's PartitionAlloc: super pages of 2 MiB whose first 16 kB are closed but for, perhaps,
 * one page, and which are told by that (partition_alloc/partition_alloc_constants.h). Their
 * metadata page lies in the closed part or, in newer versions, in mappings of single pages 2 MiB
 * apart; it begins with the address of the root, in the program's data, and names slots in the
 * super page. Super pages are believed as soon as one such page names a slot in one of them; no
 * less than three.
 */

/* 0, -ESRCH, -EACCES, -ENOMEM, -ETIME, -EDQUOT. */
int partition_alloc__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
