// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/symbols.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
	uint64_t start; /* file offset */
	uint32_t size;  /* 0: not told */
	uint32_t name;  /* into names */
	uint32_t preference;
};

struct symbol_table {
	struct symbol *symbols;
	uint64_t *starts; /* of symbols, by themselves: a look-up touches little else */
	size_t count, room;
	char *names;
	size_t names_bytes, names_room;
};

/*
 * Hand-written assembler leaves sizes out; such a function is taken to reach to the next one, but
 * no further than this: what follows may be a stripped neighbour.
 */
#define UNSIZED_REACH 4096

/* Functions inside functions (local labels with a size) are nested no deeper in real objects. */
#define NESTING_MAX 8

struct symbol_table *symbol_table__new(void)
{
	return calloc(1, sizeof(struct symbol_table));
}

void symbol_table__free(struct symbol_table *table)
{
	if (!table)
		return;
	free(table->symbols);
	free(table->starts);
	free(table->names);
	free(table);
}

/* Room for `more` items beyond `count`; doubles. */
static int reserve(void **items, size_t item_bytes, size_t count, size_t more, size_t *room)
{
	size_t wanted = *room ? *room : 256;
	void *bigger;

	if (count + more <= *room)
		return 0;
	while (wanted < count + more)
		wanted *= 2;
	bigger = realloc(*items, wanted * item_bytes);
	if (!bigger)
		return -ENOMEM;
	*items = bigger;
	*room = wanted;
	return 0;
}

int symbol_table__add(struct symbol_table *table, uint64_t file_offset, uint64_t size,
		      const char *name, unsigned int preference)
{
	size_t len = strlen(name) + 1;
	struct symbol *symbol;
	void *names = table->names, *symbols = table->symbols;
	int err;

	if (table->count >= SYMBOLS_MAX || table->names_bytes + len > SYMBOL_NAMES_MAX_BYTES)
		return -ENOSPC;
	err = reserve(&symbols, sizeof(*symbol), table->count, 1, &table->room);
	table->symbols = symbols;
	if (err)
		return err;
	err = reserve(&names, 1, table->names_bytes, len, &table->names_room);
	table->names = names;
	if (err)
		return err;
	symbol = &table->symbols[table->count++];
	symbol->start = file_offset;
	symbol->size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	symbol->name = (uint32_t)table->names_bytes;
	symbol->preference = preference;
	memcpy(table->names + table->names_bytes, name, len);
	table->names_bytes += len;
	return 0;
}

static int compare_symbols(const void *left, const void *right, void *ctx)
{
	const struct symbol_table *table = ctx;
	const struct symbol *a = left, *b = right;
	const char *a_name = table->names + a->name, *b_name = table->names + b->name;
	size_t a_lines = strspn(a_name, "_"), b_lines = strspn(b_name, "_");

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	/* A name that says where it ends is worth more than one that does not. */
	if (!a->size != !b->size)
		return a->size ? -1 : 1;
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	if (a_lines != b_lines)
		return a_lines < b_lines ? -1 : 1;
	return strcmp(a_name, b_name);
}

static int copy_starts(struct symbol_table *table)
{
	free(table->starts);
	table->starts = calloc(table->count, sizeof(*table->starts));
	if (!table->starts) {
		table->count = 0;
		return -ENOMEM;
	}
	for (size_t i = 0; i < table->count; i++)
		table->starts[i] = table->symbols[i].start;
	return 0;
}

int symbol_table__finish(struct symbol_table *table)
{
	size_t kept = 0;

	if (!table->count)
		return 0;
	qsort_r(table->symbols, table->count, sizeof(*table->symbols), compare_symbols, table);
	for (size_t i = 1; i < table->count; i++) {
		if (table->symbols[i].start != table->symbols[kept].start)
			table->symbols[++kept] = table->symbols[i];
	}
	table->count = kept + 1;
	return copy_starts(table);
}

/* Index of the first symbol that starts above the offset. */
static size_t first_above(const struct symbol_table *table, uint64_t file_offset)
{
	const uint64_t *base = table->starts;
	size_t left = table->count;

	/* Halves without a branch that depends on the data: those would be guessed wrong half the
	 * time, which costs more than the look itself. */
	while (left > 1) {
		size_t half = left / 2;

		base += base[half - 1] <= file_offset ? half : 0;
		left -= half;
	}
	return (size_t)(base - table->starts) + (left && *base <= file_offset);
}

/*
 * What says that it holds the byte is worth more than a label that does not say where it ends,
 * which may stand in the middle of a function.
 */
static const struct symbol *find_symbol(const struct symbol_table *table, uint64_t file_offset,
					bool latest)
{
	size_t above = first_above(table, file_offset);
	const struct symbol *found = NULL;

	for (size_t i = above, n = 0; i && n < NESTING_MAX; i--, n++) {
		const struct symbol *symbol = &table->symbols[i - 1];

		if (file_offset - symbol->start >= symbol->size)
			continue;
		if (!latest)
			return symbol;
		if (!found || symbol->preference < found->preference)
			found = symbol;
	}
	if (!found && above && !table->symbols[above - 1].size &&
	    file_offset - table->symbols[above - 1].start < UNSIZED_REACH)
		found = &table->symbols[above - 1];
	return found;
}

static const char *symbol_name(const struct symbol_table *table, const struct symbol *symbol,
			       uint64_t *start)
{
	if (symbol && start)
		*start = symbol->start;
	return symbol ? table->names + symbol->name : NULL;
}

const char *symbol_table__find(const struct symbol_table *table, uint64_t file_offset,
			       uint64_t *start)
{
	return symbol_name(table, find_symbol(table, file_offset, false), start);
}

const char *symbol_table__find_preferred(const struct symbol_table *table, uint64_t file_offset,
					 uint64_t *start)
{
	return symbol_name(table, find_symbol(table, file_offset, true), start);
}

size_t symbol_table__count(const struct symbol_table *table)
{
	return table->count;
}
