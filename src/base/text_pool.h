/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_TEXT_POOL_H
#define MEMDRIFT_BASE_TEXT_POOL_H

#include <stddef.h>

/* Texts that are kept once, however often they are asked for. */
struct text_pool;

/* Past max_bytes of texts nothing more is kept. NULL when memory is out. */
struct text_pool *text_pool__new(size_t max_bytes);
void text_pool__free(struct text_pool *pool);

/* An equal text that lives as long as the pool, or NULL when memory or room is out. */
const char *text_pool__keep(struct text_pool *pool, const char *text);
const char *text_pool__keep_bytes(struct text_pool *pool, const char *bytes, size_t length);

#endif
