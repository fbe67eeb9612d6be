/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_EH_CIE_H
#define MEMDRIFT_UNWIND_EH_CIE_H

#include "unwind/cfi.h"

/* Reads a CIE from behind its number on. False for one that is not understood as a whole: what
 * refers to it cannot be used. */
bool eh_cie__read(struct cfi_cie *cie, struct eh_reader reader, uint64_t *budget);

#endif
