/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_HANDOFF_H
#define MEMDRIFT_PROBE_HANDOFF_H

#include "probe/allocator.h"
#include "probe/elf_object.h"
#include "probe/plt.h"

/*
 * Which entry points of an object reach another one, so that one call of the program hits two
 * probes. Told from the code:
 *
 * A jump out of the function whose target is another function of the object, or a PLT entry that
 * is bound to a name of the family (in glibc realloc to malloc, and reallocarray to realloc by way
 * of the PLT). glibc's aligned_alloc and memalign jump to an internal function, which jumps on to
 * malloc when the alignment is one that malloc gives anyway (_mid_memalign of malloc/malloc.c): so
 * what a jump leads to is followed as far as jumps go. Fills in `handoff`.
 *
 * A call (tcmalloc's posix_memalign calls memalign, musl's calloc malloc), also by way of one
 * internal function that is called and itself calls or jumps (glibc's posix_memalign). The hit
 * inside is told by its return address. Fills in `nested`, with what the entry points that are
 * called call themselves. Functions that take only a size, and those that free, are not followed
 * out of their own code: they are the ones called most, what they reach there is what happens once
 * (start-up, memory that ran out), and to watch for it at each call would cost more than to count
 * the call.
 */
void handoff__mark(struct allocator_object *object, struct elf_object *elf, const struct plt *plt);

#endif
