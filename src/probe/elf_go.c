// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>

#include <bsd/string.h>

#include "probe/elf_object_internal.h"
#include "probe/go_functab.h"

/* The build info is some hundred bytes, most of it names and versions of modules. */
#define BUILDINFO_MAX_BYTES (16ull << 20)

/* debug/buildinfo/buildinfo.go: the magic, a pointer's size, flags; strings follow from 32 on. */
#define BUILDINFO_MAGIC   "\xff Go buildinf:"
#define BUILDINFO_FLAGS   15
#define BUILDINFO_INLINE  2
#define BUILDINFO_STRINGS 32

/* Kubernetes' largest programs have 30 MB. */
#define FUNCTAB_MAX_BYTES (256ull << 20)

/* runtime/symtab.go: moduledata begins with the table's address; text is its 23rd word. */
#define MODULE_TEXT_OFFSET (22 * 8)

bool elf_object__go_version(const struct elf_object *obj, char *version, size_t size)
{
	Elf_Data *data = elf_object__section_data(obj, obj->go_buildinfo, BUILDINFO_MAX_BYTES, 1);
	const uint8_t *bytes;
	size_t length;

	if (!data || data->d_size <= BUILDINFO_STRINGS)
		return false;
	bytes = data->d_buf;
	/* Until Go 1.17 there is a pointer instead of the string. */
	if (memcmp(bytes, BUILDINFO_MAGIC, sizeof(BUILDINFO_MAGIC) - 1) ||
	    !(bytes[BUILDINFO_FLAGS] & BUILDINFO_INLINE))
		return false;
	/* A varint, of one byte as long as the version is shorter than 128. */
	length = bytes[BUILDINFO_STRINGS];
	if (length >= 128 || length > data->d_size - BUILDINFO_STRINGS - 1 || length >= size)
		return false;
	memcpy(version, bytes + BUILDINFO_STRINGS + 1, length);
	version[length] = '\0';
	return true;
}

/* Other linkers than Go's put the table in among others. */
static int search_functab(const struct elf_object *obj, struct go_functab *table, uint64_t *vaddr)
{
	Elf_Data *data = elf_object__section_data(obj, obj->relro, FUNCTAB_MAX_BYTES, 1);

	/* The sections that linkers join keep their alignment, of 32 bytes for this one. */
	for (size_t at = 0; data && at + GO_FUNCTAB_HEADER_BYTES <= data->d_size; at += 8) {
		const uint8_t *bytes = (const uint8_t *)data->d_buf + at;

		if (go_functab__is_header(bytes, data->d_size - at) &&
		    !go_functab__open(bytes, data->d_size - at, table)) {
			*vaddr = elf64_getshdr(obj->relro)->sh_addr + at;
			return 0;
		}
	}
	return -ENOENT;
}

static int open_functab(const struct elf_object *obj, struct go_functab *table, uint64_t *vaddr)
{
	Elf_Data *data;

	if (!obj->go_functab)
		return search_functab(obj, table, vaddr);
	data = elf_object__section_data(obj, obj->go_functab, FUNCTAB_MAX_BYTES, 1);
	if (!data)
		return -EINVAL;
	*vaddr = elf64_getshdr(obj->go_functab)->sh_addr;
	return go_functab__open(data->d_buf, data->d_size, table);
}

/* Where Go's own code begins, of a table that does not say (Go 1.26 and later). */
static int read_text_start(const struct elf_object *obj, uint64_t functab, uint64_t *text_start)
{
	Elf_Data *data = elf_object__section_data(obj, obj->go_module, FUNCTAB_MAX_BYTES, 1);
	uint64_t table;

	if (!data || data->d_size < MODULE_TEXT_OFFSET + sizeof(*text_start))
		return -ENOTSUP;
	memcpy(&table, data->d_buf, sizeof(table));
	if (table != functab)
		return -ENOTSUP;
	memcpy(text_start, (const char *)data->d_buf + MODULE_TEXT_OFFSET, sizeof(*text_start));
	return 0;
}

struct translation {
	const struct elf_object *obj;
	elf_function_fn fn;
	void *ctx;
};

static int hand_on(void *ctx, const struct go_function *function)
{
	const struct translation *translation = ctx;
	struct elf_function found = {.name = function->name,
				     .local = true,
				     .vaddr = function->vaddr,
				     .size = function->size};
	uint64_t left;

	if (elf_object__file_offset(translation->obj, found.vaddr, &found.file_offset))
		return 0;
	left = elf_object__code_left(translation->obj, found.vaddr);
	if (found.size > left)
		found.size = left;
	return translation->fn(translation->ctx, &found);
}

static int each_go(const struct elf_object *obj, bool with_oldest, elf_function_fn fn, void *ctx)
{
	struct translation translation = {obj, fn, ctx};
	struct go_functab table;
	uint64_t vaddr = 0;
	int err = open_functab(obj, &table, &vaddr);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (table.is_oldest && !with_oldest)
		return -EPROTOTYPE;
	if (!table.absolute && !table.text_start)
		err = read_text_start(obj, vaddr, &table.text_start);
	return err ? err : go_functab__each(&table, hand_on, &translation);
}

int elf_object__each_go_function(const struct elf_object *obj, elf_function_fn fn, void *ctx)
{
	return each_go(obj, false, fn, ctx);
}

int elf_object__each_go_name(const struct elf_object *obj, elf_function_fn fn, void *ctx)
{
	return each_go(obj, true, fn, ctx);
}
