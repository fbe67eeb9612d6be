/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_PROCESS_H
#define MEMDRIFT_MODEL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "memdrift/config.h"
#include "memdrift/record.h"
#include "memdrift/row_set.h"
#include "model/arenas.h"
#include "model/estimate.h"
#include "model/live_view.h"
#include "model/ring.h"
#include "model/space.h"

/* Calls and bytes of the mapping system calls; failed calls are counted apart and in no sum. */
struct mapping_counts {
	uint64_t mmap_calls, mmap_bytes;     /* bytes: rounded to pages, as mapped */
	uint64_t munmap_calls, munmap_bytes; /* bytes: what was really mapped and is so no more */
	uint64_t mremap_calls;
	uint64_t brk_calls; /* refused ones included: they return the break as it is */
	int64_t brk_delta_bytes;
	uint64_t mprotect_calls, madvise_calls;
	uint64_t failed_calls;
};

/* Resident memory by what holds it, in bytes; filled by the census, `known` false before. */
struct residency {
	bool known;
	double t_s; /* when it was read, seconds since the trace began */
	uint64_t arenas, thread_stacks, brk, go_heap, direct, file, other;
};

/* What malloc held at one time by glibc's own structures, as `explain` reads them; filled by the
 * census, `known` false where it was not read. Chunks that have a mapping of their own are apart.
 */
struct heap_use {
	bool known;
	bool complete;               /* all of it was walked and agrees with glibc's own sums */
	double t_s;                  /* when it was read, seconds since the trace began */
	uint64_t in_use_bytes;       /* handed to the program, chunk headers included */
	uint64_t in_use_error_bytes; /* 0: it stood still */
	uint64_t free_bytes;         /* in bins, caches and tops */
	uint64_t trimmable_bytes;    /* of free: what malloc_trim(0) would return */
	uint64_t mmapped_bytes;      /* in chunks of their own mapping */
};

struct rss_sample {
	double t_s;
	uint64_t rss_bytes;
};

/* One interval: what happened in it. */
struct interval {
	double t_s; /* its end */
	uint64_t alloc_calls, alloc_bytes, free_calls;
	uint64_t mmap_calls, mmap_bytes, munmap_bytes;
	uint64_t rss_bytes; /* at its end; 0 when it could not be read */
};

enum process_end { PROCESS_RUNS, PROCESS_EXITING, PROCESS_EXITED };

struct process {
	UT_hash_handle hh; /* by pid, among the running ones */
	struct process *next_ended;
	uint32_t pid;
	uint32_t parent_pid;
	uint64_t start_ns;    /* boot time of its start, as the kernel's records give it */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat, = start_ns / (1e9 /
				 sysconf(_SC_CLK_TCK)) */
	char comm[16];        /* raw */
	char *exe;            /* raw path, NULL when unknown */
	bool is_target;       /* named by the user, not only a child */
	bool kernel_thread;
	bool begins_with_exec; /* the command: it calls no allocator before its exec */
	uint64_t first_seen_ns, ended_ns;
	enum process_end end;
	int32_t exit_status; /* wait status once ended; -1 unknown */
	bool oom_killed;
	uint32_t threads_created, threads_ended, children, execs;

	struct space *space;        /* never NULL */
	int64_t mapped_start_bytes; /* mapped when first seen; -1: unknown */
	bool needs_reread;          /* the model may differ from /proc: read again when possible */
	uint32_t rereads, healed_ranges; /* how often it was read again; ranges that had differed */
	struct mapping_counts mapping;
	struct arenas arenas;

	bool counted;                        /* allocator probes cover it */
	struct row_set probed_rows;          /* of alloc.calls: those with a probe */
	double covered_from_s, covered_to_s; /* of the trace; to < 0: until the end */
	struct alloc_counts alloc;           /* sums over CPUs, as of the last drain */
	struct live_view *live;       /* what it has not freed; NULL: not tracked. A reference */
	struct class_counts *classes; /* the same by size class; NULL: not counted so */
	uint32_t allocators;          /* bit of each enum allocator_kind that it maps; 0: unknown */
	struct alloc_estimate *estimate; /* alloc is what bursts saw; NULL: it is all */

	struct ring intervals;     /* of struct interval */
	struct ring bucket_series; /* of uint64_t[SIZE_BUCKETS]: calls per interval */
	struct rss_sample rss_first, rss_last, rss_min, rss_max;
	struct { /* running sums for the least-squares slope */
		double n, t, y, tt, ty;
	} slope;
	/* Page faults as the kernel counts them, minor and major ones, since the process's birth;
	 * FAULTS_UNKNOWN. And the programs that it runs, see struct fault_key. */
	struct {
		uint64_t before, now; /* when it was first followed; at the last reading */
		uint32_t exec_id, first_exec_id;
		bool exec_known;
	} faults;
	struct residency at_start, at_end;
	struct heap_use heap_start, heap_end;

	/* What the rings' next interval is counted from. */
	struct mapping_counts interval_mapping;
	struct interval_alloc *interval_alloc; /* NULL before the first counted interval */
	bool rss_fresh;                        /* sampled since the last interval ended */
	uint64_t missing_since_ns; /* when a re-read first found no such process; 0: it is there */
	bool dropped;              /* on its way out of a full model */
};

/*
 * Memory is out: NULL. intervals: how many the rings keep. Its space is empty and unseeded; `space`
 * (a reference that the process takes over) may be given instead of NULL.
 */
struct process *process__new(uint32_t pid, uint64_t start_ns, const char *comm, uint64_t time_ns,
			     uint32_t intervals, struct space *space);
void process__free(struct process *process);
/* Leaves the space it has for another one (a reference that it takes over). */
void process__set_space(struct process *process, struct space *space);
/* Takes a reference; gives back the one to what it had. NULL is fine. */
void process__set_live(struct process *process, struct live_view *view);
/* Clock ticks since boot, as /proc/PID/stat gives them, of a boot time in nanoseconds. */
uint64_t process__ticks(uint64_t start_ns);
/* At most 15 bytes and a NUL are copied; an empty name leaves what was known. */
void process__set_comm(struct process *process, const char *comm);

#endif
