/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_SYMBOL_LOAD_H
#define MEMDRIFT_STACK_SYMBOL_LOAD_H

#include "probe/elf_object.h"
#include "stack/symbols.h"

/*
 * All names of an object's code: its .symtab, .dynsym, .gopclntab, the entries of its PLT
 * ("malloc@plt"), and the symbols of its separate debug file (debug_fd, -1: none; stays the
 * caller's) or else of its MiniDebugInfo. `name` is for messages. What is damaged gives what could
 * be read of it. 0 (perhaps with an empty table) or -ENOMEM. *table is the caller's.
 */
int symbol_table__load(struct elf_object *object, const char *name, int debug_fd,
		       struct symbol_table **table);

#endif
