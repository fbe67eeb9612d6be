/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_PLT_H
#define MEMDRIFT_PROBE_PLT_H

#include "probe/elf_object.h"

/*
 * What an object reaches by name, through slots of the GOT and the entries of the PLT that jump
 * through them: names of family.h, and functions that the object itself defines. The others are
 * nobody's business here.
 */
struct plt;

struct plt_target {
	int name;       /* its index in the family, -1: none of them */
	uint64_t vaddr; /* of the object's own definition, 0: it has none */
};

/* elf must outlive it. NULL when memory is out. */
struct plt *plt__new(const struct elf_object *elf);
void plt__free(struct plt *plt);

/* What the slot at vaddr is bound to. */
struct plt_target plt__slot(const struct plt *plt, uint64_t vaddr);
/* Whether there is a PLT entry's code at vaddr, and what it leads to. */
bool plt__entry_at(const struct plt *plt, uint64_t vaddr, struct plt_target *target);

/*
 * Where a function that is nothing but a direct jump leads: true and *target, an address that may
 * be a PLT entry's.
 */
bool plt__is_thunk(const struct elf_object *elf, uint64_t vaddr, uint64_t *target);

#endif
