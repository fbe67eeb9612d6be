/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_EH_READER_H
#define MEMDRIFT_UNWIND_EH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are only looked at. */
struct eh_span {
	const uint8_t *bytes;
	size_t size;
};

/* Reads from a span, never past its end: what is not there is 0 and sets `failed`. */
struct eh_reader {
	const uint8_t *bytes;
	size_t size, at;
	uint64_t vaddr; /* of bytes[0] */
	bool failed;
};

/* DW_EH_PE_* of the LSB's Core specification, 10.5. */
#define EH_ABSPTR   0x00
#define EH_PCREL    0x10
#define EH_ALIGNED  0x50
#define EH_INDIRECT 0x80
#define EH_OMIT     0xff

/* Most of what is read: instructions and short operands. */
static inline uint8_t eh_reader__byte(struct eh_reader *reader)
{
	if (reader->failed || reader->at >= reader->size) {
		reader->failed = true;
		return 0;
	}
	return reader->bytes[reader->at++];
}

uint64_t eh_reader__fixed(struct eh_reader *reader, size_t bytes);
uint64_t eh_reader__long_uleb(struct eh_reader *reader);

static inline uint64_t eh_reader__uleb(struct eh_reader *reader)
{
	if (!reader->failed && reader->at < reader->size && reader->bytes[reader->at] < 0x80)
		return reader->bytes[reader->at++];
	return eh_reader__long_uleb(reader);
}

int64_t eh_reader__sleb(struct eh_reader *reader);
struct eh_span eh_reader__span(struct eh_reader *reader, uint64_t size);
/* A pointer as it is encoded; with relative = false only its size and sign (lengths). Those that
 * count from other places than themselves, or that lead to a pointer, are skipped and fail. */
uint64_t eh_reader__pointer(struct eh_reader *reader, uint8_t encoding, bool relative);
/* Steps over any pointer, of all encodings. */
void eh_reader__skip_pointer(struct eh_reader *reader, uint8_t encoding);

#endif
