/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_NAMER_H
#define MEMDRIFT_STACK_NAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memdrift/config.h"

/*
 * How analysis and output ask for the names of a stack, without knowing where they come from.
 * A stack id is only unique within a process (pid, start_ns).
 */

struct frame_file {
	const char *path;     /* raw, as the process has it mapped; never NULL */
	const char *build_id; /* lower-case hex, "" when there is none or it cannot be read */
	/* The executable segment that holds the frame; text_bytes is 0 when that is not known. */
	uint64_t text_vaddr;
	uint64_t text_offset; /* in the file */
	uint64_t text_bytes;
};

/* The last frame of a stack whose outermost frame is not known. */
#define FRAME_TRUNCATED "[truncated]"

struct frame_name {
	/*
	 * Raw: "runtime.mallocgc", "std::vector<int>::reserve(unsigned long)", "f (a.c:12)" when
	 * source lines were asked for, "libfoo.so.1+0x1234", "[anon]+0x40"; never NULL.
	 */
	const char *text;
	const char *function; /* text without a source line; NULL: not known */
	/* Raw base name of the mapped file, "[anon]", "[heap]", ...; never NULL. */
	const char *object;
	const struct frame_file *file; /* NULL: in no file ("[vdso]", "[anon]", unknown) */
	/*
	 * In the file; without one, in the mapping, or the address itself when that is unknown. As
	 * it stands on the stack: of a return address (is_return), the call ends at the byte
	 * before.
	 */
	uint64_t offset;
	uint64_t function_start; /* as offset; 0: not known */
	/*
	 * The compiler put it into the function of a later entry: the entries of one offset follow
	 * each other, innermost first, and all but the last of them are inlined.
	 */
	bool is_inlined;
	bool is_return;
	/*
	 * Raw path of the source and line of the code at offset (of the call, for an entry that
	 * holds an inlined one), NULL and 0 when not asked for or not known.
	 */
	const char *source;
	uint32_t line;
};

/* Room for a stack with what is inlined into it, and FRAME_TRUNCATED; where that is not enough,
 * inlined ones are left out first. STACK_DEPTH frames are never cut. */
#define STACK_ENTRIES_MAX 512

struct stack_namer {
	void *ctx;
	/*
	 * Fills at most `max` entries, leaf first, and returns how many; 0 when there is no stack.
	 * With source lines a frame can have several, so that `max` may be above STACK_DEPTH. The
	 * strings and files live as long as what is behind ctx; files are shared by their frames.
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
