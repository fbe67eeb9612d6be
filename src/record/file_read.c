// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "record/file.h"

static uint32_t get_u32(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), bytes, (uInt)size);
}

static const char *section_name(enum record_section section)
{
	static const char *const names[] = {
		[0] = "the head",
		[RECORD_HEAD] = "the trace's figures",
		[RECORD_STRINGS] = "strings",
		[RECORD_FILES] = "files",
		[RECORD_FRAMES] = "frames",
		[RECORD_STACKS] = "stacks",
		[RECORD_IDENTITIES] = "stack ids",
		[RECORD_SPACES] = "address spaces",
		[RECORD_VIEWS] = "outstanding allocations",
		[RECORD_PROCESSES] = "processes",
		[RECORD_WEIGHTS] = "weights",
		[RECORD_FACTS] = "facts",
		[RECORD_ITEMS] = "allocations",
		[RECORD_END] = "the end",
	};

	return names[section];
}

/* "cannot read FILE: byte 812, section 3 (frames): text: 90 where at most 12 was expected". */
int record_reader__refuse(struct record_reader *reader, const char *fmt, ...)
{
	va_list args;
	int used;

	used = snprintf(reader->error, RECORD_ERROR_MAX,
			"cannot read %s: byte %" PRIu64 ", section %" PRIu64 " (%s): ",
			reader->name, reader->at, reader->sections, section_name(reader->section));
	va_start(args, fmt);
	if (used > 0 && used < RECORD_ERROR_MAX)
		vsnprintf(reader->error + used, RECORD_ERROR_MAX - (size_t)used, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int no_memory(struct record_reader *reader)
{
	snprintf(reader->error, RECORD_ERROR_MAX, "cannot read %s: out of memory", reader->name);
	return -ENOMEM;
}

/* Damaged by a transfer or a disk, or not whole: the same advice. */
#define GET_ANOTHER_COPY "get another copy of it, or record again"

/* What is made of the file may take more with every byte of it. */
static void add_budget(struct record_reader *reader, size_t bytes)
{
	uint64_t more = bytes * RECORD_MEMORY_FACTOR;

	if (more > RECORD_MEMORY_MAX - reader->budget_given)
		more = RECORD_MEMORY_MAX - reader->budget_given;
	reader->budget_given += more;
	reader->budget.left += more;
}

/* Exactly so many bytes. 0, or an error after a message. */
static int read_bytes(struct record_reader *reader, uint8_t *to, size_t size)
{
	size_t got;
	int err;

	errno = 0;
	got = fread(to, 1, size, reader->in);
	reader->at += got;
	add_budget(reader, got);
	if (got == size)
		return 0;
	if (ferror(reader->in)) {
		err = errno ? -errno : -EIO;
		snprintf(reader->error, RECORD_ERROR_MAX, "cannot read %s: %s", reader->name,
			 strerror(-err));
		return err;
	}
	return record_reader__refuse(reader,
				     "the file ends here, where %zu bytes more were expected: it "
				     "is cut short; " GET_ANOTHER_COPY,
				     size - got);
}

static int check_version(struct record_reader *reader, uint32_t version)
{
	uint32_t major = version & 0xffff, minor = version >> 16;

	reader->minor = minor;
	if (major == RECORD_MAJOR && minor <= RECORD_MINOR)
		return 0;
	snprintf(reader->error, RECORD_ERROR_MAX,
		 "cannot read %s: it is a recording of version %u.%u, and this memdrift (%s) reads "
		 "%u.0 to %u.%u: %s",
		 reader->name, major, minor, MEMDRIFT_VERSION, RECORD_MAJOR, RECORD_MAJOR,
		 RECORD_MINOR,
		 major < RECORD_MAJOR ? "an older memdrift reads it"
				      : "use the memdrift that wrote it, or a newer one");
	return -ENOTSUP;
}

int record_reader__begin(struct record_reader *reader, FILE *in, const char *name,
			 char error[RECORD_ERROR_MAX])
{
	uint8_t head[RECORD_HEAD_BYTES];
	int err;

	*reader = (struct record_reader){.in = in, .name = name, .error = error};
	reader->budget.left = reader->budget_given = RECORD_MEMORY_BASE;
	err = read_bytes(reader, head, sizeof(head));
	if (err)
		return err;
	if (memcmp(head, RECORD_MAGIC, 8) != 0) {
		snprintf(error, RECORD_ERROR_MAX,
			 "cannot read %s: it is no recording, as `memdrift trace --record` writes "
			 "them",
			 name);
		return -EINVAL;
	}
	if (get_u32(head + 12) != checksum(head, 12))
		return record_reader__refuse(reader, "the checksum of the head is wrong: the file "
						     "is damaged; " GET_ANOTHER_COPY);
	return check_version(reader, get_u32(head + 8));
}

/* zlib's stream in packed, which must make exactly the raw bytes that were announced. */
static int unpack(struct record_reader *reader, uint32_t packed_bytes, uint32_t raw_bytes)
{
	uLongf raw = raw_bytes;
	uLong packed = packed_bytes;
	int status = uncompress2(reader->raw, &raw, reader->packed, &packed);

	if (status == Z_MEM_ERROR)
		return no_memory(reader);
	if (status != Z_OK || raw != raw_bytes || packed != packed_bytes)
		return record_reader__refuse(reader,
					     "its content is no zlib stream of %u bytes, as "
					     "announced; " GET_ANOTHER_COPY,
					     raw_bytes);
	return 0;
}

static int read_section_head(struct record_reader *reader, uint8_t head[RECORD_SECTION_BYTES])
{
	int err = read_bytes(reader, head, RECORD_SECTION_BYTES);
	uint32_t kind = get_u32(head), packed, raw;

	if (err)
		return err;
	packed = get_u32(head + 4);
	raw = get_u32(head + 8);
	if (get_u32(head + 16) != checksum(head, 16))
		return record_reader__refuse(reader, "the checksum before this section is wrong: "
						     "the file is damaged; " GET_ANOTHER_COPY);
	if (kind < reader->section || kind < RECORD_HEAD ||
	    (kind > RECORD_ITEMS && kind != RECORD_END) ||
	    (kind == RECORD_ITEMS && reader->minor < 1))
		return record_reader__refuse(reader,
					     "a section of the kind %u does not belong "
					     "behind it",
					     kind);
	if (!raw || raw > RECORD_SECTION_BYTES_MAX || packed > compressBound(raw))
		return record_reader__refuse(
			reader,
			"a section of %u bytes, packed into %u, where at most %u are allowed", raw,
			packed, RECORD_SECTION_BYTES_MAX);
	if (reader->at + packed > RECORD_FILE_BYTES_MAX)
		return record_reader__refuse(reader,
					     "the file is larger than the %llu bytes that "
					     "a recording may have",
					     RECORD_FILE_BYTES_MAX);
	return 0;
}

/* Nothing may follow, and nothing may lack before. */
static int check_end(struct record_reader *reader, uint64_t raw_before)
{
	uint64_t sections = 0, raw_bytes = 0;

	codec__u64(&reader->codec, "sections", &sections, UINT64_MAX);
	codec__u64(&reader->codec, "raw bytes", &raw_bytes, UINT64_MAX);
	if (reader->codec.err || codec__more(&reader->codec) || sections != reader->sections - 1 ||
	    raw_bytes != raw_before)
		return record_reader__refuse(reader, "it does not tell of the sections before it: "
						     "the file is damaged; " GET_ANOTHER_COPY);
	if (fgetc(reader->in) != EOF)
		return record_reader__refuse(reader, "more follows after the end of the "
						     "recording; " GET_ANOTHER_COPY);
	return 0;
}

int record_reader__next(struct record_reader *reader)
{
	uint64_t raw_before = reader->raw_bytes;
	uint8_t head[RECORD_SECTION_BYTES];
	uint32_t packed, raw;
	int err;

	if (reader->codec.err == -ENOMEM)
		return no_memory(reader);
	if (reader->codec.err)
		return record_reader__refuse(reader, "%s", reader->codec.error);
	err = read_section_head(reader, head);
	if (err)
		return err;
	packed = get_u32(head + 4);
	raw = get_u32(head + 8);
	reader->section = (enum record_section)get_u32(head);
	reader->sections++;
	record_reader__free(reader);
	reader->packed = malloc(packed ? packed : 1);
	reader->raw = malloc(raw);
	if (!reader->packed || !reader->raw)
		return no_memory(reader);
	err = read_bytes(reader, reader->packed, packed);
	if (!err && get_u32(head + 12) != checksum(reader->packed, packed))
		err = record_reader__refuse(
			reader, "its checksum is wrong: the file is damaged; " GET_ANOTHER_COPY);
	if (!err)
		err = unpack(reader, packed, raw);
	if (err)
		return err;
	reader->raw_bytes += raw;
	codec__init_reader(&reader->codec, reader->minor, reader->raw, raw, &reader->budget);
	return reader->section == RECORD_END ? check_end(reader, raw_before) : 1;
}

void record_reader__free(struct record_reader *reader)
{
	free(reader->packed);
	free(reader->raw);
	reader->packed = reader->raw = NULL;
}

bool record_file__is_one(FILE *in)
{
	/* No text begins so, and one byte can be given back even to a pipe. */
	int first = fgetc(in);

	if (first != EOF)
		ungetc(first, in);
	return first == (uint8_t)RECORD_MAGIC[0];
}
