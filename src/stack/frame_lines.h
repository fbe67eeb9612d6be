/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_FRAME_LINES_H
#define MEMDRIFT_STACK_FRAME_LINES_H

#include <stddef.h>

#include "base/text_pool.h"
#include "stack/objects.h"
#include "stack/source_lines.h"
#include "stack/stack_table.h"

/* Source lines of frames, asked for once. */
struct frame_lines;

/* Reading source lines of all objects: afterwards the rest has none. */
#define FRAME_LINES_NS_MAX 180000000000ull

/* Both outlive it; texts gets the names. NULL when memory is out. */
struct frame_lines *frame_lines__new(struct object_cache *objects, struct text_pool *texts);
void frame_lines__free(struct frame_lines *lines);

/* Reads those of these frames that are not known yet, all of an object at once. 0 or -ENOMEM. */
int frame_lines__read(struct frame_lines *lines, const struct stack_frame *frames, size_t n);

/* The functions around a frame's code, innermost first. NULL when it has none or was not read. */
const struct source_line *frame_lines__find(const struct frame_lines *lines,
					    const struct stack_frame *frame, size_t *n);

#endif
