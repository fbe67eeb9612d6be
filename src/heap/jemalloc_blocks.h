/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_JEMALLOC_BLOCKS_H
#define MEMDRIFT_HEAP_JEMALLOC_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "census/claims.h"
#include "census/subject.h"

/*
 * The blocks in which jemalloc keeps its own tables: known by what is known to lie in them. Each
 * begins at a multiple of 2 MiB with its size, which is one too (base.c, base_block_alloc).
 */

/* They grow with their number: the hundredth of one arena would be of terabytes; arenas have at
 * least one each. */
#define JEMALLOC_BLOCKS_MAX 4096u

struct jemalloc_blocks {
	uint64_t start[JEMALLOC_BLOCKS_MAX];
	uint64_t end[JEMALLOC_BLOCKS_MAX];
	size_t count;
	size_t near; /* the one that was found last */
};

/* The block that holds addr is one of them from now on. 0, also when no block does, or -ESRCH,
 * -EACCES, -ETIME, -EDQUOT. */
int jemalloc_blocks__note(struct jemalloc_blocks *blocks, struct subject *subject, uint64_t addr);

/* Claims all of them; *bytes is their address space. 0 or -ENOMEM. */
int jemalloc_blocks__claim(const struct jemalloc_blocks *blocks, struct claims *claims,
			   uint64_t *bytes);

#endif
