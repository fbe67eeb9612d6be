// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "record/file.h"

static void put_u32(uint8_t *to, uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), bytes, (uInt)size);
}

static void write_bytes(struct record_writer *writer, const uint8_t *bytes, size_t size)
{
	errno = 0;
	if (!writer->err && fwrite(bytes, 1, size, writer->out) != size)
		writer->err = errno ? -errno : -EIO;
}

int record_writer__begin(struct record_writer *writer, FILE *out)
{
	uint8_t head[RECORD_HEAD_BYTES] = RECORD_MAGIC;

	*writer = (struct record_writer){.out = out};
	codec__init_writer(&writer->codec, RECORD_MINOR);
	put_u32(head + 8, RECORD_MAJOR | RECORD_MINOR << 16);
	put_u32(head + 12, checksum(head, 12));
	write_bytes(writer, head, sizeof(head));
	return writer->err;
}

/* Packs what the codec has and begins anew. */
static void end_section(struct record_writer *writer)
{
	struct codec *codec = &writer->codec;
	uint8_t head[RECORD_SECTION_BYTES], *packed;
	uLongf size = compressBound(codec->used);

	if (writer->err || codec->err || !codec->used)
		return;
	if (codec->used > RECORD_SECTION_BYTES_MAX) {
		writer->err = -EFBIG;
		return;
	}
	packed = malloc(size);
	if (!packed || compress2(packed, &size, codec->out, codec->used, Z_BEST_SPEED) != Z_OK) {
		free(packed);
		writer->err = -ENOMEM;
		return;
	}
	put_u32(head, writer->section);
	put_u32(head + 4, (uint32_t)size);
	put_u32(head + 8, (uint32_t)codec->used);
	put_u32(head + 12, checksum(packed, size));
	put_u32(head + 16, checksum(head, 16));
	write_bytes(writer, head, sizeof(head));
	write_bytes(writer, packed, size);
	free(packed);
	writer->sections++;
	writer->raw_bytes += codec->used;
	codec->used = 0;
}

struct codec *record_writer__record(struct record_writer *writer, enum record_section section)
{
	if (section != writer->section || writer->codec.used >= RECORD_SECTION_BYTES_SOFT)
		end_section(writer);
	writer->section = section;
	return &writer->codec;
}

int record_writer__end(struct record_writer *writer, char error[RECORD_ERROR_MAX])
{
	struct codec *codec = record_writer__record(writer, RECORD_END);
	int err;

	codec__u64(codec, "sections", &writer->sections, UINT64_MAX);
	codec__u64(codec, "raw bytes", &writer->raw_bytes, UINT64_MAX);
	end_section(writer);
	if (codec->err)
		snprintf(error, RECORD_ERROR_MAX, "%s", codec->error);
	else if (writer->err)
		snprintf(error, RECORD_ERROR_MAX, "%s", strerror(-writer->err));
	err = codec->err ? codec->err : writer->err;
	codec__free(codec);
	return err;
}

void record_writer__drop(struct record_writer *writer)
{
	codec__free(&writer->codec);
}
