/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_CFI_MACHINE_H
#define MEMDRIFT_UNWIND_CFI_MACHINE_H

/* What runs a program: for cfi.c (where it is) and cfi_state.c (what holds there) alone. */

#include "unwind/cfi.h"

struct cfi_machine {
	const struct cfi_cie *cie;
	struct eh_reader reader;
	struct cfi_state state;
	struct cfi_state remembered[CFI_REMEMBER_MAX];
	unsigned int depth;
	uint64_t location, end;
	bool in_cie; /* whose instructions are about no address */
	cfi_row_fn fn;
	void *ctx;
	int stopped;
};

/* One instruction about the CFA, or about one register: false for others. An operand that makes no
 * sense fails the reader. */
bool cfi_machine__run_cfa(struct cfi_machine *machine, uint8_t code);
bool cfi_machine__run_register(struct cfi_machine *machine, uint8_t code);
/* Those whose register is part of the instruction. */
void cfi_machine__set_offset(struct cfi_machine *machine, uint64_t number, enum cfi_where where,
			     uint64_t offset);
void cfi_machine__restore(struct cfi_machine *machine, uint64_t number);

#endif
