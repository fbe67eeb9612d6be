/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_CODEC_IMPL_H
#define MEMDRIFT_RECORD_CODEC_IMPL_H

#include "record/codec.h"

/* Shared by src/record/codec*.c only. */

/* As codec__refuse, with another error than -EINVAL. */
void codec__fail(struct codec *codec, int err, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Writing: room for n bytes more, or NULL. */
uint8_t *codec__put(struct codec *codec, const char *field, size_t n);
/* Reading: the next n bytes, or NULL. */
const uint8_t *codec__take(struct codec *codec, const char *field, size_t n);

#endif
