/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_ALLOCATOR_INTERNAL_H
#define MEMDRIFT_PROBE_ALLOCATOR_INTERNAL_H

/* Shared by allocator.c (one object) and allocator_cache.c; no one else. */

#include "probe/allocator.h"
#include "probe/elf_object.h"
#include "probe/named.h"

/*
 * allocator_cache__find without the cache; *out has one reference. named may be NULL. go: Go's own
 * is wanted, too.
 */
int allocator_object__search(int fd, const char *display_name, const char *root,
			     const struct insn_costs *costs, const struct named_object *named,
			     bool go, struct allocator_object **out);

/* Fills arena_symbol and arena_get2; own is the symbol found in the object itself, or vaddr 0. */
void allocator_object__find_arena(struct allocator_object *object, struct elf_object *elf,
				  const struct elf_function *own, const char *display_name,
				  const char *root, const struct insn_costs *costs);

/* Chooses the site of a function whose vaddr, file_offset and size are filled in. */
void allocator_function__choose_site(struct allocator_function *function,
				     const struct elf_object *elf, unsigned int flags,
				     const struct insn_costs *costs);

/* arena_get2 or the main part that the compiler split off it (arena_get2.part.0). */
bool arena_symbol__matches(const char *name);

#endif
