/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_HANDOFF_H
#define MEMDRIFT_PROBE_HANDOFF_H

#include "probe/allocator.h"
#include "probe/elf_object.h"

/*
 * Marks the functions that go on into another entry point by a jump, so that one call of the
 * program hits two probes (in glibc realloc to malloc, and reallocarray to realloc by way of the
 * PLT). Told from the code: a jump out of the function whose target is another function of the
 * object, or a PLT entry that is bound to a name of the same family.
 *
 * glibc's aligned_alloc and memalign jump to an internal function, which jumps on to malloc when
 * the alignment is one that malloc gives anyway (_mid_memalign of malloc/malloc.c): so what a jump
 * leads to is followed as far as jumps go.
 */
void handoff__mark(struct allocator_object *object, const struct elf_object *elf);

#endif
