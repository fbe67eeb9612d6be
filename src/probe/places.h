/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_PLACES_H
#define MEMDRIFT_PROBE_PLACES_H

#include <capstone/capstone.h>

#include "probe/site.h"

/* In which registers a function's arguments are, from its entry on; of use to site.c alone. */

#define ARGUMENTS_MAX 3

/* Where each argument is: a mask of registers, none of them when it is lost. */
struct places {
	uint32_t of[ARGUMENTS_MAX];
	size_t count;
};

struct places places__at_entry(enum arg_layout layout);
/*
 * What an instruction does to them; needs Capstone's details. False: one is lost, or nobody knows.
 * *writes_rsp: the stack pointer changes.
 */
bool places__pass(struct places *places, csh handle, const cs_insn *insn, bool *writes_rsp);
/*
 * The layout that the arguments of a function have by now: the wanted one, or one of the same
 * meaning. False: none.
 */
bool places__layout(const struct places *places, enum arg_layout wanted, enum arg_layout *layout);

#endif
