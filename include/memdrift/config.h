/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CONFIG_H
#define MEMDRIFT_CONFIG_H

#include "memdrift/types.h"

/*
 * What the loader tells the BPF programs before they are loaded (read-only data there), and the
 * layouts of the maps that both sides read.
 */
enum target_mode {
	TARGET_HOST,   /* every process */
	TARGET_LISTED, /* the processes in the map `targets` and their children */
	TARGET_COMM,   /* the same; a process that execs as `comm` enters the list */
};

struct bpf_config {
	uint32_t target_mode;
	uint32_t own_pid;       /* memdrift itself is never a target */
	uint64_t stack_min_len; /* take stacks of mappings from this length on */
	uint64_t wakeup_bytes;  /* wake the reader when this much waits in the ring */
	uint32_t count_mallocs; /* children of targets get allocator counters */
	uint32_t stack_weights; /* allocator calls are also counted by stack */
	char comm[16];          /* TARGET_COMM */
};

/* A followed process; presence in the map is what counts. */
struct target {
	uint64_t start_ns;
};

/*
 * Request sizes by power of two: bucket 0 holds size 0, bucket k holds [2^(k-1), 2^k - 1].
 * A request above PTRDIFF_MAX, or a calloc whose product overflows, cannot succeed in any
 * allocator: it is counted as a call and as impossible, and enters no bucket.
 */
#define SIZE_BUCKETS 64

/*
 * Rows of calls, one for each distinct name key ("malloc", "aligned_alloc|memalign", ...) of the
 * run. Debian's libc has 9, its mimalloc 70: 256, all that the cookie has room for, holds every
 * allocator of a host side by side. Beyond it an attach fails with a counter.
 */
#define CALL_ROWS 256

struct size_count {
	uint64_t count;
	uint64_t bytes;
};

/* Per CPU and per process; cumulative, never reset while the process lives. */
struct alloc_counts {
	uint64_t calls[CALL_ROWS];
	struct size_count buckets[SIZE_BUCKETS];
	uint64_t impossible;
	uint64_t tail_calls; /* hits that belonged to the call before: not in calls or buckets */
};

/* What a probed entry point is, by where it expects the size. */
enum call_layout {
	LAYOUT_SIZE, /* malloc, valloc, pvalloc */
	LAYOUT_FREE,
	LAYOUT_NMEMB_SIZE,
	LAYOUT_REALLOC,
	LAYOUT_REALLOCARRAY,
	LAYOUT_ALIGNED,
	LAYOUT_POSIX_MEMALIGN,
	LAYOUT_HEAP_NMEMB_SIZE, /* mimalloc's, with a heap as the first argument */
	LAYOUT_HEAP_REALLOC,
	LAYOUT_AX_SIZE, /* a calloc whose first factor has been moved to rax */
};

/* Whether a function goes on into another entry point by a jump; see src/probe/handoff.h. */
enum handoff {
	HANDOFF_NONE,
	HANDOFF_JUMP,
	HANDOFF_ALIAS,
	HANDOFF_SMALL_ALIGN, /* by way of a function that it jumps to, for alignments that malloc
				has */
};

/*
 * The attach cookie of an allocator probe site: row of calls[], bytes pushed before it, layout,
 * handoff, and the number under which its calls to others are known.
 */
#define COOKIE_ROW(cookie)      ((uint32_t)(cookie)&0xff)
#define COOKIE_SP_DELTA(cookie) ((uint32_t)((cookie) >> 8) & 0xff)
#define COOKIE_LAYOUT(cookie)   ((uint32_t)((cookie) >> 16) & 0xff)
#define COOKIE_HANDOFF(cookie)  ((uint32_t)((cookie) >> 24) & 3)
#define COOKIE_NESTED(cookie)   ((uint16_t)((cookie) >> 32))
#define COOKIE_REACHES(cookie)  ((cookie) >> 24)
#define COOKIE_MAKE(row, sp_delta, layout, handoff, nested)                       \
	((uint64_t)(row) | (uint64_t)(sp_delta) << 8 | (uint64_t)(layout) << 16 | \
	 (uint64_t)(handoff) << 24 | (uint64_t)(nested) << 32)

/*
 * A call that an entry point with the number `nested` (0: of none) makes to another one is told by
 * how far behind the first one's probe it returns to. glibc has 4, mimalloc 40: room for those of
 * every library and static program of a host.
 */
#define NESTED_CALLS_MAX                  16384
#define NESTED_CALL_KEY(nested, distance) ((uint64_t)(nested) << 32 | (uint32_t)(distance))

/* Weights of allocator call stacks, when asked for. */
struct stack_key {
	uint32_t pid;
	int32_t stack;
};

/* A thread inside a system call that changes mappings; user space reads it when it re-reads. */
struct inflight {
	uint64_t enter_ns;
	uint64_t addr;
	uint64_t len;
	uint64_t aux;
	uint64_t aux2;
	uint32_t prot;
	uint32_t map_flags;
	int32_t fd;
	uint32_t type; /* enum record_type of the record that its return makes */
	uint32_t pid;
	uint32_t reserved;
};
MEMDRIFT_ASSERT_SIZE(struct inflight, 64);

/* Deepest stack kept, in frames: the kernel's default limit (perf_event_max_stack). */
#define STACK_DEPTH 127

#endif
