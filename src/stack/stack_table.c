// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/stack_table.h"

#include <stdlib.h>

_Static_assert(sizeof(struct stack_identity) == 16, "no padding in a hash key");

struct stack *stack_table__find(const struct stack_table *table, uint32_t pid, uint64_t start_ns,
				int32_t id)
{
	struct stack_identity key = {.start_ns = start_ns, .pid = pid, .id = id};
	struct stack *stack;

	HASH_FIND(hh, table->stacks, &key, sizeof(key), stack);
	return stack;
}

struct stack *stack_table__add(struct stack_table *table, uint32_t pid, uint64_t start_ns,
			       int32_t id, uint32_t depth)
{
	struct stack *stack;

	if (table->count >= STACKS_MAX || table->frames + depth > STACK_FRAMES_MAX_TOTAL)
		return NULL;
	stack = calloc(1, sizeof(*stack) + depth * sizeof(*stack->frames));
	if (!stack)
		return NULL;
	stack->key = (struct stack_identity){.start_ns = start_ns, .pid = pid, .id = id};
	stack->depth = depth;
	HASH_ADD(hh, table->stacks, key, sizeof(stack->key), stack);
	table->count++;
	table->frames += depth;
	return stack;
}

void stack_table__free(struct stack_table *table)
{
	struct stack *stack, *next;

	HASH_ITER (hh, table->stacks, stack, next) {
		HASH_DEL(table->stacks, stack);
		free(stack);
	}
	*table = (struct stack_table){0};
}
