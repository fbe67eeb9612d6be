// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/weights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/record.h"

/* The key has no padding that could differ: 8 + 4 + 4 bytes. */
_Static_assert(sizeof(struct stack_weight_key) == 16, "stack_weight_key");

static struct stack_weight *find_weight(struct stack_weights *weights,
					const struct stack_weight_key *key)
{
	struct stack_weight *weight;

	HASH_FIND(hh, weights->table, key, sizeof(*key), weight);
	return weight;
}

static struct stack_weight *find_or_make(struct stack_weights *weights, uint32_t pid,
					 uint64_t start_ns, int32_t stack)
{
	struct stack_weight_key key = {
		.start_ns = start_ns, .pid = pid, .stack = stack < 0 ? STACK_NONE : stack};
	struct stack_weight *weight = find_weight(weights, &key);

	if (weight)
		return weight;
	/* A stackless entry is always made: one per process, and processes are bounded. */
	if (key.stack != STACK_NONE && weights->count >= STACK_WEIGHTS_MAX) {
		weights->folded++;
		return find_or_make(weights, pid, start_ns, STACK_NONE);
	}
	weight = calloc(1, sizeof(*weight));
	if (!weight)
		return NULL;
	weight->key = key;
	HASH_ADD(hh, weights->table, key, sizeof(key), weight);
	weights->count++;
	return weight;
}

int stack_weights__add(struct stack_weights *weights, uint32_t pid, uint64_t start_ns,
		       int32_t stack, uint64_t count, uint64_t bytes)
{
	struct stack_weight *weight = find_or_make(weights, pid, start_ns, stack);

	if (!weight)
		return -ENOMEM;
	weight->count += count;
	weight->bytes += bytes;
	return 0;
}

int stack_weights__set(struct stack_weights *weights, uint32_t pid, uint64_t start_ns,
		       int32_t stack, uint64_t count, uint64_t bytes)
{
	struct stack_weight *weight = find_or_make(weights, pid, start_ns, stack);

	if (!weight)
		return -ENOMEM;
	/* One that was folded shares the stackless entry: what it had cannot be replaced. */
	if (weight->key.stack != (stack < 0 ? STACK_NONE : stack))
		return 0;
	weight->count = count;
	weight->bytes = bytes;
	return 0;
}

void stack_weights__free(struct stack_weights *weights)
{
	struct stack_weight *weight, *next;

	HASH_ITER (hh, weights->table, weight, next) {
		HASH_DEL(weights->table, weight);
		free(weight);
	}
	*weights = (struct stack_weights){0};
}
