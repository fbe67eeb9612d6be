// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/go_functab.h"

#include <errno.h>
#include <string.h>

/* runtime/symtab.go: pcHeader; cmd/link/internal/ld/pcln.go */
#define MAGIC_1_2  0xfffffffb
#define MAGIC_1_16 0xfffffffa
#define MAGIC_1_18 0xfffffff0
#define MAGIC_1_20 0xfffffff1

/* Longer names are not read: those of generic types repeat whole structures. */
#define NAME_MAX_BYTES 4096

/* Behind the magic: two zeroes, the smallest step between instructions, a pointer's size. */
static const uint8_t amd64_header[] = {0, 0, 1, 8};

static uint32_t read_u32(const struct go_functab *table, uint64_t offset)
{
	uint32_t value;

	memcpy(&value, table->bytes + offset, sizeof(value));
	return value;
}

static uint64_t read_u64(const struct go_functab *table, uint64_t offset)
{
	uint64_t value;

	memcpy(&value, table->bytes + offset, sizeof(value));
	return value;
}

static bool lies_within(const struct go_functab *table, uint64_t offset, uint64_t size)
{
	return offset <= table->size && size <= table->size - offset;
}

bool go_functab__is_header(const uint8_t *bytes, size_t size)
{
	uint32_t magic;

	if (size < GO_FUNCTAB_HEADER_BYTES)
		return false;
	memcpy(&magic, bytes, sizeof(magic));
	return (magic == MAGIC_1_16 || magic == MAGIC_1_18 || magic == MAGIC_1_20) &&
	       !memcmp(bytes + sizeof(magic), amd64_header, sizeof(amd64_header));
}

/*
 * Until Go 1.15: the number of functions follows the magic and the table that, with addresses of 64
 * bits; all offsets count from the magic (debug/gosym/pclntab.go, ver12).
 */
static int open_oldest(struct go_functab *table)
{
	if (table->size < 16 || memcmp(table->bytes + 4, amd64_header, sizeof(amd64_header)))
		return -ENOTSUP;
	table->is_oldest = table->absolute = true;
	table->count = read_u64(table, 8);
	table->functions = 16;
	return table->count < (table->size - table->functions) / 16 ? 0 : -EINVAL;
}

/* The words behind the magic: functions, files, [text start,] names, ..., table of functions. */
int go_functab__open(const void *bytes, size_t size, struct go_functab *table)
{
	uint64_t entry_bytes, words;

	*table = (struct go_functab){.bytes = bytes, .size = size};
	if (size >= sizeof(uint32_t) && read_u32(table, 0) == MAGIC_1_2)
		return open_oldest(table);
	if (!go_functab__is_header(bytes, size))
		return -ENOTSUP;
	table->absolute = read_u32(table, 0) == MAGIC_1_16;
	entry_bytes = table->absolute ? 16 : 8;
	words = table->absolute ? 8 + 2 * 8 : 8 + 3 * 8;
	table->count = read_u64(table, 8);
	table->text_start = table->absolute ? 0 : read_u64(table, 24);
	table->names = read_u64(table, words);
	table->functions = read_u64(table, words + 4 * 8);
	table->described = table->functions;
	if (table->names >= size || table->functions >= size)
		return -EINVAL;
	/* One more: the end of the last function. */
	if (table->count >= (size - table->functions) / entry_bytes)
		return -EINVAL;
	return 0;
}

/* The address of an entry, and where its function is described (from the table's begin). */
static uint64_t read_entry(const struct go_functab *table, uint64_t index, uint64_t *described)
{
	uint64_t at = table->functions + index * (table->absolute ? 16 : 8);

	if (table->absolute) {
		*described = read_u64(table, at + 8);
		return read_u64(table, at);
	}
	*described = read_u32(table, at + 4);
	return table->text_start + read_u32(table, at);
}

/* runtime/runtime2.go: _func begins with its entry, then the offset of its name. */
static const char *find_name(const struct go_functab *table, uint64_t described)
{
	uint64_t entry_bytes = table->absolute ? 8 : 4, at, name, left;

	if (described > table->size - table->described)
		return NULL;
	at = table->described + described;
	if (!lies_within(table, at, entry_bytes + 4))
		return NULL;
	name = read_u32(table, at + entry_bytes);
	if (name >= table->size - table->names)
		return NULL;
	name += table->names;
	left = table->size - name;
	if (left > NAME_MAX_BYTES)
		left = NAME_MAX_BYTES;
	if (strnlen((const char *)table->bytes + name, left) == left)
		return NULL;
	return (const char *)table->bytes + name;
}

int go_functab__each(const struct go_functab *table, go_function_fn fn, void *ctx)
{
	for (uint64_t i = 0; i < table->count; i++) {
		struct go_function function;
		uint64_t described, next_described, next;
		int err;

		function.vaddr = read_entry(table, i, &described);
		next = read_entry(table, i + 1, &next_described);
		function.name = find_name(table, described);
		if (!function.name || !*function.name || next <= function.vaddr)
			continue;
		function.size = next - function.vaddr;
		err = fn(ctx, &function);
		if (err)
			return err;
	}
	return 0;
}
