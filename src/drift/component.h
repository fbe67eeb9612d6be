/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_COMPONENT_H
#define MEMDRIFT_DRIFT_COMPONENT_H

/*
 * What is followed of a process over time, each with the key it has in series files and in the
 * database. X(name, key, what it is). Bytes, but for the two counts. The first ones come from every
 * pass over /proc, those from ARENA_RESIDENT on from a census of the process's heaps, which only
 * processes that move get: they are unknown most of the time.
 */
#define COMPONENTS_PASS(X)                                 \
	X(RSS, "rss_bytes", "resident memory")             \
	X(ANON, "anon_bytes", "resident anonymous memory") \
	X(FILE, "file_bytes", "resident pages of files")   \
	X(SHMEM, "shmem_bytes", "resident shared memory")  \
	X(SWAP, "swap_bytes", "swapped-out memory")        \
	X(THREADS, "threads", "threads")
#define COMPONENTS_CENSUS(X)                                                                    \
	X(BRK, "brk_bytes", "brk heap, resident")                                               \
	X(ARENA_RESIDENT, "arena_resident_bytes", "malloc arenas, resident")                    \
	X(ARENA_COMMITTED, "arena_committed_bytes", "malloc arenas, committed")                 \
	X(ARENAS, "arenas", "malloc arenas, the main one included")                             \
	X(MALLOC_IN_USE, "malloc_in_use_bytes", "chunks of malloc in use")                      \
	X(MALLOC_FREE, "malloc_free_bytes", "chunks of malloc that are free")                   \
	X(GO_HEAP, "go_heap_bytes", "Go heap in use")                                           \
	X(GO_ALLOC, "go_alloc_bytes", "allocated objects in the Go heap")                       \
	X(GO_IDLE, "go_idle_bytes", "Go heap, idle and not released")                           \
	X(DIRECT_MAPPING, "direct_mapping_bytes", "anonymous memory of no allocator, resident") \
	X(THREAD_STACK, "thread_stack_bytes", "thread stacks, resident")
#define COMPONENTS(X) COMPONENTS_PASS(X) COMPONENTS_CENSUS(X)

#define COMPONENT_ENUM(name, key, text) COMPONENT_##name,
enum component { COMPONENTS(COMPONENT_ENUM) COMPONENT_MAX };
#undef COMPONENT_ENUM

const char *component__key(enum component component);
const char *component__text(enum component component);
/* COMPONENT_MAX: there is none of that key. */
enum component component__find(const char *key);

#endif
