/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_STACK_CACHE_H
#define MEMDRIFT_CENSUS_STACK_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "census/memory.h"
#include "census/thread_stacks.h"
#include "model/space.h"

/*
 * All stacks that glibc knows of, from its own lists: of threads that run, that wait, and of ended
 * ones, which it keeps to use again (40 MiB of address space by default). nptl/allocatestack.c:
 * stack_used, stack_user and stack_cache link struct pthreads; their heads lie in the loader's data
 * (_rtld_global, glibc 2.34 and later), in libpthread's before, in a static program's own.
 */

/*
 * Fills *ranges with exact stacks by start, tid 0 for those whose thread has ended, sp 0; *threads
 * is how many struct pthreads had a thread, the main one's included. Nothing found is no error (no
 * glibc, a layout that is not known). exe: the program's raw path, for static ones; may be NULL.
 * 0 or -ENOMEM. A list that changes while it is followed ends where it did.
 */
int stack_cache__read(const struct maps_entry *entries, size_t n, struct memory *memory,
		      const char *exe, struct stack_range **ranges, size_t *count, size_t *threads);

#endif
