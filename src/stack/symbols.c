// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/symbols.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/elf_object.h"

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

const char *symbol_table__find(const struct symbol_table *table, uint64_t file_offset,
			       uint64_t *start)
{
	size_t above = first_above(table, file_offset);

	for (size_t i = above, n = 0; i && n < NESTING_MAX; i--, n++) {
		const struct symbol *symbol = &table->symbols[i - 1];
		uint64_t reach = symbol->size;

		if (!reach && i == above)
			reach = UNSIZED_REACH;
		if (file_offset - symbol->start >= reach)
			continue;
		if (start)
			*start = symbol->start;
		return table->names + symbol->name;
	}
	return NULL;
}

size_t symbol_table__count(const struct symbol_table *table)
{
	return table->count;
}

struct load {
	struct symbol_table *table;
	const struct elf_object *object; /* whose offsets count; differs from the one read */
	bool translate;                  /* file_offset is not the object's: ask it by vaddr */
};

static int take_function(void *ctx, const struct elf_function *function)
{
	struct load *load = ctx;
	uint64_t offset = function->file_offset;

	if (load->translate && elf_object__file_offset(load->object, function->vaddr, &offset))
		return 0;
	return symbol_table__add(load->table, offset, function->size, function->name,
				 function->local ? 1 : 0);
}

static int load_tables(struct elf_object *from, struct load *load)
{
	int err = elf_object__each_function(from, ELF_SYMTAB, take_function, load);

	if (!err)
		err = elf_object__each_function(from, ELF_DYNSYM, take_function, load);
	return err;
}

/* Best effort: an object whose debug file is absent or damaged keeps its own names. */
static void load_debug_file(struct load *load, const char *display_name, const char *debug_root)
{
	struct elf_object *debug;
	int fd = -ENOENT;

	if (debug_root)
		fd = elf_object__open_debug_file(load->object, debug_root);
	if (fd < 0 && (!debug_root || strcmp(debug_root, "/")))
		fd = elf_object__open_debug_file(load->object, "/");
	if (fd < 0)
		return;
	if (!elf_object__open(fd, display_name, &debug)) {
		load->translate = true;
		elf_object__each_function(debug, ELF_SYMTAB, take_function, load);
		elf_object__close(debug);
	}
	close(fd);
}

int symbol_table__load(int fd, const char *display_name, const char *debug_root,
		       struct symbol_table **table)
{
	struct elf_object *object;
	struct load load = {0};
	int err;

	err = elf_object__open(fd, display_name, &object);
	if (err)
		return err;
	load.object = object;
	load.table = symbol_table__new();
	err = load.table ? load_tables(object, &load) : -ENOMEM;
	if (!err)
		load_debug_file(&load, display_name, debug_root);
	elf_object__close(object);
	/* At a bound, or where the file stops making sense, what was read so far is still true. */
	if (err == -ENOMEM) {
		symbol_table__free(load.table);
		return err;
	}
	err = symbol_table__finish(load.table);
	if (err) {
		symbol_table__free(load.table);
		return err;
	}
	*table = load.table;
	return 0;
}
