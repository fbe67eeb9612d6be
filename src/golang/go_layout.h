/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_LAYOUT_H
#define MEMDRIFT_GOLANG_GO_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Where the fields lie that are read of the Go runtime's own structures: mgcpacer.go, mstats.go,
 * mheap.go, mpagealloc.go. X(name, structure, member, needed): the offset of a member, or of a
 * member of a member; with no member, the size of the structure. What is not needed by the figures
 * is absent in some versions.
 */
#define GO_FIELDS(X)                                                       \
	X(GC_PERCENT, "gcControllerState", "gcPercent", true)              \
	X(MEMORY_LIMIT, "gcControllerState", "memoryLimit", true)          \
	X(HEAP_MINIMUM, "gcControllerState", "heapMinimum", true)          \
	X(HEAP_MARKED, "gcControllerState", "heapMarked", true)            \
	X(HEAP_IN_USE, "gcControllerState", "heapInUse", true)             \
	X(HEAP_RELEASED, "gcControllerState", "heapReleased", true)        \
	X(HEAP_FREE, "gcControllerState", "heapFree", true)                \
	X(TOTAL_ALLOC, "gcControllerState", "totalAlloc", true)            \
	X(TOTAL_FREE, "gcControllerState", "totalFree", true)              \
	X(MAPPED_READY, "gcControllerState", "mappedReady", true)          \
	X(PERCENT_GOAL, "gcControllerState", "gcPercentHeapGoal", true)    \
	X(SWEEP_TRIGGER, "gcControllerState", "sweepDistMinTrigger", true) \
	X(TRIGGERED, "gcControllerState", "triggered", true)               \
	X(STACKS_SYS, "mstats", "stacks_sys", true)                        \
	X(MSPAN_SYS, "mstats", "mspan_sys", true)                          \
	X(MCACHE_SYS, "mstats", "mcache_sys", true)                        \
	X(BUCKHASH_SYS, "mstats", "buckhash_sys", true)                    \
	X(GC_MISC_SYS, "mstats", "gcMiscSys", true)                        \
	X(OTHER_SYS, "mstats", "other_sys", true)                          \
	X(NUM_GC, "mstats", "numgc", true)                                 \
	X(HEAP_STATS, "mstats", "heapStats.stats", true)                   \
	X(COMMITTED, "heapStatsDelta", "committed", true)                  \
	X(RELEASED, "heapStatsDelta", "released", true)                    \
	X(IN_HEAP, "heapStatsDelta", "inHeap", true)                       \
	X(IN_STACKS, "heapStatsDelta", "inStacks", true)                   \
	X(IN_WORK_BUFS, "heapStatsDelta", "inWorkBufs", true)              \
	X(IN_PTR_SCALAR_BITS, "heapStatsDelta", "inPtrScalarBits", false)  \
	X(DELTA_BYTES, "heapStatsDelta", "", true)                         \
	X(ALL_SPANS, "mheap", "allspans", false)                           \
	X(ARENAS, "mheap", "arenas", false)                                \
	X(SUMMARY, "mheap", "pages.summary", false)                        \
	X(CHUNKS, "mheap", "pages.chunks", false)                          \
	X(SCAVENGE_INDEX, "mheap", "pages.scav.index.chunks", false)       \
	X(ARENA_BYTES, "heapArena", "", false)                             \
	X(CHUNK_BYTES, "pallocData", "", false)                            \
	X(SPAN_START, "mspan", "startAddr", false)                         \
	X(SPAN_PAGES, "mspan", "npages", false)                            \
	X(SPAN_ALLOC_COUNT, "mspan", "allocCount", false)                  \
	X(SPAN_CLASS, "mspan", "spanclass", false)                         \
	X(SPAN_STATE, "mspan", "state", false)                             \
	X(SPAN_ELEM_BYTES, "mspan", "elemsize", false)

#define GO_FIELD_ENUM(name, structure, member, needed) GO_##name,
enum go_field { GO_FIELDS(GO_FIELD_ENUM) GO_FIELD_COUNT };
#undef GO_FIELD_ENUM

/* Offset of a field that this version does not have. */
#define GO_ABSENT UINT32_MAX

/* The largest of these structures, mheap, has 200 kB; nothing beyond is believed. */
#define GO_OFFSET_MAX (16u << 20)

struct go_layout {
	uint32_t at[GO_FIELD_COUNT];
};

/* All that the figures need is there. */
bool go_layout__is_usable(const struct go_layout *layout);

/*
 * By the program's own debugging information (DWARF). fd is read, and stays the caller's, by
 * a child process, which is waited for at most six seconds. 0, -ENOENT (there is none, it does not
 * describe a Go runtime, or reading it takes more than the largest real ones), -ENOMEM, -EMFILE.
 */
int go_layout__read_dwarf(int fd, struct go_layout *layout);

/*
 * As it was measured for this version, "go1.24.4": of a release of a minor version that is known,
 * without experiments that change the runtime. False for all others.
 */
bool go_layout__of_version(const char *version, struct go_layout *layout);

/* "go1.24.4", "go1.24rc1", "go1.24.4 X:...": 24; 0 when it says none. */
unsigned int go_version__minor(const char *version);

#endif
