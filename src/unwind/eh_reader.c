// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/eh_reader.h"

#include <string.h>

/* The low four bits of an encoding: how it is stored; the next three: what it counts from. */
#define FORM_MASK  0x0f
#define FROM_MASK  0x70
#define FORM_ULEB  0x01
#define FORM_SLEB  0x09
#define FORM_SDATA 0x08 /* or-ed to those of 2, 4 and 8 bytes */

uint64_t eh_reader__fixed(struct eh_reader *reader, size_t bytes)
{
	uint64_t value = 0;

	if (reader->failed || bytes > sizeof(value) || bytes > reader->size - reader->at) {
		reader->failed = true;
		return 0;
	}
	/* Of a size that the compiler knows. */
	if (bytes == 4)
		memcpy(&value, reader->bytes + reader->at, 4);
	else
		memcpy(&value, reader->bytes + reader->at, bytes);
	reader->at += bytes;
	return value;
}

/* Both kinds of LEB128: bits beyond the 64th are lost, as long as they say nothing. */
static uint64_t read_leb(struct eh_reader *reader, bool is_signed)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte;

	do {
		byte = eh_reader__byte(reader);
		/* 10 bytes hold 64 bits; nobody pads them further. */
		if (shift >= 70)
			reader->failed = true;
		if (reader->failed)
			return 0;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (is_signed && shift < 64 && byte & 0x40)
		value |= UINT64_MAX << shift;
	return value;
}

uint64_t eh_reader__long_uleb(struct eh_reader *reader)
{
	return read_leb(reader, false);
}

int64_t eh_reader__sleb(struct eh_reader *reader)
{
	return (int64_t)read_leb(reader, true);
}

struct eh_span eh_reader__span(struct eh_reader *reader, uint64_t size)
{
	struct eh_span span = {0};

	if (reader->failed || size > reader->size - reader->at) {
		reader->failed = true;
		return span;
	}
	span = (struct eh_span){reader->bytes + reader->at, (size_t)size};
	reader->at += (size_t)size;
	return span;
}

static uint64_t read_form(struct eh_reader *reader, uint8_t form)
{
	switch (form) {
	case FORM_ULEB:
		return eh_reader__uleb(reader);
	case FORM_SLEB:
		return (uint64_t)eh_reader__sleb(reader);
	case 0x02: /* udata2 */
		return eh_reader__fixed(reader, 2);
	case 0x03: /* udata4 */
		return eh_reader__fixed(reader, 4);
	case 0x02 | FORM_SDATA:
		return (uint64_t)(int16_t)eh_reader__fixed(reader, 2);
	case 0x03 | FORM_SDATA:
		return (uint64_t)(int32_t)eh_reader__fixed(reader, 4);
	case EH_ABSPTR: /* 8 bytes, as udata8 and sdata8 */
	case FORM_SDATA:
	case 0x04:
	case 0x04 | FORM_SDATA:
		return eh_reader__fixed(reader, 8);
	}
	reader->failed = true;
	return 0;
}

/* The next address that is a multiple of 8, of the loaded section. */
static void align(struct eh_reader *reader)
{
	eh_reader__span(reader, -(reader->vaddr + reader->at) & 7);
}

uint64_t eh_reader__pointer(struct eh_reader *reader, uint8_t encoding, bool relative)
{
	uint64_t from = reader->vaddr + reader->at, value;

	if (encoding == EH_ALIGNED) {
		align(reader);
		return eh_reader__fixed(reader, 8);
	}
	value = read_form(reader, encoding & FORM_MASK);
	if (!relative || !(encoding & (FROM_MASK | EH_INDIRECT)))
		return value;
	if ((encoding & (FROM_MASK | EH_INDIRECT)) != EH_PCREL) {
		reader->failed = true;
		return 0;
	}
	return from + value;
}

void eh_reader__skip_pointer(struct eh_reader *reader, uint8_t encoding)
{
	if (encoding == EH_OMIT)
		return;
	if (encoding == EH_ALIGNED)
		align(reader);
	read_form(reader, encoding == EH_ALIGNED ? EH_ABSPTR : encoding & FORM_MASK);
}
