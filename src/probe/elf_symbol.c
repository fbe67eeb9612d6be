// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/elf_object_internal.h"

/* .gnu.version holds 15 bits of index; the top bit marks versions that are not the default. */
#define VERSION_HIDDEN 0x8000
#define VERSION_MASK   0x7fff

/* glibc has 40 versions; definitions past this many have no name here. */
#define VERSIONS_MAX 1024

/* Longest chain followed in a hash table: chains have a handful of entries in sane files. */
#define HASH_CHAIN_MAX 4096

Elf_Data *elf_object__section_data(const struct elf_object *obj, Elf_Scn *section, uint64_t max,
				   size_t entry_bytes)
{
	const Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;
	Elf_Data *data;

	if (!header || header->sh_type == SHT_NOBITS || header->sh_size > max ||
	    !elf_object__in_file(obj, header->sh_offset, header->sh_size))
		return NULL;
	if (header->sh_size % entry_bytes)
		return NULL;
	data = elf_rawdata(section, NULL);
	if (!data || !data->d_buf || data->d_size != header->sh_size)
		return NULL;
	return data;
}

/* Strings that a table refers to; all end inside, because the last byte is NUL. */
struct strings {
	const char *bytes;
	size_t size;
};

static int linked_strings(const struct elf_object *obj, Elf_Scn *section, struct strings *strings)
{
	const Elf64_Shdr *header = elf64_getshdr(section);
	Elf_Data *data;

	data = elf_object__section_data(obj, elf_getscn(obj->elf, header->sh_link),
					ELF_STRINGS_MAX_BYTES, 1);
	if (!data || ((const char *)data->d_buf)[data->d_size - 1])
		return -EINVAL;
	strings->bytes = data->d_buf;
	strings->size = data->d_size;
	return 0;
}

struct versions {
	const char *names[VERSIONS_MAX]; /* by index */
	const uint8_t *indices;          /* 16 bits for each symbol */
	size_t count;
};

static void read_definition_names(const struct elf_object *obj, struct versions *versions)
{
	struct strings strings;
	Elf_Data *data;
	size_t off = 0;

	data = elf_object__section_data(obj, obj->verdef, ELF_SYMBOLS_MAX_BYTES, 1);
	if (!data || linked_strings(obj, obj->verdef, &strings))
		return;
	for (size_t i = 0; i < VERSIONS_MAX; i++) {
		Elf64_Verdef def;
		Elf64_Verdaux aux;

		if (off > data->d_size || data->d_size - off < sizeof(def))
			return;
		memcpy(&def, (const char *)data->d_buf + off, sizeof(def));
		if (def.vd_aux > data->d_size - off ||
		    data->d_size - off - def.vd_aux < sizeof(aux))
			return;
		memcpy(&aux, (const char *)data->d_buf + off + def.vd_aux, sizeof(aux));
		if (def.vd_ndx < VERSIONS_MAX && aux.vda_name < strings.size)
			versions->names[def.vd_ndx] = strings.bytes + aux.vda_name;
		if (!def.vd_next)
			return;
		off += def.vd_next;
	}
}

/* Versions are only for people to read, so what is wrong with them is left out. */
static void read_versions(const struct elf_object *obj, struct versions *versions)
{
	Elf_Data *data;

	memset(versions, 0, sizeof(*versions));
	data = elf_object__section_data(obj, obj->versym, ELF_SYMBOLS_MAX_BYTES, 2);
	if (!data)
		return;
	versions->indices = data->d_buf;
	versions->count = data->d_size / 2;
	read_definition_names(obj, versions);
}

static void name_version(const struct versions *versions, size_t index,
			 struct elf_function *function)
{
	uint16_t value;

	if (index >= versions->count)
		return;
	memcpy(&value, versions->indices + index * 2, sizeof(value));
	/* 0 is local, 1 global without a version. */
	if ((value & VERSION_MASK) < 2 || (value & VERSION_MASK) >= VERSIONS_MAX)
		return;
	function->version = versions->names[value & VERSION_MASK];
	function->default_version = function->version && !(value & VERSION_HIDDEN);
}

