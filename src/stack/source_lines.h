/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_SOURCE_LINES_H
#define MEMDRIFT_STACK_SOURCE_LINES_H

#include <stddef.h>
#include <stdint.h>

/* One function that holds a place, the innermost first; all but the last one are inlined. */
struct source_line {
	const char *function; /* raw, mangled when the language does; "" when it has no name */
	const char *source;   /* raw path, "" when not known */
	uint32_t line;        /* 0: not known */
};

/* Inlining deeper than this is cut at the outside, where the symbol tables have the function. */
#define SOURCE_LINES_MAX 32

/* `at` is the index of the place; strings are valid during the call. */
typedef void (*source_line_fn)(void *ctx, size_t at, const struct source_line *lines, size_t n);

/*
 * Where n places (ascending virtual addresses) lie in the source, by the DWARF of the files behind
 * fds, the first that has any. It is read in a process of its own whose time and memory are
 * bounded; what was found until then counts. 0, or -ENOENT when nothing was.
 */
int source_lines__read(const int *fds, size_t fd_count, const uint64_t *vaddrs, size_t n,
		       source_line_fn fn, void *ctx);

#endif
