/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_POOL_BLOCKS_H
#define MEMDRIFT_UNWIND_POOL_BLOCKS_H

#include <stdint.h>

#include "memdrift/unwind.h"

/* Which blocks of the pool are free. Index blocks are wanted in a row and come from the low end,
 * row blocks one by one from the high end. */
struct pool_blocks {
	uint8_t *used; /* one for each */
	uint32_t count, free_count;
};

/* The blocks of one table. */
struct pool_place {
	uint32_t index, index_count; /* UNWIND_NO_TABLE: none */
	uint32_t *rows;
	uint32_t row_count;
};

/* count blocks, of which the first is never given out. 0 or -ENOMEM. */
int pool_blocks__init(struct pool_blocks *blocks, uint32_t count);
void pool_blocks__clear(struct pool_blocks *blocks);
/* 0, -ENOSPC, or -ENOMEM; nothing is taken then. */
int pool_blocks__take(struct pool_blocks *blocks, uint32_t index_count, uint32_t row_count,
		      struct pool_place *place);
void pool_blocks__give_back(struct pool_blocks *blocks, struct pool_place *place);

static inline uint32_t pool_place__blocks(const struct pool_place *place)
{
	return place->index_count + place->row_count;
}

#endif
