/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_TCMALLOC_H
#define MEMDRIFT_HEAP_TCMALLOC_H

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"
#include "heap/allocators_tree.h"

/*
 * gperftools' tcmalloc without symbols: a tree of pages (pagemap.h, TCMalloc_PageMap2<35>) whose
 * descriptors are spans (span.h). Every page that it got from the system belongs to a span, and the
 * page heap keeps the sums of them (page_heap.h, PageHeap::Stats): they are the check.
 */
extern const struct tree_kind tcmalloc_kind;

/* Claims the spans of a tree, and the brk area when spans lie in it. 0, -ESRCH, -EACCES, -ENOMEM.
 */
int tcmalloc__read(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct allocators *out);

#endif
