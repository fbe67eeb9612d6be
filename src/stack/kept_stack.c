// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/kept_stack.h"

#include <errno.h>
#include <string.h>

int kept_stack__decode(const struct stack_block *blocks, size_t count, int32_t id,
		       struct kept_stack *stack)
{
	uint64_t header;
	size_t first = (size_t)id;

	if (id < 0 || first >= count)
		return -ENOENT;
	header = blocks[first].words[0];
	stack->depth = STACK_HEADER_DEPTH(header);
	stack->end = STACK_HEADER_END(header);
	stack->leaf = STACK_HEADER_LEAF(header);
	if (!header)
		return -ENOENT;
	if (stack->depth > STACK_DEPTH || stack->end >= STACK_ENDS_COUNT ||
	    stack->leaf > STACK_LEAF_SITE || 1 + stack->depth > (count - first) * STACK_BLOCK_WORDS)
		return -EINVAL;
	memcpy(stack->frames, &blocks[first].words[1], stack->depth * sizeof(uint64_t));
	return 0;
}
