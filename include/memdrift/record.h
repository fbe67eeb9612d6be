/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_H
#define MEMDRIFT_RECORD_H

#include "memdrift/types.h"

/*
 * Records of rare events, in the order in which they were put into the ring: one order over all
 * CPUs. Removals (munmap, the old range of an mremap, what a MAP_FIXED covers) are recorded when
 * their system call starts, additions when it returns. Whoever gets an address anew got it after
 * the kernel removed the old owner, so in ring order no removal follows the addition that it
 * made room for.
 *
 * pid is the thread group (what users call the process), tid the kernel's per-thread pid, both
 * in the initial PID namespace. Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns),
 * start_ns is the group leader's start_boottime, rounded down to the 10 ms of /proc/PID/stat, which
 * with the pid identifies a process.
 */
enum record_type {
	REC_MMAP = 1,     /* struct rec_mapping: mmap returned; result is the address */
	REC_MMAP_FIXED,   /* rec_mapping: mmap with MAP_FIXED starts: [addr, len) is covered */
	REC_MUNMAP,       /* rec_mapping: munmap starts */
	REC_MREMAP_ENTER, /* rec_mapping: mremap starts; MREMAP_FIXED covers [aux2, aux) */
	REC_MREMAP,       /* rec_mapping: mremap returned; result is the new address */
	REC_BRK,          /* rec_mapping: brk returned; addr asked for, result the break now */
	REC_MPROTECT,     /* rec_mapping: mprotect or pkey_mprotect returned */
	REC_MADVISE,      /* rec_mapping: madvise returned; prot holds the advice */
	REC_REREAD,       /* rec_mapping: the range [addr, len) must be read from /proc again */
	REC_FORK,         /* rec_fork: a process or a thread was created */
	REC_EXEC,         /* rec_process: a new program was loaded */
	REC_EXIT_GROUP,   /* rec_process: exit_group starts: the last moment of the process */
	REC_EXIT,         /* rec_process: a thread, or with RECF_GROUP_DEAD the process, ended */
	REC_OOM,          /* rec_process: the OOM killer chose this process */
	REC_ARENA_GET,    /* rec_arena: glibc's arena_get2 returned */
	REC_ARENA_NEW,    /* rec_arena: glibc's memory_arena_new USDT fired */
	REC_HEAP_NEW,     /* rec_arena: glibc's memory_heap_new USDT fired */
};

struct rec_header {
	uint32_t type;
	uint32_t flags; /* RECF_* */
	uint32_t pid;
	uint32_t tid;
	uint64_t time_ns;
	uint64_t start_ns;
};
MEMDRIFT_ASSERT_SIZE(struct rec_header, 32);

#define RECF_THREAD     (1u << 0) /* REC_FORK: a thread of the same process */
#define RECF_SHARES_VM  (1u << 1) /* REC_FORK: vfork or CLONE_VM: one address space for both */
#define RECF_GROUP_DEAD (1u << 2) /* REC_EXIT: it was the last thread */
#define RECF_FAILED     (1u << 3) /* the call returned an error: result is -errno */
#define RECF_THREADED   (1u << 4) /* REC_FORK: the parent has other threads that may map memory */
#define RECF_UNPAIRED   (1u << 5) /* REC_REREAD: the call had started before the trace */
#define RECF_BY_THREAD  (1u << 6) /* REC_EXEC: by a thread that was not the first */

/* No stack was taken, or there was no room (a named loss). Else a stack's id: memdrift/unwind.h. */
#define STACK_NONE (-1)

struct rec_mapping {
	struct rec_header hdr;
	uint64_t enter_ns;  /* when the system call started */
	uint64_t addr;      /* as the caller gave it */
	uint64_t len;       /* likewise, not rounded to pages */
	int64_t result;     /* returned; 0 in records made when a call starts */
	uint64_t aux;       /* mremap: new length; mmap: file offset */
	uint64_t aux2;      /* mremap: new address asked for with MREMAP_FIXED */
	uint32_t prot;      /* mmap, mprotect: PROT_*; madvise: advice; mremap: MREMAP_* */
	uint32_t map_flags; /* mmap: MAP_* */
	int32_t fd;         /* mmap: file descriptor or -1 */
	int32_t stack;      /* its id, STACK_NONE when none */
};
MEMDRIFT_ASSERT_SIZE(struct rec_mapping, 96);

struct rec_fork {
	struct rec_header hdr; /* of the parent */
	uint32_t child_pid;
	uint32_t child_tid;
	uint64_t child_start_ns;
	char comm[16];
};
MEMDRIFT_ASSERT_SIZE(struct rec_fork, 64);

struct rec_process {
	struct rec_header hdr;
	int32_t status;   /* REC_EXIT: wait status; REC_EXIT_GROUP: its argument */
	uint32_t exec_id; /* REC_EXEC: as in struct fault_key */
	uint64_t cpu_ns;  /* REC_EXIT of a group: CPU time of all its threads */
	/* REC_EXEC, REC_EXIT of a group: page faults of all its threads, FAULTS_UNKNOWN */
	uint64_t faults;
	char comm[16];
};
MEMDRIFT_ASSERT_SIZE(struct rec_process, 72);

#define FAULTS_UNKNOWN (~0ull)

struct rec_arena {
	struct rec_header hdr;
	uint64_t enter_ns; /* when arena_get2 was entered */
	uint64_t address;  /* malloc_state (arena) or heap_info (heap); 0: none was got */
	uint64_t size;     /* asked for */
	int32_t stack;
	uint32_t reserved;
};
MEMDRIFT_ASSERT_SIZE(struct rec_arena, 64);

#endif
