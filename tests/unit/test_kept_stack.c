// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Stacks as the kernel's side keeps them, and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "stack/kept_stack.h"

#define BLOCKS 16

static struct stack_block blocks[BLOCKS];

static void put(uint32_t first, uint32_t depth, uint32_t end, uint32_t leaf)
{
	uint64_t *words = blocks[first].words;

	words[0] = STACK_HEADER_MAKE(depth, end, leaf);
	for (uint32_t i = 0;
	     i < depth && first * STACK_BLOCK_WORDS + 1 + i < BLOCKS * STACK_BLOCK_WORDS; i++)
		words[1 + i] = 0x400000 + i;
}

static void a_stack_is_read_from_its_blocks(void **state)
{
	struct kept_stack stack;

	put(0, 3, STACK_END_root, STACK_LEAF_SITE);
	put(1, STACK_DEPTH, STACK_END_too_deep, STACK_LEAF_CALL);
	put(1 + STACK_BLOCKS_EACH, 0, STACK_END_unread_memory, STACK_LEAF_CALL);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 0, &stack), 0);
	assert_int_equal(stack.depth, 3);
	assert_int_equal(stack.end, STACK_END_root);
	assert_int_equal(stack.leaf, STACK_LEAF_SITE);
	assert_int_equal(stack.frames[2], 0x400002);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 1, &stack), 0);
	assert_int_equal(stack.depth, STACK_DEPTH);
	assert_int_equal(stack.leaf, STACK_LEAF_CALL);
	assert_int_equal(stack.frames[STACK_DEPTH - 1], 0x400000 + STACK_DEPTH - 1);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 1 + STACK_BLOCKS_EACH, &stack), 0);
	assert_int_equal(stack.depth, 0);
}

static void what_is_no_stack_is_refused(void **state)
{
	struct kept_stack stack;

	assert_int_equal(kept_stack__decode(blocks, BLOCKS, -1, &stack), -ENOENT);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, BLOCKS, &stack), -ENOENT);
	memset(blocks, 0, sizeof(blocks));
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 0, &stack), -ENOENT);
	put(0, STACK_DEPTH + 1, STACK_END_root, STACK_LEAF_SITE);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 0, &stack), -EINVAL);
	put(0, 1, STACK_ENDS_COUNT, STACK_LEAF_SITE);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 0, &stack), -EINVAL);
	put(0, 1, STACK_END_root, STACK_LEAF_SITE + 1);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, 0, &stack), -EINVAL);
	/* It would go on behind the last block. */
	put(BLOCKS - 1, STACK_BLOCK_WORDS - 1, STACK_END_root, STACK_LEAF_SITE);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, BLOCKS - 1, &stack), 0);
	put(BLOCKS - 1, STACK_BLOCK_WORDS, STACK_END_root, STACK_LEAF_SITE);
	assert_int_equal(kept_stack__decode(blocks, BLOCKS, BLOCKS - 1, &stack), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_is_read_from_its_blocks),
		cmocka_unit_test(what_is_no_stack_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
