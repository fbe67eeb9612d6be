// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What has a length: strings, lists, and the memory that they take. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "record/codec_impl.h"

/* What an allocation takes beside its bytes: glibc's least chunk, so that empty ones count. */
#define CHUNK_BYTES 32

/* The length of a string and, when reading, its bytes. */
static const uint8_t *text_bytes(struct codec *codec, const char *field, size_t *length, size_t max)
{
	const uint8_t *from;

	*length = codec__count(codec, field, *length, max, 1);
	if (codec->writes || codec->err)
		return NULL;
	from = codec__take(codec, field, *length);
	if (from && memchr(from, '\0', *length)) {
		codec__refuse(codec, field, "a text with a NUL in it");
		return NULL;
	}
	return from;
}

static void put_text(struct codec *codec, const char *field, const char *text, size_t length)
{
	uint8_t *to = codec__put(codec, field, length);

	if (to && length)
		memcpy(to, text, length);
}

void codec__chars(struct codec *codec, const char *field, char *buf, size_t size)
{
	size_t length = codec->writes ? strnlen(buf, size) : 0;
	const uint8_t *from = text_bytes(codec, field, &length, size - 1);

	if (codec->writes) {
		put_text(codec, field, buf, length);
	} else if (from) {
		memcpy(buf, from, length);
		memset(buf + length, 0, size - length);
	}
}

void codec__string(struct codec *codec, const char *field, char **text, size_t max)
{
	bool present = codec__present(codec, field, *text);
	size_t length = codec->writes && present ? strlen(*text) : 0;
	const uint8_t *from;

	if (!present)
		return;
	from = text_bytes(codec, field, &length, max);
	if (codec->writes)
		put_text(codec, field, *text, length);
	else if (from && (*text = codec__alloc(codec, field, length + 1, 1)))
		memcpy(*text, from, length);
}

bool codec__present(struct codec *codec, const char *field, const void *part)
{
	bool present = codec->writes && part;

	codec__bool(codec, field, &present);
	return present && !codec->err;
}

size_t codec__count(struct codec *codec, const char *field, size_t n, size_t max,
		    size_t least_bytes)
{
	uint64_t count = codec->writes ? n : 0;

	codec__u64(codec, field, &count, max);
	if (!codec->writes && !codec->err && count > (codec->size - codec->at) / least_bytes)
		codec__refuse(codec, field, "%" PRIu64 " of them, and %zu bytes to hold them",
			      count, codec->size - codec->at);
	return codec->err ? 0 : (size_t)count;
}

bool codec__charge(struct codec *codec, const char *field, uint64_t bytes)
{
	if (codec->err)
		return false;
	if (!codec->budget || codec->writes)
		return true;
	if (bytes > codec->budget->left) {
		codec__fail(codec, -EFBIG, field,
			    "this would take more memory than a file of this size can stand for");
		return false;
	}
	codec->budget->left -= bytes;
	return true;
}

void *codec__alloc(struct codec *codec, const char *field, size_t n, size_t size)
{
	uint64_t bytes;
	void *memory;

	if (__builtin_mul_overflow((uint64_t)n, (uint64_t)size, &bytes) ||
	    __builtin_add_overflow(bytes, CHUNK_BYTES, &bytes))
		bytes = UINT64_MAX;
	if (!codec__charge(codec, field, bytes))
		return NULL;
	memory = calloc(n ? n : 1, size);
	if (!memory)
		codec__fail(codec, -ENOMEM, field, "out of memory");
	return memory;
}

void *codec__grow(struct codec *codec, void *items, uint32_t count, uint32_t *room, size_t size,
		  uint32_t max)
{
	uint32_t bigger = *room ? 2 * *room : 64;
	void *grown;

	if (codec->err)
		return NULL;
	if (count < *room)
		return items;
	if (count >= max) {
		codec__refuse(codec, "records", "more than %u of one kind", max);
		return NULL;
	}
	if (!codec__charge(codec, "records", (uint64_t)(bigger - *room) * size))
		return NULL;
	grown = reallocarray(items, bigger, size);
	if (!grown) {
		codec__fail(codec, -ENOMEM, "records", "out of memory");
		return NULL;
	}
	*room = bigger;
	return grown;
}
