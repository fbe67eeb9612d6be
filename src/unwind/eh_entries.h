/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_EH_ENTRIES_H
#define MEMDRIFT_UNWIND_EH_ENTRIES_H

/* The descriptions of a section, for eh_frame.c alone. */

#include "unwind/cfi.h"
#include "unwind/eh_frame.h"

struct eh_fde {
	uint64_t start, end;           /* addresses, within one range of code */
	uint32_t program, program_end; /* offsets in the section */
	uint32_t cie;
};

struct eh_cie {
	uint32_t offset_plus_1; /* 0: none here */
	bool usable;
	struct cfi_cie cie;
};

/* libLLVM has one CIE, programs linked from C++ and Rust some dozens: by offset, one a slot. */
#define EH_CIE_SLOTS 64

struct eh_entries {
	struct eh_reader reader; /* the whole section */
	bool is_debug_frame;
	struct eh_fde *fdes; /* by start */
	size_t fde_count, capacity;
	uint64_t bad;
	bool cut;
	uint64_t budget; /* instructions left, see cfi.h */
	struct eh_cie cies[EH_CIE_SLOTS];
};

/* 0 or -ENOMEM. To be cleared in any case. */
int eh_entries__read(struct eh_entries *entries, const struct frame_section *section,
		     const struct frame_range *code, size_t code_count);
/* The first FDE that starts at vaddr or later. */
size_t eh_entries__first(const struct eh_entries *entries, uint64_t vaddr);
int eh_entries__each_row(struct eh_entries *entries, const struct eh_fde *fde, cfi_row_fn fn,
			 void *ctx);
void eh_entries__clear(struct eh_entries *entries);

#endif
