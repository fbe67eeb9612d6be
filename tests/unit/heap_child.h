/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_HEAP_CHILD_H
#define MEMDRIFT_TESTS_HEAP_CHILD_H

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "census_child.h"

/* Work on glibc's own heaps, which sanitizers do not replace, in a child process. */
void *__libc_malloc(size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);

/* What the child and its parent share: counters of what is in use. */
#define HEAP_THREADS_MAX 16

struct heap_shared {
	uint64_t live_bytes[HEAP_THREADS_MAX]; /* of each thread, chunk headers included */
	uint64_t rounds[HEAP_THREADS_MAX];
};

/* xorshift64*: the same numbers on every machine. */
static inline uint64_t heap__random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline struct heap_shared *heap__share(void)
{
	struct heap_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		abort();
	return shared;
}

/* Size of the chunk that holds a block. Not inlined: the header lies outside what the compiler
 * believes the block to be. */
static __attribute__((noinline, unused, no_sanitize("address"))) uint64_t
heap__chunk_bytes(uint64_t block)
{
	return ((const uint64_t *)block)[-1] & ~7ULL;
}

/* malloc_info's sums: what the arenas have of the kernel, and what of it is free (tops included,
 * what lies in thread caches not). */
struct heap_truth {
	uint64_t arenas, system_bytes, fast_bytes, free_bytes, mmapped_chunks, mmapped_bytes;
};

static inline uint64_t heap__attribute(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

static inline struct heap_truth heap__truth(void)
{
	static char text[1 << 18];
	struct heap_truth truth = {0};
	FILE *f = fmemopen(text, sizeof(text), "w");
	const char *total = text;

	if (!f || malloc_info(0, f) || fclose(f))
		abort();
	for (const char *p = text; (p = strstr(p, "<heap nr=")); p++)
		truth.arenas++;
	for (const char *p = text; (p = strstr(p, "</heap>")); p++)
		total = p;
	truth.fast_bytes = heap__attribute(strstr(total, "<total type=\"fast\""), "size=\"");
	truth.free_bytes = heap__attribute(strstr(total, "<total type=\"rest\""), "size=\"");
	truth.mmapped_chunks = heap__attribute(strstr(total, "<total type=\"mmap\""), "count=\"");
	truth.mmapped_bytes = heap__attribute(strstr(total, "<total type=\"mmap\""), "size=\"");
	truth.system_bytes = heap__attribute(strstr(total, "<system type=\"current\""), "size=\"");
	return truth;
}

/* Anonymous memory that is resident: without the pages of files, which come and go. */
static inline uint64_t heap__anonymous_bytes(void)
{
	static char text[4096];
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (!n)
		abort();
	fclose(f);
	text[n] = '\0';
	return 1024 * heap__attribute(strstr(text, "\nAnonymous:"), "Anonymous:");
}

#endif
