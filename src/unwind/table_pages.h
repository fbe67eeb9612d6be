/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_TABLE_PAGES_H
#define MEMDRIFT_UNWIND_TABLE_PAGES_H

/* Rows by address cut into pages of the file, for unwind_table.c alone. */

#include "unwind/eh_frame.h"
#include "unwind/unwind_table.h"

/* Linkers make one, packers and profile-guided layouts a few. */
#define CODE_SEGMENTS_MAX 32

struct code_map {
	struct elf_code_segment segments[CODE_SEGMENTS_MAX]; /* by address, not overlapping */
	size_t count;
};

/* 0, -E2BIG beyond UNWIND_TABLE_PAGES_MAX, or -ENOMEM. Where segments share bytes of the file the
 * first one's rows are taken. */
int table_pages__fill(struct unwind_table *table, const struct frame_rows *rows,
		      const struct code_map *map, struct unwind_rules *rules);

#endif
