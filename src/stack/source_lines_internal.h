/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_SOURCE_LINES_INTERNAL_H
#define MEMDRIFT_STACK_SOURCE_LINES_INTERNAL_H

/* What source_lines.c asks and source_lines_dwarf.c, in a child, answers; no one else. */

#include "base/child.h"
#include "stack/source_lines.h"

/* What the child sends for each place that it found, in any order; then so many entries. */
struct lines_head {
	uint32_t at;
	uint32_t count; /* 1 to SOURCE_LINES_MAX */
};

/* And then the bytes of both names, without NULs. */
struct lines_entry {
	uint32_t line;
	uint32_t function_bytes;
	uint32_t source_bytes;
};

/* Cut there. Mangled names of templates are the longest. */
#define LINES_TEXT_MAX 8191

struct lines_request {
	const int *fds;
	size_t fd_count;
	const uint64_t *vaddrs;
	size_t n;
};

/* source_lines__read() with other bounds. */
int source_lines__ask(const struct lines_request *request, const struct child_limits *limits,
		      uint64_t wall_ns, source_line_fn fn, void *ctx);

/* In the child: a child_fn with a struct lines_request. */
void source_lines__answer(void *request, int fd);

#endif
