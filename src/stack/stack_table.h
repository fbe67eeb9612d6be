/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_STACK_TABLE_H
#define MEMDRIFT_STACK_STACK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "memdrift/unwind.h"

/*
 * Stacks that were seen, each once per process. The kernel's ids are shared by all processes whose
 * addresses are equal; what the addresses mean is told by the process, so both make the key.
 */

/* Where a frame lies, which stays true after the process ended. */
struct stack_frame {
	uint64_t offset; /* into the object's file; of the mapping when it has no file */
	uint32_t object; /* of an object_cache; OBJECT_NONE: offset is a bare address */
	bool is_return;  /* offset is behind a call, which tells the function */
};

struct stack_identity {
	uint64_t start_ns;
	uint32_t pid;
	int32_t id;
};

struct stack {
	UT_hash_handle hh;
	struct stack_identity key;
	uint32_t depth;
	bool truncated;              /* its outermost frame is not known */
	struct stack_frame frames[]; /* leaf first */
};

/*
 * The kernel's own table holds some ten thousand stacks; forked families multiply them. 64 MiB of
 * frames is 200,000 stacks of 20 frames.
 */
#define STACKS_MAX             262144
#define STACK_FRAMES_MAX_TOTAL 4194304

struct stack_table {
	struct stack *stacks;
	size_t count;
	size_t frames;
};

struct stack *stack_table__find(const struct stack_table *table, uint32_t pid, uint64_t start_ns,
				int32_t id);
/* A new one with room for `depth` frames. NULL when memory or room is out. */
struct stack *stack_table__add(struct stack_table *table, uint32_t pid, uint64_t start_ns,
			       int32_t id, uint32_t depth);
void stack_table__free(struct stack_table *table);

#endif
