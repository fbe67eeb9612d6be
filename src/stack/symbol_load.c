// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/symbol_load.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Of names at one place the lowest wins. */
enum preference { NAME_GLOBAL, NAME_LOCAL, NAME_GO, NAME_LABEL, NAME_PLT };

/* A version behind a name in .symtab: "memcpy@@GLIBC_2.14". Longer names keep it. */
#define VERSIONED_MAX 1024

struct load {
	struct symbol_table *table;
	const struct elf_object *object; /* whose offsets count; differs from the one read */
	bool translate;                  /* file_offset is not the object's: ask it by vaddr */
	int preference;                  /* -1: by the symbol itself */
};

/* The linker's own, behind the last byte of code: what follows would be named so. */
static bool is_end_of_text(const char *name)
{
	return !strcmp(name, "etext") || !strcmp(name, "_etext") || !strcmp(name, "__etext");
}

static unsigned int preference_of(const struct load *load, const struct elf_function *function)
{
	if (load->preference >= 0)
		return (unsigned int)load->preference;
	if (function->is_label)
		return NAME_LABEL;
	return function->local ? NAME_LOCAL : NAME_GLOBAL;
}

static int take_function(void *ctx, const struct elf_function *function)
{
	struct load *load = ctx;
	uint64_t offset = function->file_offset;
	const char *name = function->name;
	char unversioned[VERSIONED_MAX];
	size_t length;

	if (load->translate && elf_object__file_offset(load->object, function->vaddr, &offset))
		return 0;
	if (function->is_label && is_end_of_text(name))
		return 0;
	length = load->preference < 0 ? strcspn(name, "@") : 0;
	if (length && name[length] && length < sizeof(unversioned)) {
		memcpy(unversioned, name, length);
		unversioned[length] = '\0';
		name = unversioned;
	}
	return symbol_table__add(load->table, offset, function->size, name,
				 preference_of(load, function));
}

/* Only -ENOMEM: of what is damaged or beyond a bound, what was read so far is still true. */
static int out_of_memory(int err)
{
	return err == -ENOMEM ? err : 0;
}

static int load_own(struct elf_object *object, struct load *load)
{
	int err;

	err = out_of_memory(elf_object__each_code_symbol(object, ELF_SYMTAB, take_function, load));
	if (!err)
		err = out_of_memory(
			elf_object__each_code_symbol(object, ELF_DYNSYM, take_function, load));
	load->preference = NAME_GO;
	if (!err)
		err = out_of_memory(elf_object__each_go_name(object, take_function, load));
	load->preference = NAME_PLT;
	if (!err)
		err = out_of_memory(elf_object__each_plt(object, take_function, load));
	load->preference = -1;
	return err;
}

static int load_debug(struct load *load, int fd, const char *name)
{
	struct elf_object *debug;
	int err;

	err = elf_object__open(fd, name, &debug);
	if (err)
		return out_of_memory(err);
	load->translate = true;
	err = out_of_memory(elf_object__each_code_symbol(debug, ELF_SYMTAB, take_function, load));
	elf_object__close(debug);
	return err;
}

static int load_mini_debug(struct load *load, const char *name)
{
	int fd = elf_object__open_mini_debug(load->object), err;

	if (fd < 0)
		return out_of_memory(fd);
	err = load_debug(load, fd, name);
	close(fd);
	return err;
}

int symbol_table__load(struct elf_object *object, const char *name, int debug_fd,
		       struct symbol_table **table)
{
	struct load load = {.object = object, .preference = -1};
	int err;

	load.table = symbol_table__new();
	err = load.table ? load_own(object, &load) : -ENOMEM;
	if (!err && debug_fd >= 0)
		err = load_debug(&load, debug_fd, name);
	else if (!err)
		err = load_mini_debug(&load, name);
	if (!err)
		err = symbol_table__finish(load.table);
	if (err) {
		symbol_table__free(load.table);
		return err;
	}
	*table = load.table;
	return 0;
}
