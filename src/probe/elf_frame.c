// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stddef.h>
#include <string.h>

#include "probe/elf_object_internal.h"

/* DW_EH_PE_* of the LSB's Core specification, 10.5. */
#define ENCODED_S4          0x0b /* sdata4 */
#define ENCODED_U4          0x03 /* udata4 */
#define ENCODED_DATA_REL_S4 0x3b /* sdata4, from the start of .eh_frame_hdr */

/* Of .eh_frame without a table: static glibc has 50 kB, each question looks at all of it. */
#define SECTION_MAX_BYTES (4ull << 20)

/* version, and how the pointer to .eh_frame, the count and the table are encoded */
#define HEADER_BYTES 4

struct frame_table {
	uint64_t vaddr;  /* of .eh_frame_hdr */
	uint64_t offset; /* of the first entry in the file */
	uint64_t count;
};

/* An entry: where a function starts, and where its description is; both from .eh_frame_hdr. */
struct frame_entry {
	int32_t start;
	int32_t description;
};

/* The start of a description, with addresses in the form that compilers write: sdata4, relative. */
struct frame_description {
	uint32_t length;
	uint32_t common; /* where what many descriptions share is */
	int32_t start;   /* from this field */
	uint32_t size;   /* bytes of code */
};

/* Linkers write this one form; in another one nothing is found. */
static int find_table(const struct elf_object *obj, struct frame_table *table)
{
	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];
		uint8_t header[HEADER_BYTES];
		uint32_t count;

		if (segment->p_type != PT_GNU_EH_FRAME ||
		    !elf_object__in_file(obj, segment->p_offset, segment->p_filesz) ||
		    segment->p_filesz < HEADER_BYTES + 8)
			continue;
		if (elf_object__read(obj, segment->p_offset, header, sizeof(header)) < 0 ||
		    elf_object__read(obj, segment->p_offset + HEADER_BYTES + 4, &count,
				     sizeof(count)) < 0)
			return -ENOENT;
		if (header[0] != 1 || (header[1] & 0x0f) != ENCODED_S4 || header[2] != ENCODED_U4 ||
		    header[3] != ENCODED_DATA_REL_S4)
			return -ENOENT;
		table->vaddr = segment->p_vaddr;
		table->offset = segment->p_offset + HEADER_BYTES + 8;
		table->count = (segment->p_filesz - HEADER_BYTES - 8) / sizeof(struct frame_entry);
		if (count < table->count)
			table->count = count;
		return table->count ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static bool read_entry(const struct elf_object *obj, const struct frame_table *table,
		       uint64_t index, struct frame_entry *entry)
{
	return elf_object__read(obj, table->offset + index * sizeof(*entry), entry,
				sizeof(*entry)) == sizeof(*entry);
}

/* Bytes of the function that starts at `start`; 0 when the description is in another form. */
static uint64_t read_size(const struct elf_object *obj, uint64_t vaddr, uint64_t start)
{
	uint64_t field = vaddr + offsetof(struct frame_description, start), offset, left;
	struct frame_description description;

	if (!elf_object__loaded_offset(obj, vaddr, 0, &offset, &left) ||
	    left < sizeof(description) ||
	    elf_object__read(obj, offset, &description, sizeof(description)) < 0 ||
	    field + (uint64_t)(int64_t)description.start != start)
		return 0;
	return description.size;
}

static int search_table(const struct elf_object *obj, const struct frame_table *table,
			uint64_t vaddr, uint64_t *start, uint64_t *size)
{
	uint64_t low = 0, high = table->count;
	struct frame_entry entry;

	/* The last that starts at vaddr or before. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (!read_entry(obj, table, middle, &entry))
			return -ENOENT;
		if (table->vaddr + (uint64_t)(int64_t)entry.start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !read_entry(obj, table, low - 1, &entry))
		return -ENOENT;
	*start = table->vaddr + (uint64_t)(int64_t)entry.start;
	*size = read_size(obj, table->vaddr + (uint64_t)(int64_t)entry.description, *start);
	return 0;
}

/* Static programs at fixed addresses have no table: each description in its turn. */
static int search_section(const struct elf_object *obj, uint64_t vaddr, uint64_t *start,
			  uint64_t *size)
{
	struct frame_description description;
	const Elf64_Shdr *header;
	Elf_Data *data;

	data = elf_object__section_data(obj, obj->eh_frame, SECTION_MAX_BYTES, 1);
	if (!data)
		return -ENOENT;
	header = elf64_getshdr(obj->eh_frame);
	for (size_t at = 0; data->d_size - at >= sizeof(description);) {
		memcpy(&description, (const char *)data->d_buf + at, sizeof(description));
		/* 0 ends it; lengths beyond 32 bits start with ~0: nobody writes them. */
		if (!description.length || description.length > data->d_size - at - 4)
			return -ENOENT;
		*start = header->sh_addr + at + offsetof(struct frame_description, start) +
			 (uint64_t)(int64_t)description.start;
		*size = description.size;
		if (description.common && vaddr >= *start && vaddr - *start < *size)
			return 0;
		at += 4 + (size_t)description.length;
	}
	return -ENOENT;
}

int elf_object__function_at(const struct elf_object *obj, uint64_t vaddr, uint64_t *start,
			    uint64_t *end)
{
	struct frame_table table;
	uint64_t size;
	int err;

	err = find_table(obj, &table) ? search_section(obj, vaddr, start, &size)
				      : search_table(obj, &table, vaddr, start, &size);
	if (err || *start > vaddr || vaddr - *start >= size ||
	    size > elf_object__code_left(obj, *start))
		return -ENOENT;
	*end = *start + size;
	return 0;
}
