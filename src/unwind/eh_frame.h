/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_EH_FRAME_H
#define MEMDRIFT_UNWIND_EH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memdrift/unwind.h"
#include "unwind/unwind_rules.h"

/*
 * Call frame information (.eh_frame as the LSB's Core specification has it, 10.6, and .debug_frame
 * of DWARF 5, 6.4) as rows: from which address on which rule holds. The section is anyone's: what
 * it says too much of is cut off and counted, what does not add up gives UNWIND_UNKNOWN.
 */

/* A rule holds from here to the next row. */
struct frame_row {
	uint64_t vaddr;
	struct unwind_rule rule;
};

/*
 * Bounds. libLLVM-14 (110 MB) has 94,994 descriptions and 817,693 rows of 11 MB; Chromium some
 * eight times that. With these the descriptions take 64 MiB at most and the rows 128.
 */
#define FRAME_SECTION_MAX_BYTES (128u << 20)
#define FRAME_FDES_MAX          (2u << 20)
#define FRAME_ROWS_MAX          (8u << 20)

/* What an address that no description covers gets: hand-written code, Go's, musl's. */
extern const struct unwind_rule frame_gap_rule;

/* A range of addresses, half open. */
struct frame_range {
	uint64_t start, end;
};

struct frame_section {
	const uint8_t *bytes;
	size_t size;
	uint64_t vaddr; /* of the first byte: what pcrel pointers count from */
	bool is_debug_frame;
	bool ends_at_zero; /* its true size is not known: a length of 0 ends it */
};

struct frame_rows {
	struct frame_row *rows; /* by address, each another one; neighbours have different rules */
	size_t count, capacity;
	/* Counts, for people: */
	uint64_t fdes;
	uint64_t bad_entries;  /* CIEs and FDEs that make no sense or lie outside the code */
	uint64_t overlaps;     /* FDEs that share addresses with another: unknown there */
	uint64_t unknown_rows; /* rows of FDEs whose rule cannot be expressed */
	bool cut;              /* a bound was met: what is left is unknown */
};

/*
 * Appends the rows of a section for the code ranges (sorted, not overlapping; addresses outside
 * them get no row). Each range begins with a row of its own. 0, or -ENOMEM; no damage is an error.
 * The caller frees with frame_rows__clear() also after an error.
 */
int frame_rows__read(struct frame_rows *rows, const struct frame_section *section,
		     const struct frame_range *code, size_t code_count);
/* Appends one row; one with the rule of the row before it is left out. 0, -ENOMEM, or -E2BIG at
 * FRAME_ROWS_MAX. */
int frame_rows__append(struct frame_rows *rows, uint64_t vaddr, struct unwind_rule rule);
/* The rule at an address, or NULL before the first row. */
const struct unwind_rule *frame_rows__find(const struct frame_rows *rows, uint64_t vaddr);
void frame_rows__clear(struct frame_rows *rows);

#endif
