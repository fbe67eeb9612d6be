/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_FRAME_CACHE_H
#define MEMDRIFT_STACK_FRAME_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "stack/jit_names.h"
#include "stack/namer.h"
#include "stack/objects.h"
#include "stack/stack_table.h"

/*
 * What each distinct frame is called, worked out once: demangled, with its source lines when they
 * are wanted.
 */
struct frame_cache;

/* Of a frame that stands in an object without a file: code made at run time, by jit_names. */
#define OBJECT_JIT (OBJECT_NONE - 1)

/* All texts together. Past this, frames are named by object and offset only as long as that can be
 * kept, and then by their object. */
#define FRAME_TEXTS_MAX_BYTES (512u << 20)
/* Reading source lines of all objects: afterwards the rest has none. */
#define FRAME_LINES_NS_MAX 180000000000ull

/* Both outlive it. NULL when memory is out. */
struct frame_cache *frame_cache__new(struct object_cache *objects, const struct jit_names *jit);
void frame_cache__free(struct frame_cache *cache);

/*
 * Reads the source lines of these frames of stacks, all of an object at once; those that are known
 * cost a look-up. 0 or -ENOMEM.
 */
int frame_cache__read_lines(struct frame_cache *cache, const struct stack_frame *frames, size_t n);

/*
 * The entries of a frame, innermost first, at least one; *n says how many. They live as long as the
 * cache. NULL when memory is out.
 */
const struct frame_name *frame_cache__find(struct frame_cache *cache,
					   const struct stack_frame *frame, size_t *n);

#endif
