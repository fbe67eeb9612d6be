/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_UNIT_EH_FRAME_MAKER_H
#define TESTS_UNIT_EH_FRAME_MAKER_H

/* Call frame information put together by hand. */

#include <dwarf.h>
#include <string.h>

#include "unwind/eh_frame.h"

#define SECTION_AT 0x100000u
#define CODE_START 0x1000u
#define CODE_END   0x9000u

#define MAKER_BYTES 65536

struct maker {
	uint8_t bytes[MAKER_BYTES];
	size_t size;
	bool is_debug_frame, is_64;
	uint8_t encoding; /* of addresses in FDEs */
	bool has_data;    /* FDEs have augmentation data */
};

/* Instructions as an argument list. */
#define CFI(...)       (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define ADVANCE(count) (DW_CFA_advance_loc | (count))
#define SAVED(reg)     (DW_CFA_offset | (reg))
/* CFA = rsp + 8, return address at CFA - 8: how every function starts. */
#define START DW_CFA_def_cfa, 7, 8, SAVED(16), 1

static inline void put(struct maker *maker, uint64_t value, size_t size)
{
	memcpy(maker->bytes + maker->size, &value, size);
	maker->size += size;
}

static inline void put_bytes(struct maker *maker, const void *bytes, size_t size)
{
	memcpy(maker->bytes + maker->size, bytes, size);
	maker->size += size;
}

static inline void put_uleb(struct maker *maker, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put(maker, value | 0x80, 1);
	put(maker, value, 1);
}

static inline size_t begin_entry(struct maker *maker)
{
	if (maker->is_64)
		put(maker, 0xffffffff, 4);
	put(maker, 0, maker->is_64 ? 8 : 4);
	return maker->size;
}

static inline void end_entry(struct maker *maker, size_t begin)
{
	uint64_t length = maker->size - begin;
	size_t bytes = maker->is_64 ? 8 : 4;

	memcpy(maker->bytes + begin - bytes, &length, bytes);
}

/* Returns the CIE's offset. `data` is what the augmentation's letters stand for. */
static inline size_t put_cie(struct maker *maker, const char *augmentation, const uint8_t *data,
			     size_t data_size, const uint8_t *program, size_t size)
{
	size_t offset = maker->size, begin = begin_entry(maker);

	if (maker->is_debug_frame)
		put(maker, UINT64_MAX, maker->is_64 ? 8 : 4);
	else
		put(maker, 0, 4);
	put(maker, 1, 1); /* version */
	put_bytes(maker, augmentation, strlen(augmentation) + 1);
	put(maker, 1, 1);    /* code alignment */
	put(maker, 0x78, 1); /* data alignment -8 */
	put(maker, 16, 1);
	maker->has_data = *augmentation == 'z';
	if (maker->has_data) {
		put_uleb(maker, data_size);
		put_bytes(maker, data, data_size);
	}
	put_bytes(maker, program, size);
	end_entry(maker, begin);
	return offset;
}

static inline void put_pointer(struct maker *maker, uint64_t value, bool relative)
{
	static const size_t sizes[] = {8, 0, 2, 4, 8, 0, 0, 0, 8, 0, 2, 4, 8};

	if (maker->encoding == 0x50) { /* DW_EH_PE_aligned */
		while ((SECTION_AT + maker->size) % 8)
			put(maker, 0, 1);
		put(maker, value, 8);
		return;
	}
	if (relative && (maker->encoding & 0x70) == 0x10)
		value -= SECTION_AT + maker->size;
	if ((maker->encoding & 0x0f) == 1)
		put_uleb(maker, value);
	else
		put(maker, value, sizes[maker->encoding & 0x0f]);
}

static inline void put_fde(struct maker *maker, size_t cie, uint64_t start, uint64_t size,
			   const uint8_t *program, size_t program_size)
{
	size_t begin = begin_entry(maker);

	if (maker->is_debug_frame)
		put(maker, cie, maker->is_64 ? 8 : 4);
	else
		put(maker, maker->size - cie, 4);
	put_pointer(maker, start, true);
	put_pointer(maker, size, false);
	if (maker->has_data)
		put(maker, 0, 1);
	put_bytes(maker, program, program_size);
	end_entry(maker, begin);
}

/* What is usual: "zR" with addresses of the encoding. */
static inline size_t put_usual_cie(struct maker *maker)
{
	return put_cie(maker, "zR", &maker->encoding, 1, CFI(START));
}

/* Reads it from memory of its very size, so that a byte beyond it is noticed. */
static inline void read_made(const struct maker *maker, struct frame_rows *rows)
{
	static const struct frame_range code[] = {{CODE_START, CODE_END}};
	uint8_t *bytes = malloc(maker->size ? maker->size : 1);
	struct frame_section section = {.bytes = bytes,
					.size = maker->size,
					.vaddr = SECTION_AT,
					.is_debug_frame = maker->is_debug_frame};

	memcpy(bytes, maker->bytes, maker->size);
	memset(rows, 0, sizeof(*rows));
	assert_int_equal(frame_rows__read(rows, &section, code, 1), 0);
	free(bytes);
}

#endif