/* Types of symbols, a bit each. */
#define TYPE_BIT(type)  (1u << (type))
#define TYPES_FUNCTIONS TYPE_BIT(STT_FUNC)
#define TYPES_CODE      (TYPE_BIT(STT_FUNC) | TYPE_BIT(STT_GNU_IFUNC) | TYPE_BIT(STT_NOTYPE))

/* Fills everything but the version. False: none of these types, or no code. */
static bool read_function(const struct elf_object *obj, const Elf64_Sym *symbol, unsigned int types,
			  const struct strings *strings, struct elf_function *function)
{
	uint64_t left;

	if (!(types & TYPE_BIT(ELF64_ST_TYPE(symbol->st_info))) || !symbol->st_value ||
	    symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS)
		return false;
	if (symbol->st_name >= strings->size || !strings->bytes[symbol->st_name])
		return false;
	memset(function, 0, sizeof(*function));
	function->name = strings->bytes + symbol->st_name;
	function->is_label = ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE;
	function->local = ELF64_ST_BIND(symbol->st_info) == STB_LOCAL;
	function->vaddr = symbol->st_value;
	function->size = symbol->st_size;
	if (obj->is_debug_file)
		return true;
	if (elf_object__file_offset(obj, symbol->st_value, &function->file_offset))
		return false;
	left = elf_object__code_left(obj, symbol->st_value);
	if (function->size > left)
		function->size = left;
	return true;
}

static int each_symbol(struct elf_object *obj, enum elf_symbol_table table, unsigned int types,
		       elf_function_fn fn, void *ctx)
{
	Elf_Scn *section = table == ELF_DYNSYM ? obj->dynsym : obj->symtab;
	struct versions *versions = NULL;
	struct strings strings;
	Elf_Data *data;
	int err = 0;

	if (!section || elf64_getshdr(section)->sh_type == SHT_NOBITS)
		return 0;
	data = elf_object__section_data(obj, section, ELF_SYMBOLS_MAX_BYTES, sizeof(Elf64_Sym));
	if (!data)
		return elf_object__damaged(obj, "symbol table");
	if (linked_strings(obj, section, &strings))
		return elf_object__damaged(obj, "strings of a symbol table");
	if (table == ELF_DYNSYM && obj->versym) {
		versions = malloc(sizeof(*versions));
		if (!versions)
			return -ENOMEM;
		read_versions(obj, versions);
	}
	for (size_t i = 0; i < data->d_size / sizeof(Elf64_Sym) && !err; i++) {
		struct elf_function function;
		Elf64_Sym symbol;

		memcpy(&symbol, (const char *)data->d_buf + i * sizeof(symbol), sizeof(symbol));
		if (!read_function(obj, &symbol, types, &strings, &function))
			continue;
		if (versions)
			name_version(versions, i, &function);
		err = fn(ctx, &function);
	}
	free(versions);
	return err;
}

int elf_object__each_function(struct elf_object *obj, enum elf_symbol_table table,
			      elf_function_fn fn, void *ctx)
{
	return each_symbol(obj, table, TYPES_FUNCTIONS, fn, ctx);
}

int elf_object__each_code_symbol(struct elf_object *obj, enum elf_symbol_table table,
				 elf_function_fn fn, void *ctx)
{
	return each_symbol(obj, table, TYPES_CODE, fn, ctx);
}

bool elf_object__has_symtab(const struct elf_object *obj)
{
	return obj->symtab && elf64_getshdr(obj->symtab)->sh_type != SHT_NOBITS;
}

static void match_variable(const Elf64_Sym *symbol, const struct strings *strings,
			   const char *const names[], size_t count, uint64_t vaddrs[])
{
	if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_shndx == SHN_UNDEF ||
	    symbol->st_name >= strings->size)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(strings->bytes + symbol->st_name, names[i]))
			vaddrs[i] = symbol->st_value;
	}
}

