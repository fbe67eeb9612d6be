// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_cells.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int glibc_cells__add(struct glibc_cells *cells, uint64_t number, uint64_t in_use_bytes)
{
	if (cells->count == GLIBC_CELLS_MAX)
		return 0;
	if (cells->count == cells->room) {
		size_t room = cells->room ? 2 * cells->room : 256;
		struct glibc_cell *items = reallocarray(cells->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		cells->items = items;
		cells->room = room;
	}
	cells->items[cells->count++] =
		(struct glibc_cell){.number = number, .in_use_bytes = in_use_bytes};
	return 0;
}

void glibc_cells__free(struct glibc_cells *cells)
{
	free(cells->items);
	memset(cells, 0, sizeof(*cells));
}

/* Takes from both lists what is there for the lowest number left; a cell that only one of them has
 * was empty in the other. */
double glibc_cells__distance(const struct glibc_cells *a, const struct glibc_cells *b)
{
	size_t i = 0, k = 0;
	double sum = 0;

	while (i < a->count || k < b->count) {
		uint64_t next_a = i < a->count ? a->items[i].number : UINT64_MAX;
		uint64_t next_b = k < b->count ? b->items[k].number : UINT64_MAX;
		double difference = 0;

		if (next_a <= next_b)
			difference += (double)a->items[i++].in_use_bytes;
		if (next_b <= next_a)
			difference -= (double)b->items[k++].in_use_bytes;
		sum += difference * difference;
	}
	return sqrt(sum);
}
