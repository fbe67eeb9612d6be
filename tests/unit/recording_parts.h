/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_RECORDING_PARTS_H
#define MEMDRIFT_TESTS_RECORDING_PARTS_H

/* A recording taken apart, so that a test can change it, and sealed again. */
#include "recording_fixture.h"

#include <zlib.h>

#define SECTIONS_MAX 64

struct section {
	uint32_t kind;
	uint8_t *raw;
	size_t size;
};

struct parts {
	uint16_t major, minor;
	struct section sections[SECTIONS_MAX]; /* but for the end */
	size_t count;
};

static inline uint32_t get_u32(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static inline void put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static inline void take_apart(const struct recorded *rec, struct parts *parts)
{
	const uint8_t *bytes = (const uint8_t *)rec->bytes;
	size_t at = RECORD_HEAD_BYTES;

	*parts = (struct parts){.major = RECORD_MAJOR, .minor = RECORD_MINOR};
	while (get_u32(bytes + at) != RECORD_END) {
		struct section *section = &parts->sections[parts->count++];
		uLongf raw = get_u32(bytes + at + 8);
		uint32_t packed = get_u32(bytes + at + 4);

		section->kind = get_u32(bytes + at);
		section->size = raw;
		section->raw = malloc(raw);
		assert_int_equal(
			uncompress(section->raw, &raw, bytes + at + RECORD_SECTION_BYTES, packed),
			Z_OK);
		at += RECORD_SECTION_BYTES + packed;
	}
}

static inline void free_parts(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		free(parts->sections[i].raw);
}

static inline void put_section(FILE *out, uint32_t kind, const uint8_t *raw, size_t size)
{
	uLongf packed_size = compressBound(size);
	uint8_t head[RECORD_SECTION_BYTES], *packed = malloc(packed_size);

	assert_int_equal(compress2(packed, &packed_size, raw, size, 1), Z_OK);
	put_u32(head, kind);
	put_u32(head + 4, (uint32_t)packed_size);
	put_u32(head + 8, (uint32_t)size);
	put_u32(head + 12, (uint32_t)crc32(0, packed, (uInt)packed_size));
	put_u32(head + 16, (uint32_t)crc32(0, head, 16));
	fwrite(head, 1, sizeof(head), out);
	fwrite(packed, 1, packed_size, out);
	free(packed);
}

static inline size_t put_number(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value > 127; value >>= 7)
		to[n++] = (uint8_t)(value | 128);
	to[n++] = (uint8_t)value;
	return n;
}

/* With right checksums, sections and raw bytes in its end changed by so much. */
static inline char *put_together(const struct parts *parts, int sections, size_t *size)
{
	uint8_t head[RECORD_HEAD_BYTES] = RECORD_MAGIC, end[20];
	uint64_t raw_bytes = 0;
	char *bytes = NULL;
	FILE *out = open_memstream(&bytes, size);
	size_t n;

	assert_non_null(out);
	put_u32(head + 8, parts->major | (uint32_t)parts->minor << 16);
	put_u32(head + 12, (uint32_t)crc32(0, head, 12));
	fwrite(head, 1, sizeof(head), out);
	for (size_t i = 0; i < parts->count; i++) {
		put_section(out, parts->sections[i].kind, parts->sections[i].raw,
			    parts->sections[i].size);
		raw_bytes += parts->sections[i].size;
	}
	n = put_number(end, parts->count + (uint64_t)sections);
	n += put_number(end + n, raw_bytes);
	put_section(out, RECORD_END, end, n);
	assert_int_equal(fclose(out), 0);
	return bytes;
}

#endif
