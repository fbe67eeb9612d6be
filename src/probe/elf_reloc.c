// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <string.h>

#include "probe/elf_object_internal.h"

/* 24 bytes each; Chromium has 11 MiB of them, most of them relative. */
#define RELOCATIONS_MAX_BYTES (64ull << 20)

static const char *symbol_name(const struct elf_object *obj, Elf_Scn *table, size_t index,
			       uint64_t *vaddr)
{
	const Elf64_Shdr *header = elf64_getshdr(table);
	Elf_Data *symbols, *strings;
	Elf64_Sym symbol;

	symbols = elf_object__section_data(obj, table, ELF_SYMBOLS_MAX_BYTES, sizeof(symbol));
	strings = elf_object__section_data(obj, elf_getscn(obj->elf, header->sh_link),
					   ELF_STRINGS_MAX_BYTES, 1);
	if (!symbols || !strings || index >= symbols->d_size / sizeof(symbol) ||
	    ((const char *)strings->d_buf)[strings->d_size - 1])
		return NULL;
	memcpy(&symbol, (const char *)symbols->d_buf + index * sizeof(symbol), sizeof(symbol));
	*vaddr = symbol.st_shndx == SHN_UNDEF ? 0 : symbol.st_value;
	if (!symbol.st_name || symbol.st_name >= strings->d_size)
		return NULL;
	return (const char *)strings->d_buf + symbol.st_name;
}

void elf_object__each_slot(const struct elf_object *obj, elf_slot_fn fn, void *ctx)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(obj->elf, section))) {
		const Elf64_Shdr *header = elf64_getshdr(section);
		Elf_Scn *table = NULL;
		Elf64_Rela rela;
		Elf_Data *data;

		if (header && header->sh_type == SHT_RELA)
			table = elf_getscn(obj->elf, header->sh_link);
		if (!table || table != obj->dynsym)
			continue;
		data = elf_object__section_data(obj, section, RELOCATIONS_MAX_BYTES, sizeof(rela));
		for (size_t i = 0; data && i < data->d_size / sizeof(rela); i++) {
			const char *name = NULL;
			uint64_t own_vaddr;

			memcpy(&rela, (const char *)data->d_buf + i * sizeof(rela), sizeof(rela));
			if (ELF64_R_SYM(rela.r_info))
				name = symbol_name(obj, table, ELF64_R_SYM(rela.r_info),
						   &own_vaddr);
			if (name)
				fn(ctx, rela.r_offset, name, own_vaddr);
		}
	}
}
