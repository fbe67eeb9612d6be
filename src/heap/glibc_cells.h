/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_CELLS_H
#define MEMDRIFT_HEAP_GLIBC_CELLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What was in use in each 256 KiB of the heaps: two walks over a process that runs differ cell by
 * cell, and by how much tells how far the sum of one can be from the truth.
 */
#define GLIBC_CELL_SHIFT 18

struct glibc_cell {
	uint64_t number; /* address >> GLIBC_CELL_SHIFT */
	uint64_t in_use_bytes;
};

struct glibc_cells {
	struct glibc_cell *items; /* by number */
	size_t count, room;
};

/* 16 MB of them: heaps of 256 GiB. Beyond that nothing is kept. */
#define GLIBC_CELLS_MAX (1u << 20)

/* 0 or -ENOMEM. */
int glibc_cells__add(struct glibc_cells *cells, uint64_t number, uint64_t in_use_bytes);
void glibc_cells__free(struct glibc_cells *cells);

/* The root of the sum of squares of the differences, in bytes. */
double glibc_cells__distance(const struct glibc_cells *a, const struct glibc_cells *b);

#endif
