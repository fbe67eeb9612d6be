/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_THREAD_STACKS_H
#define MEMDRIFT_CENSUS_THREAD_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "golang/go_heap.h"
#include "census/claims.h"
#include "census/memory.h"
#include "census/pagemap.h"
#include "census/subject.h"
#include "model/space.h"

/*
 * Where threads have their stacks. glibc keeps lists of them (stack_cache.h), ended threads'
 * included; for what is in no list there are the threads' stack pointers
 * (/proc/PID/task/TID/syscall, which tells none for a thread that runs at that moment), and around
 * each one the bounds that glibc or musl keep in their struct pthread at the stack's upper end, or
 * else the whole mapping.
 */
struct stack_range {
	uint64_t start;
	uint64_t end;
	uint64_t sp;  /* 0: from glibc's lists */
	uint32_t tid; /* as the process sees it or as we do; 0: its thread has ended */
	bool exact;   /* the library's bounds; else the mapping, which may hold other memory too */
};

/* A process with more threads than this has the stacks of so many looked at (pid_max is 4 M). */
#define STACK_RANGES_MAX 65536

/*
 * Those that stack pointers lead to: by start, without overlaps, without the main thread's [stack],
 * in memory that the caller frees. Stacks inside the Go heap are left out. 0, -ESRCH,
 * -ENOMEM.
 */
int thread_stacks__read(uint32_t pid, const struct maps_entry *entries, size_t n,
			struct pagemap *pm, enum go_heap go_heap, struct stack_range **ranges,
			size_t *count);

/* A list of them, empty when zeroed; items are the owner's to free. */
struct stack_ranges {
	struct stack_range *items;
	size_t count, room;
};

/* 0 or -ENOMEM. */
int stack_ranges__add(struct stack_ranges *ranges, const struct stack_range *range);

/* Sorts by start and cuts overlaps, those that are not exact first. The number that is left. */
size_t stack_ranges__sort(struct stack_range *ranges, size_t count);

/* What thread_stacks__all looks at. */
struct stack_query {
	uint32_t pid;
	const struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	struct memory *memory;
	const char *exe; /* raw, may be NULL */
	enum go_heap go_heap;
};

/* Those of glibc's lists and, where a thread is in none, of stack pointers. As above. */
int thread_stacks__all(const struct stack_query *query, struct stack_range **ranges, size_t *count);

/* Sums over the stacks of a process. */
struct stack_facts {
	uint64_t live;   /* stacks that a thread has */
	uint64_t cached; /* of ended threads */
	uint64_t live_resident_bytes;
	uint64_t cached_resident_bytes;
	int64_t usual_bytes; /* address space of most of them; -1: there are none */
};

/*
 * Claims them. claims must be settled: where a stack's own bounds are not known it gets only what
 * is nobody's of its mapping. 0, -ESRCH, -ENOMEM.
 */
int thread_stacks__claim(struct subject *subject, enum go_heap go_heap, struct claims *claims,
			 struct stack_facts *out);

/* The one that holds addr, or NULL; *next (may be NULL) is where the answer changes. */
const struct stack_range *thread_stacks__find(const struct stack_range *ranges, size_t count,
					      uint64_t addr, uint64_t *next);

/*
 * The triple {stackblock, stackblock_size, guardsize} of nptl/descr.h in the words of a struct
 * pthread at tcb; the block holds both range->sp and, at its upper end, the struct.
 */
bool stack_bounds__find(const uint64_t *words, size_t count, uint64_t tcb,
			struct stack_range *range);

/* The stack pointer in a text of /proc/PID/task/TID/syscall; 0 when it tells none. */
uint64_t stack_pointer_of(const char *text);

#endif
