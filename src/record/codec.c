// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "record/codec_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 7 bits a byte. */
#define VARINT_BYTES_MAX 10

void codec__init_writer(struct codec *codec, uint32_t minor)
{
	*codec = (struct codec){.writes = true, .minor = minor};
}

void codec__init_reader(struct codec *codec, uint32_t minor, const void *bytes, size_t size,
			struct record_budget *budget)
{
	*codec = (struct codec){.minor = minor, .in = bytes, .size = size, .budget = budget};
}

void codec__free(struct codec *codec)
{
	free(codec->out);
	codec->out = NULL;
	codec->used = codec->room = 0;
}

static void fail(struct codec *codec, int err, const char *field, const char *fmt, va_list args)
{
	int used;

	if (codec->err)
		return;
	codec->err = err;
	used = snprintf(codec->error, sizeof(codec->error), "%s: ", field);
	if (used > 0 && (size_t)used < sizeof(codec->error))
		vsnprintf(codec->error + used, sizeof(codec->error) - (size_t)used, fmt, args);
}

void codec__refuse(struct codec *codec, const char *field, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fail(codec, -EINVAL, field, fmt, args);
	va_end(args);
}

void codec__fail(struct codec *codec, int err, const char *field, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fail(codec, err, field, fmt, args);
	va_end(args);
}

bool codec__more(const struct codec *codec)
{
	return !codec->err && codec->at < codec->size;
}

uint8_t *codec__put(struct codec *codec, const char *field, size_t n)
{
	uint8_t *at;

	if (codec->err)
		return NULL;
	if (codec->room - codec->used < n) {
		size_t room = codec->room + (codec->room > n ? codec->room : n) + 4096;
		uint8_t *bigger = realloc(codec->out, room);

		if (!bigger) {
			codec__fail(codec, -ENOMEM, field, "out of memory");
			return NULL;
		}
		codec->out = bigger;
		codec->room = room;
	}
	at = codec->out + codec->used;
	codec->used += n;
	return at;
}

const uint8_t *codec__take(struct codec *codec, const char *field, size_t n)
{
	const uint8_t *at = codec->in + codec->at;

	if (codec->err)
		return NULL;
	if (codec->size - codec->at < n) {
		codec__refuse(codec, field, "%zu bytes are missing at the section's end",
			      n - (codec->size - codec->at));
		return NULL;
	}
	codec->at += n;
	return at;
}

static void put_number(struct codec *codec, const char *field, uint64_t value)
{
	uint8_t bytes[VARINT_BYTES_MAX], *at;
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
	at = codec__put(codec, field, n);
	if (at)
		memcpy(at, bytes, n);
}

static bool take_number(struct codec *codec, const char *field, uint64_t *value)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < VARINT_BYTES_MAX; i++) {
		const uint8_t *byte = codec__take(codec, field, 1);

		if (!byte)
			return false;
		/* Of the tenth byte only one bit is left to 64. */
		if (i == VARINT_BYTES_MAX - 1 && *byte > 1)
			break;
		sum |= (uint64_t)(*byte & 0x7f) << 7 * i;
		if (!(*byte & 0x80)) {
			*value = sum;
			return true;
		}
	}
	codec__refuse(codec, field, "a number of more than 64 bits");
	return false;
}

/* Writes or reads one; false when it is not to be used. */
static bool number(struct codec *codec, const char *field, uint64_t *value)
{
	if (!codec->writes)
		return take_number(codec, field, value);
	put_number(codec, field, *value);
	return !codec->err;
}

void codec__u64(struct codec *codec, const char *field, uint64_t *value, uint64_t max)
{
	uint64_t found = *value;

	/* Before it is written, and after it was read. */
	if ((!codec->writes && !number(codec, field, &found)) || codec->err)
		return;
	if (found > max) {
		codec__refuse(codec, field, "%" PRIu64 " where at most %" PRIu64 " was expected",
			      found, max);
		return;
	}
	if (codec->writes)
		number(codec, field, &found);
	else
		*value = found;
}

void codec__u32(struct codec *codec, const char *field, uint32_t *value, uint32_t max)
{
	uint64_t wide = *value;

	codec__u64(codec, field, &wide, max);
	*value = (uint32_t)wide;
}

static uint64_t fold(int64_t value)
{
	return value < 0 ? ~(uint64_t)value << 1 | 1 : (uint64_t)value << 1;
}

static int64_t unfold(uint64_t folded)
{
	return folded & 1 ? (int64_t) ~(folded >> 1) : (int64_t)(folded >> 1);
}

void codec__i64(struct codec *codec, const char *field, int64_t *value, int64_t min, int64_t max)
{
	uint64_t folded = fold(*value);
	int64_t found;

	if ((!codec->writes && !number(codec, field, &folded)) || codec->err)
		return;
	found = unfold(folded);
	if (found < min || found > max) {
		codec__refuse(codec, field,
			      "%" PRId64 " where %" PRId64 " to %" PRId64 " was expected", found,
			      min, max);
		return;
	}
	if (codec->writes)
		number(codec, field, &folded);
	else
		*value = found;
}

void codec__i32(struct codec *codec, const char *field, int32_t *value, int32_t min, int32_t max)
{
	int64_t wide = *value;

	codec__i64(codec, field, &wide, min, max);
	*value = (int32_t)wide;
}

void codec__bool(struct codec *codec, const char *field, bool *value)
{
	uint64_t wide = *value;

	codec__u64(codec, field, &wide, 1);
	*value = wide != 0;
}

void codec__real(struct codec *codec, const char *field, double *value)
{
	uint64_t bits = 0;
	uint8_t *to = NULL;
	const uint8_t *from;

	if (codec->writes) {
		memcpy(&bits, value, sizeof(bits));
		to = codec__put(codec, field, sizeof(bits));
		for (unsigned int i = 0; to && i < sizeof(bits); i++)
			to[i] = (uint8_t)(bits >> 8 * i);
		return;
	}
	from = codec__take(codec, field, sizeof(bits));
	if (!from)
		return;
	for (unsigned int i = 0; i < sizeof(bits); i++)
		bits |= (uint64_t)from[i] << 8 * i;
	memcpy(value, &bits, sizeof(bits));
}

void codec__real_in(struct codec *codec, const char *field, double *value, double min, double max,
		    bool or_nan)
{
	double found = *value;

	if (!codec->writes)
		codec__real(codec, field, &found);
	if (codec->err)
		return;
	if (isnan(found) ? !or_nan : !(found >= min && found <= max)) {
		codec__refuse(codec, field, "%g where %g to %g was expected", found, min, max);
		return;
	}
	if (codec->writes)
		codec__real(codec, field, &found);
	else
		*value = found;
}
