/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_UNIT_UNWIND_LOOKUP_H
#define TESTS_UNIT_UNWIND_LOOKUP_H

/* The rule at a byte of a file, as a walk finds it: page, rows, rule. */

#include "memdrift/unwind.h"

static inline uint16_t find_in_page(const union unwind_block *blocks, struct unwind_page page,
				    uint32_t byte)
{
	const struct unwind_row *rows = blocks[page.block].rows + page.first;
	uint16_t rule = 0;

	for (uint16_t i = 0; i < page.count && rows[i].from <= byte; i++)
		rule = rows[i].rule;
	return rule;
}

#endif
