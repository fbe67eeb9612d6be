/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_CALL_GRAPH_H
#define MEMDRIFT_PROBE_CALL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/allocator.h"
#include "probe/elf_object.h"
#include "probe/plt.h"

/*
 * Direct calls and jumps out of stretches of an object's code, each decoded once. A stretch is a
 * function, or the part of one that the compiler moved elsewhere (malloc.cold).
 */
struct call_graph;

struct call_edge {
	uint64_t target;
	uint64_t next; /* address behind the instruction: where a call returns to */
	bool is_call;
	bool is_foreign; /* leads into another object, as far as the PLT tells */
	const struct allocator_function *entry; /* that the target is or leads to; NULL: none */
};

struct call_part {
	uint64_t start, end;
	struct call_edge *edges; /* in the order of the code */
	size_t count;
};

/* The arguments must outlive it. NULL when memory is out. */
struct call_graph *call_graph__new(const struct allocator_object *object, struct elf_object *elf,
				   const struct plt *plt);
void call_graph__free(struct call_graph *graph);

/*
 * The stretch that has code at vaddr; size 0: as long as the object's frame table says, or its full
 * symbol table. NULL when that is not known, when it is longer than SITE_CODE_MAX, or when enough
 * was decoded.
 */
const struct call_part *call_graph__part(struct call_graph *graph, uint64_t vaddr, uint64_t size);

#endif
