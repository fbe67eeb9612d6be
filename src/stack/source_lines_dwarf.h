/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_SOURCE_LINES_DWARF_H
#define MEMDRIFT_STACK_SOURCE_LINES_DWARF_H

/* Shared by source_lines_child.c (files) and source_lines_dwarf.c (units); no one else. */

#include <elfutils/libdw.h>
#include <stdbool.h>

#include "stack/source_lines_internal.h"

/* The functions around one place, outermost first. */
struct place {
	size_t at;
	unsigned int count;
	Dwarf_Die functions[SOURCE_LINES_MAX];
};

struct lines_reading {
	const struct lines_request *request;
	bool *done;           /* by place */
	bool *in_cu;          /* by place: the unit at hand claims it */
	struct place *places; /* of the unit at hand, by address */
	size_t count;
	int to;
};

/* Answers for the places in the unit. False when nobody reads the answers, or memory is out. */
bool source_lines__read_unit(struct lines_reading *reading, Dwarf_Die *unit);

#endif
