// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "probe/elf_object_internal.h"

/*
 * .eh_frame_hdr (LSB Core, 10.6.2): version, the encodings of the pointer to .eh_frame, of a count
 * and of a table, then the pointer. Linkers write it as 4 bytes that count from themselves.
 */
#define HEADER_BYTES      8
#define ENCODED_PC_REL_S4 0x1b

/* Compressed sections say how large they become: a bound on what is believed. */
static bool is_usable(Elf_Scn *section, size_t max)
{
	const Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;

	/* Compressed .debug_frame: no packer compresses what unwinding needs at run time. */
	return header && header->sh_type != SHT_NOBITS && header->sh_size &&
	       header->sh_size <= max && !(header->sh_flags & SHF_COMPRESSED);
}

static int take_section(const struct elf_object *obj, Elf_Scn *section, size_t max,
			struct elf_frame_info *info)
{
	Elf_Data *data;

	if (!is_usable(section, max))
		return -ENOENT;
	data = elf_object__section_data(obj, section, max, 1);
	if (!data)
		return -EINVAL;
	info->bytes = data->d_buf;
	info->size = data->d_size;
	info->vaddr = elf64_getshdr(section)->sh_addr;
	return 0;
}

/* Without section headers: from where .eh_frame_hdr says on, to the end of that segment. */
static int take_segment(const struct elf_object *obj, const Elf64_Phdr *segment, size_t max,
			struct elf_frame_info *info)
{
	struct {
		uint8_t version, pointer, count, table;
		int32_t frames;
	} header;
	uint64_t offset, left;
	uint8_t *bytes;
	long got;

	_Static_assert(sizeof(header) == HEADER_BYTES, "as it is in the file");
	if (segment->p_filesz < HEADER_BYTES ||
	    elf_object__read(obj, segment->p_offset, &header, sizeof(header)) < 0 ||
	    header.version != 1 || header.pointer != ENCODED_PC_REL_S4)
		return -ENOENT;
	info->vaddr = segment->p_vaddr + 4 + (uint64_t)(int64_t)header.frames;
	if (!elf_object__loaded_offset(obj, info->vaddr, 0, &offset, &left))
		return -EINVAL;
	if (left > max)
		left = max;
	bytes = malloc(left);
	if (!bytes)
		return -ENOMEM;
	got = elf_object__read(obj, offset, bytes, left);
	if (got < 0) {
		free(bytes);
		return (int)got;
	}
	info->bytes = info->owned = bytes;
	info->size = left;
	info->ends_at_zero = true;
	return 0;
}

int elf_object__frame_info(const struct elf_object *obj, size_t max_bytes,
			   struct elf_frame_info *info)
{
	int err;

	*info = (struct elf_frame_info){0};
	err = take_section(obj, obj->eh_frame, max_bytes, info);
	for (size_t i = 0; i < obj->segment_count && err; i++) {
		if (obj->segments[i].p_type == PT_GNU_EH_FRAME && !obj->is_debug_file)
			err = take_segment(obj, &obj->segments[i], max_bytes, info);
	}
	if (err != -ENOENT)
		return err;
	info->is_debug_frame = true;
	return take_section(obj, obj->debug_frame, max_bytes, info);
}

void elf_frame_info__clear(struct elf_frame_info *info)
{
	free(info->owned);
	*info = (struct elf_frame_info){0};
}

size_t elf_object__code_segments(const struct elf_object *obj, struct elf_code_segment *segments,
				 size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < obj->segment_count; i++) {
		const Elf64_Phdr *segment = &obj->segments[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) ||
		    !segment->p_filesz || segment->p_vaddr > UINT64_MAX - segment->p_filesz ||
		    !elf_object__in_file(obj, segment->p_offset, segment->p_filesz))
			continue;
		if (count < max)
			segments[count] = (struct elf_code_segment){
				segment->p_vaddr, segment->p_offset, segment->p_filesz};
		count++;
	}
	return count;
}
