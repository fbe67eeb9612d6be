// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/pool_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int pool_blocks__init(struct pool_blocks *blocks, uint32_t count)
{
	*blocks = (struct pool_blocks){.used = calloc(count ? count : 1, 1), .count = count};
	if (!blocks->used)
		return -ENOMEM;
	blocks->used[0] = 1; /* UNWIND_NO_TABLE */
	blocks->free_count = count ? count - 1 : 0;
	return 0;
}

void pool_blocks__clear(struct pool_blocks *blocks)
{
	free(blocks->used);
	*blocks = (struct pool_blocks){0};
}

/* The first of `count` free ones in a row, or 0. */
static uint32_t find_run(const struct pool_blocks *blocks, uint32_t count)
{
	uint32_t length = 0;

	for (uint32_t i = 1; i < blocks->count; i++) {
		length = blocks->used[i] ? 0 : length + 1;
		if (length == count)
			return i - count + 1;
	}
	return 0;
}

int pool_blocks__take(struct pool_blocks *blocks, uint32_t index_count, uint32_t row_count,
		      struct pool_place *place)
{
	uint32_t first, at = blocks->count;

	*place = (struct pool_place){0};
	if (index_count > blocks->free_count || row_count > blocks->free_count - index_count)
		return -ENOSPC;
	first = find_run(blocks, index_count);
	if (!first)
		return -ENOSPC;
	place->rows = calloc(row_count ? row_count : 1, sizeof(place->rows[0]));
	if (!place->rows)
		return -ENOMEM;
	place->index = first;
	place->index_count = index_count;
	memset(&blocks->used[first], 1, index_count);
	/* There are enough: both together were compared with what is free. */
	while (place->row_count < row_count) {
		if (blocks->used[--at])
			continue;
		blocks->used[at] = 1;
		place->rows[place->row_count++] = at;
	}
	blocks->free_count -= index_count + row_count;
	return 0;
}

void pool_blocks__give_back(struct pool_blocks *blocks, struct pool_place *place)
{
	memset(&blocks->used[place->index], 0, place->index_count);
	for (uint32_t i = 0; i < place->row_count; i++)
		blocks->used[place->rows[i]] = 0;
	blocks->free_count += pool_place__blocks(place);
	free(place->rows);
	*place = (struct pool_place){0};
}
