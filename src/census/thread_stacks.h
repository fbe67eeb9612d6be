/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_THREAD_STACKS_H
#define MEMDRIFT_CENSUS_THREAD_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/pagemap.h"
#include "model/space.h"

/*
 * Where threads have their stacks now: their stack pointers (/proc/PID/task/TID/syscall, which
 * tells none for a thread that runs at that moment), and around each one the bounds that glibc
 * keeps in its struct pthread at the stack's upper end, or else the whole mapping.
 */
struct stack_range {
	uint64_t start;
	uint64_t end;
	uint64_t sp;
	uint32_t tid;
	bool exact; /* glibc's bounds; else the mapping, which may hold other memory too */
};

/* A process with more threads than this has the stacks of so many looked at (pid_max is 4 M). */
#define STACK_RANGES_MAX 65536

/*
 * By start, without overlaps, without the main thread's [stack], in memory that the caller frees.
 * With is_go, stacks inside the Go heap are left out. 0, -ESRCH, -ENOMEM.
 */
int thread_stacks__read(uint32_t pid, const struct maps_entry *entries, size_t n,
			struct pagemap *pm, bool is_go, struct stack_range **ranges, size_t *count);

/* The one that holds addr, or NULL; *next (may be NULL) is where the answer changes. */
const struct stack_range *thread_stacks__find(const struct stack_range *ranges, size_t count,
					      uint64_t addr, uint64_t *next);

/* The stack pointer in a text of /proc/PID/task/TID/syscall; 0 when it tells none. */
uint64_t stack_pointer_of(const char *text);

#endif
