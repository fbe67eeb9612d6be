/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_TABLE_H
#define MEMDRIFT_UNWIND_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "memdrift/unwind.h"
#include "probe/elf_object.h"
#include "unwind/unwind_rules.h"

/*
 * The rows of one object and kind as they go into the pool, before they have a place there: pages
 * of the file with `block` counting the table's own row blocks from 0.
 */
struct unwind_table {
	uint32_t first_page, page_count;
	struct unwind_page *pages;
	union unwind_block *blocks; /* of rows */
	uint32_t block_count;
	/* Counts: */
	uint32_t row_count;    /* in the blocks: a page begins with a copy of its rule */
	uint64_t frame_rows;   /* before they were cut into pages, after pruning */
	uint64_t rows_dropped; /* beyond what a block holds: unknown */
	uint64_t unknown_rows, bad_entries, overlaps;
	uint64_t build_ns;
};

/* Code of one object, of all its segments: 1 GiB, eight times libxul's or Chromium's. */
#define UNWIND_TABLE_PAGES_MAX (1u << 18)

/*
 * Builds the table of an open object. 0; -ENODATA when one rule, frame pointers, holds all over
 * it: there is no frame information and no need of a table; -E2BIG, -EINVAL for a file that makes
 * no sense, -ENOMEM, or what reading gave. The caller clears it, also after an error.
 */
int unwind_table__build(struct unwind_table *table, struct elf_object *obj,
			enum unwind_table_kind kind, struct unwind_rules *rules);
void unwind_table__clear(struct unwind_table *table);

/* Blocks of the pool that hold its index, one after another. */
uint32_t unwind_table__index_blocks(const struct unwind_table *table);

#endif