int elf_object__find_variables(const struct elf_object *obj, const char *const names[],
			       size_t count, uint64_t vaddrs[])
{
	struct strings strings;
	Elf_Data *data;
	int found = 0;

	memset(vaddrs, 0, count * sizeof(vaddrs[0]));
	if (!obj->symtab || elf64_getshdr(obj->symtab)->sh_type == SHT_NOBITS)
		return 0;
	data = elf_object__section_data(obj, obj->symtab, ELF_SYMBOLS_MAX_BYTES, sizeof(Elf64_Sym));
	if (!data || linked_strings(obj, obj->symtab, &strings))
		return elf_object__damaged(obj, "symbol table");
	for (size_t i = 0; i < data->d_size / sizeof(Elf64_Sym); i++) {
		Elf64_Sym symbol;

		memcpy(&symbol, (const char *)data->d_buf + i * sizeof(symbol), sizeof(symbol));
		match_variable(&symbol, &strings, names, count, vaddrs);
	}
	for (size_t i = 0; i < count; i++)
		found += vaddrs[i] != 0;
	return found;
}

/* The hash of the GNU hash table (DT_GNU_HASH): h = h * 33 + c from 5381. */
static uint32_t gnu_hash(const char *name)
{
	uint32_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (uint8_t)*name;
	return h;
}

struct hash_table {
	uint64_t offset; /* of the table in the file */
	uint32_t buckets;
	uint32_t first_symbol;
	uint32_t bloom_words;
	uint32_t bloom_shift;
};

static bool read_u32(const struct elf_object *obj, uint64_t offset, uint32_t *value)
{
	return elf_object__read(obj, offset, value, sizeof(*value)) == sizeof(*value);
}

/* True also when the table cannot be read: the symbol table then decides. */
static bool hash_may_hold(const struct elf_object *obj, const struct hash_table *table,
			  const char *name)
{
	uint64_t buckets = table->offset + 16 + table->bloom_words * 8ull;
	uint64_t chains = buckets + table->buckets * 4ull;
	uint32_t hash = gnu_hash(name), symbol, entry;
	uint64_t bits, word;

	word = table->offset + 16 + (hash / 64 % table->bloom_words) * 8ull;
	if (elf_object__read(obj, word, &bits, sizeof(bits)) < 0)
		return true;
	if (!(bits >> (hash % 64) & 1) || !(bits >> ((hash >> table->bloom_shift) % 64) & 1))
		return false;
	if (!read_u32(obj, buckets + (hash % table->buckets) * 4ull, &symbol))
		return true;
	if (!symbol)
		return false;
	if (symbol < table->first_symbol)
		return true;
	for (size_t i = 0; i < HASH_CHAIN_MAX; i++, symbol++) {
		if (!read_u32(obj, chains + (symbol - table->first_symbol) * 4ull, &entry))
			return true;
		if ((entry | 1) == (hash | 1))
			return true;
		if (entry & 1)
			return false;
	}
	return true;
}

bool elf_object__may_export(const struct elf_object *obj, const char *const names[], size_t count)
{
	const Elf64_Shdr *header = obj->gnu_hash ? elf64_getshdr(obj->gnu_hash) : NULL;
	struct hash_table table;
	uint32_t words[4];

	if (!header || header->sh_type != SHT_GNU_HASH ||
	    elf_object__read(obj, header->sh_offset, words, sizeof(words)) < 0)
		return true;
	table = (struct hash_table){.offset = header->sh_offset,
				    .buckets = words[0],
				    .first_symbol = words[1],
				    .bloom_words = words[2],
				    .bloom_shift = words[3]};
	if (!table.buckets || !table.bloom_words || table.bloom_shift >= 32)
		return true;
	for (size_t i = 0; i < count; i++) {
		if (hash_may_hold(obj, &table, names[i]))
			return true;
	}
	return false;
}
