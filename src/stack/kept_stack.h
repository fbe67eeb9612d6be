/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_KEPT_STACK_H
#define MEMDRIFT_STACK_KEPT_STACK_H

#include <stddef.h>
#include <stdint.h>

#include "memdrift/config.h"
#include "memdrift/unwind.h"

/* A stack as the kernel's side has kept it. */
struct kept_stack {
	uint32_t depth;
	enum stack_end end;
	enum stack_leaf leaf;
	uint64_t frames[STACK_DEPTH]; /* addresses, leaf first */
};

/*
 * The stack that begins with block `id` of `count`. 0; -ENOENT when there is none of that number,
 * -EINVAL when what lies there is no stack.
 */
int kept_stack__decode(const struct stack_block *blocks, size_t count, int32_t id,
		       struct kept_stack *stack);

#endif
