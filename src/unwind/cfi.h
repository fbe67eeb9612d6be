/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_CFI_H
#define MEMDRIFT_UNWIND_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memdrift/unwind.h"
#include "unwind/eh_reader.h"

/*
 * Programs of call frame instructions (DWARF 5, 6.4.2), run for the three registers that matter:
 * rbp, rsp and the return address.
 */

/* psABI x86-64, figure 3.36: numbers of registers in DWARF. */
enum { CFI_RBP = 6, CFI_RSP = 7, CFI_RA = 16 };

enum cfi_where {
	CFI_UNSAID,
	CFI_UNDEFINED,
	CFI_SAME,
	CFI_OFFSET,     /* at CFA + offset */
	CFI_EXPRESSION, /* at what the expression gives */
	CFI_VALUE,      /* CFA + offset itself */
	CFI_OTHER,      /* in another register, or what an expression gives: not expressible */
};

struct cfi_register {
	enum cfi_where where;
	int64_t offset;
	struct eh_span expression;
};

struct cfi_state {
	bool cfa_is_expression;
	uint64_t cfa_register;
	int64_t cfa_offset;
	struct eh_span cfa_expression;
	struct cfi_register rbp, rsp, ra;
};

/* gcc nests one level, hand-written code two. */
#define CFI_REMEMBER_MAX 8

/* What FDEs have in common. */
struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_encoding; /* DW_EH_PE_* of addresses */
	bool has_augmentation_data;
	bool is_signal;
	struct cfi_state initial;
};

struct cfi_program {
	const struct cfi_cie *cie;
	struct eh_reader reader; /* the instructions; its position also tells pcrel addresses */
	uint64_t start, end;     /* addresses that the FDE is about */
	/* Instructions that may still be run, over a whole section: a hostile one can have every
	 * FDE point to a CIE as long as itself. */
	uint64_t *budget;
};

/* Runs a CIE's own instructions into cie->initial. False when they make no sense. */
bool cfi__initial(struct cfi_cie *cie, struct eh_reader reader, uint64_t *budget);

/*
 * Calls fn for each row of an FDE, by rising address within [start, end); a program that makes no
 * sense gives an unknown rule from there on. 0, or what fn returned.
 */
typedef int (*cfi_row_fn)(void *ctx, uint64_t vaddr, struct unwind_rule rule);
int cfi__each_row(const struct cfi_program *program, cfi_row_fn fn, void *ctx);

/* The rule that a state comes to; UNWIND_UNKNOWN for what a rule cannot say. */
struct unwind_rule cfi_state__rule(const struct cfi_state *state, bool is_signal);

#endif
