/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CONFIG_H
#define MEMDRIFT_CONFIG_H

#include "memdrift/size_class.h"
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

/* By stack; by size class (memdrift/size_class.h); or only those of Go's own allocator by class. */
#define COUNT_BY_STACK    (1u << 0)
#define COUNT_BY_CLASS    (1u << 1)
#define COUNT_GO_BY_CLASS (1u << 2)

struct bpf_config {
	uint32_t target_mode;
	uint32_t own_pid;          /* memdrift itself is never a target */
	uint64_t stack_min_len;    /* take stacks of mappings from this length on */
	uint64_t wakeup_bytes;     /* wake the reader when this much waits in the ring */
	uint32_t count_mallocs;    /* children of targets get allocator counters */
	uint32_t count_by;         /* COUNT_BY_*: what allocator calls are counted by besides */
	uint32_t track_live;       /* the live set is kept: children of targets get spaces of it */
	uint32_t cpus;             /* possible ones */
	uint32_t live_bucket_mask; /* buckets of the live set less 1 */
	uint32_t live_stacks;      /* each allocation of it with its stack */
	uint32_t live_temporary;  /* what is freed before its thread's next allocation is counted */
	uint32_t never;           /* 0 */
	uint32_t walk_slots;      /* scratch memory for walks: a power of two */
	uint32_t stack_blocks;    /* of the map */
	uint64_t stack_hash_mask; /* all ones; fewer in tests, for stacks of one hash */
	uint32_t takes_stacks;    /* else no process has its code looked at */
	uint32_t fault_period;    /* page faults from one sampled one to the next; 0: none are */
	char comm[16];            /* TARGET_COMM */
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
	uint64_t failed;     /* --live: calls that returned nothing, and what they asked for */
	uint64_t failed_bytes;
	uint64_t unknown_frees; /* --live: frees of what is not in the live set */
	uint64_t space;         /* --live: number of its address space, the same on each CPU */
	uint64_t go_calls;      /* calls[] of Go's own allocator: their sizes are in no bucket */
	uint64_t stacks;        /* call stacks that hits walked, and the frames of all of them */
	uint64_t frames;
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
/*
 * With --live the upper half is the file offset of the site, and a bit says that the function may
 * go on into another entry point: then its return is wanted whatever it returns.
 */
#define COOKIE_OFFSET(cookie)       ((uint32_t)((cookie) >> 32))
#define COOKIE_WANTS_RETURN(cookie) ((cookie) >> 24 & 1)
#define COOKIE_MAKE_LIVE(row, layout, wants_return, offset)                            \
	((uint64_t)(row) | (uint64_t)(layout) << 16 | (uint64_t)(wants_return) << 24 | \
	 (uint64_t)(offset) << 32)
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

/* Steps of process starts in /proc/PID/stat: USER_HZ is 100. */
#define BOOT_TICK_NS 10000000

/* Whose sampled page faults are counted together. */
struct fault_key {
	uint32_t pid;
	uint32_t start_ticks; /* of the process, the lower half */
	uint32_t exec_id;     /* of the program: counts execs, its own and its ancestors' */
	int32_t stack;        /* STACK_NONE, FAULT_OF_EXEC */
};
MEMDRIFT_ASSERT_SIZE(struct fault_key, 16);

/* By execve(2): what the kernel touches before and while it sets up the new program. */
#define FAULT_OF_EXEC (-2)

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
