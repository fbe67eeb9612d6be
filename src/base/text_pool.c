// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/text_pool.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct pooled {
	UT_hash_handle hh;
	char text[];
};

struct text_pool {
	struct pooled *texts;
	size_t bytes, max_bytes;
};

struct text_pool *text_pool__new(size_t max_bytes)
{
	struct text_pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->max_bytes = max_bytes;
	return pool;
}

void text_pool__free(struct text_pool *pool)
{
	struct pooled *pooled, *next;

	if (!pool)
		return;
	HASH_ITER (hh, pool->texts, pooled, next) {
		HASH_DEL(pool->texts, pooled);
		free(pooled);
	}
	free(pool);
}

const char *text_pool__keep_bytes(struct text_pool *pool, const char *bytes, size_t length)
{
	struct pooled *pooled;

	HASH_FIND(hh, pool->texts, bytes, length, pooled);
	if (pooled)
		return pooled->text;
	if (length > pool->max_bytes || pool->bytes > pool->max_bytes - length)
		return NULL;
	pooled = malloc(sizeof(*pooled) + length + 1);
	if (!pooled)
		return NULL;
	memcpy(pooled->text, bytes, length);
	pooled->text[length] = '\0';
	pool->bytes += sizeof(*pooled) + length + 1;
	HASH_ADD_KEYPTR(hh, pool->texts, pooled->text, length, pooled);
	return pooled->text;
}

const char *text_pool__keep(struct text_pool *pool, const char *text)
{
	return text_pool__keep_bytes(pool, text, strlen(text));
}
