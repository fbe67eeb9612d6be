/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_WEIGHTS_H
#define MEMDRIFT_STACK_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* What a stack of a process weighs: calls and bytes. Written as folded stacks. */
struct stack_weight_key {
	uint64_t start_ns;
	uint32_t pid;
	int32_t stack; /* STACK_NONE: what had no stack */
};

struct stack_weight {
	UT_hash_handle hh;
	struct stack_weight_key key;
	uint64_t count;
	uint64_t bytes;
};

/*
 * A table of them. The kernel's stack map holds the distinct stacks and bounds what can come here;
 * STACK_WEIGHTS_MAX is four times its largest size, since processes share ids. What finds no room
 * is added to the process's stackless weight, so that sums stay right, and counted in `folded`.
 */
#define STACK_WEIGHTS_MAX 262144

struct stack_weights {
	struct stack_weight *table;
	size_t count;
	uint64_t folded; /* additions that lost their stack for want of room */
};

/* Adds. 0 or -ENOMEM (nothing was added). */
int stack_weights__add(struct stack_weights *weights, uint32_t pid, uint64_t start_ns,
		       int32_t stack, uint64_t count, uint64_t bytes);
/* For sums that are drained whole each time: replaces what this stack had. 0 or -ENOMEM. */
int stack_weights__set(struct stack_weights *weights, uint32_t pid, uint64_t start_ns,
		       int32_t stack, uint64_t count, uint64_t bytes);
void stack_weights__free(struct stack_weights *weights);

#endif
