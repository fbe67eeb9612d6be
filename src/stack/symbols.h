/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_SYMBOLS_H
#define MEMDRIFT_STACK_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The functions of one object, sorted by where they lie in the file, for look-ups in less than a
 * tenth of a microsecond. Names are copied: the file may be closed afterwards. They are raw.
 */
struct symbol_table;

/*
 * A browser has about a million functions with 60 bytes of name each. Past these an object's
 * further functions stay without names; a damaged file cannot ask for more.
 */
#define SYMBOLS_MAX            2097152
#define SYMBOL_NAMES_MAX_BYTES (256u << 20)

/* Empty, for tests and for symbols_from_object(). NULL when memory is out. */
struct symbol_table *symbol_table__new(void);
void symbol_table__free(struct symbol_table *table);

/*
 * One more function; the name is copied. `preference`: of several at one place the lowest wins,
 * then the one with fewer leading underscores, then the alphabet. 0, -ENOMEM, or -ENOSPC at a
 * bound.
 */
int symbol_table__add(struct symbol_table *table, uint64_t file_offset, uint64_t size,
		      const char *name, unsigned int preference);
/* Sorts; needed once after the last add and before the first look-up. 0, or -ENOMEM (it is empty).
 */
int symbol_table__finish(struct symbol_table *table);

/*
 * The function that holds the byte at file_offset, or NULL. *start (may be NULL) is where it
 * begins. The string lives as long as the table.
 */
const char *symbol_table__find(const struct symbol_table *table, uint64_t file_offset,
			       uint64_t *start);
/* The same, but of several around each other the one with the lowest preference. */
const char *symbol_table__find_preferred(const struct symbol_table *table, uint64_t file_offset,
					 uint64_t *start);
size_t symbol_table__count(const struct symbol_table *table);

#endif
