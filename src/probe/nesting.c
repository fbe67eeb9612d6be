// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/nesting.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "ingest/tracer.h"
#include "memdrift/config.h"

/* All words: it is a hash key. */
struct place_key {
	uint64_t dev;
	uint64_t ino;
	uint64_t offset; /* of the probe */
};

struct number {
	UT_hash_handle hh;
	struct place_key key;
	uint16_t value;
};

struct nesting {
	struct tracer *tracer;
	struct number *numbers;
};

struct nesting *nesting__new(struct tracer *tracer)
{
	struct nesting *nesting = calloc(1, sizeof(*nesting));

	if (nesting)
		nesting->tracer = tracer;
	return nesting;
}

void nesting__free(struct nesting *nesting)
{
	struct number *number, *next;

	if (!nesting)
		return;
	HASH_ITER (hh, nesting->numbers, number, next) {
		HASH_DEL(nesting->numbers, number);
		free(number);
	}
	free(nesting);
}

static struct number *number_of(struct nesting *nesting, const struct place_key *key)
{
	struct number *number;

	HASH_FIND(hh, nesting->numbers, key, sizeof(*key), number);
	if (number || HASH_COUNT(nesting->numbers) >= UINT16_MAX)
		return number;
	number = calloc(1, sizeof(*number));
	if (!number)
		return NULL;
	number->key = *key;
	number->value = (uint16_t)(HASH_COUNT(nesting->numbers) + 1);
	HASH_ADD(hh, nesting->numbers, key, sizeof(number->key), number);
	return number;
}

int nesting__number(struct nesting *nesting, const struct allocator_object *object,
		    const struct allocator_function *function)
{
	const struct place_key key = {object->dev, object->ino, function->site.offset};
	uint64_t site = function->vaddr + function->site.insn_offset;
	struct number *number;

	if (!function->nested_count)
		return 0;
	number = number_of(nesting, &key);
	if (!number)
		return -ENOSPC;
	/* Each time: the file may be another one in the same place. */
	for (size_t i = 0; i < function->nested_count; i++) {
		int err = tracer__add_nested_call(nesting->tracer, number->value,
						  (int64_t)(function->nested[i] - site));

		if (err)
			return err;
	}
	return number->value;
}
