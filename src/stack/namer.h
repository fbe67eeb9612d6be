/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_NAMER_H
#define MEMDRIFT_STACK_NAMER_H

#include <stddef.h>
#include <stdint.h>

#include "memdrift/config.h"

/*
 * How analysis and output ask for the names of a stack, without knowing where they come from.
 * A stack id is only unique within a process (pid, start_ns).
 */
struct frame_name {
	const char *
		text; /* raw: "runtime.mallocgc", "libfoo.so.1+0x1234", "[anon]+0x40"; never NULL */
	const char
		*object; /* raw base name of the mapped file, "[anon]", "[heap]", ...; never NULL */
};

/* The last frame of a stack whose outermost frame is not known. */
#define FRAME_TRUNCATED "[truncated]"

/* As many as a stack can have, with that one. */
#define STACK_NAMES_MAX (STACK_DEPTH + 1)

struct stack_namer {
	void *ctx;
	/*
	 * Fills at most `max` frames, leaf first, and returns how many; 0 when there is no stack.
	 * The strings live as long as what is behind ctx.
	 */
	size_t (*name)(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
		       struct frame_name *frames, size_t max);
};

/* The same, and 0 for a namer without function or a stack below 0. */
static inline size_t stack_namer__name(const struct stack_namer *namer, uint32_t pid,
				       uint64_t start_ns, int32_t stack, struct frame_name *frames,
				       size_t max)
{
	if (!namer || !namer->name || stack < 0)
		return 0;
	return namer->name(namer->ctx, pid, start_ns, stack, frames, max);
}

#endif
