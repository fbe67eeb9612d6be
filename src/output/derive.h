/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_DERIVE_H
#define MEMDRIFT_OUTPUT_DERIVE_H

#include "output/result.h"

/* Figures that text, JSON and folded stacks have to agree on. */

/* Sizes that bucket `bucket` of alloc_counts holds, both inclusive. */
uint64_t bucket__min_bytes(unsigned int bucket);
uint64_t bucket__max_bytes(unsigned int bucket);

/* Requests of known size: the sum over the buckets; process__requested_bytes is their bytes. */
uint64_t process__requests(const struct process *process);
/* Calls of one kind, of rows that have a probe. */
uint64_t process_result__calls(const struct trace_result *result,
			       const struct process_result *process, enum row_kind kind);
/* Seconds during which its allocator calls were counted; 0 when they were not. */
double process__covered_s(const struct process *process, double duration_s);

/* Seconds from the start of the trace to a CLOCK_MONOTONIC time; 0 for earlier ones. */
double trace_seconds(const struct model *model, uint64_t time_ns);

bool process__has_rss(const struct process *process);
/* Whether what it has not freed was tracked, read at least once, and is whole. */
bool process__live_known(const struct process *process);
/*
 * What of these weights is the process's, most calls first; *list is the caller's. Returns how
 * many, 0 when memory is out.
 */
size_t process__weights(const struct process *process, const struct stack_weights *weights,
			const struct stack_weight ***list);
/* Frees of what it was given before it was covered; its parent's gifts are known. */
uint64_t process__unknown_frees(const struct process *process);
/* Of what it was given during the trace; NAN when unknown or when the live set is a sample. */
double process__freed_bytes(const struct process *process);

/* The comm as a string of its own (it may fill its 16 bytes without NUL), printable. */
const char *process__comm(const struct process *process, char buf[COMM_TEXT_MAX]);

/* "usdt", "symbol", "mapping". */
const char *arena_source__name(enum arena_source source);

/*
 * How it ended, for people: "exited with status 0", "was killed by signal 9 (Killed)", "was killed
 * by the OOM killer". Empty while it runs.
 */
#define END_TEXT_MAX 96
const char *process__end_text(const struct process *process, char buf[END_TEXT_MAX]);
/* The same for a wait status alone. */
const char *wait_status_text(int status, char buf[END_TEXT_MAX]);

/* A stack in one line, leaf first: "arena_get2 < calloc < main". "unknown" without one. */
const char *stack_line(const struct trace_result *result, const struct process *process,
		       int32_t stack, char *buf, size_t size, size_t columns);

/*
 * A frame of a folded stack, printable already. The separators of the format may not be in it:
 * blanks end the stack, semicolons a frame.
 */
void folded_frame__put(FILE *out, const char *printable);
/* What has no stack. */
#define FOLDED_NO_STACK "[no-stack]"
/* What the trace kept in no group of its report, as with --older. */
#define FOLDED_NOT_LISTED "[not-listed]"

#endif
