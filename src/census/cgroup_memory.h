/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_MEMORY_H
#define MEMDRIFT_CENSUS_CGROUP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/cgroup_facts.h"
#include "census/proc_stat.h"

/* What the kernel charged to a group and those below it, in bytes; -1 unknown. */
struct cgroup_stat {
	int64_t usage;   /* memory.current, memory.usage_in_bytes */
	int64_t peak;    /* memory.peak (5.19), memory.max_usage_in_bytes */
	int64_t anon;    /* anonymous memory that is mapped */
	int64_t file;    /* page cache, without shmem and the swap cache */
	int64_t shmem;   /* tmpfs, shared anonymous memory, System V segments, memfds */
	int64_t mapped;  /* of file and shmem: pages that a process has mapped */
	int64_t kernel;  /* page tables, stacks, slabs, per-CPU memory... */
	int64_t sockets; /* buffers of sockets; version 1 does not count them in usage: 0 */
	int64_t hugetlb; /* when the mount has memory_hugetlb_accounting (6.7), else 0 */
	int64_t swap;    /* beside usage */
	/* Of kernel; version 1 does not tell. */
	int64_t slab, page_tables, kernel_stack, percpu;
	int64_t inactive_file; /* of file: what is given back first */
	/* Times that the limit was hit: of version 1 that of this group itself, of 2 also those
	 * below it. */
	int64_t limit_hits, oom_kills;
	bool flat; /* version 1 before 5.11 without use_hierarchy: the groups below do not count */
};

/* From the directory of a group of version 1 or 2. What cannot be read is unknown. */
void cgroup_stat__read(const char *dir, int version, struct cgroup_stat *out);

/* A process's memory from its smaps_rollup, in bytes. */
struct cgroup_process {
	uint32_t pid, ppid;
	uint64_t stack_address;   /* where its stack began; 0 unknown */
	char comm[PROC_COMM_MAX]; /* raw */
	uint64_t rss, pss, swap;
	int64_t pss_anon, pss_shmem; /* -1 before Linux 5.4 */
	/* It runs in the memory of this process (vfork, clone with CLONE_VM), which is counted
	 * there; 0: in its own. */
	uint32_t shares_with;
};

/* From a text of smaps_rollup the figures alone. 0, -EINVAL. */
int cgroup_process__parse(const char *smaps_rollup, struct cgroup_process *out);

/*
 * The usage of a group by what holds it. The rows
 *
 *   processes     PSS: a page that n processes map counts 1/n in each
 *   cache         file pages that no process has mapped
 *   tmpfs         shmem that no process has mapped
 *   kernel, sockets, hugetlb
 *   difference    what the others miss of usage, or have too much
 *
 * add up to it. The difference has three parts, known when `has_difference`:
 *
 *   anon_difference    charged here beyond what its processes hold: shared with or held by
 *                      processes outside. Negative: they hold what others are charged for
 *   mapped_difference  the same of mapped files and shmem. Negative as a rule: libraries are
 *                      charged to the group that read them first
 *   rest               usage less all of the kernel's own parts: charges that CPUs hold in
 *                      advance, counters on their way
 *
 * Of mapped shmem the kernel keeps no count of its own: it is taken to be what the processes'
 * Pss_Shmem says, so that a page of tmpfs which only processes outside have mapped is shown in
 * cache rather than in mapped_difference; the sum is not touched by that.
 */
struct cgroup_memory {
	struct cgroup_facts facts; /* limits, quota, names */
	char *dir;                 /* of the memory controller; owned */
	struct cgroup_stat stat;
	/* All of the host: version 2 keeps no usage for it, version 1 one without kernel memory. It
	 * is unknown here. */
	bool is_root;

	struct cgroup_process *processes; /* greatest PSS first; owned */
	size_t process_count;
	size_t unread_count; /* processes that could not be read: no permission, no time left */
	int unread_err;      /* why, of the last one: a negative errno; -ETIME; 0 */
	uint64_t rss_sum, pss_sum, swap_sum; /* of those that have memory of their own */
	int64_t pss_anon_sum, pss_shmem_sum; /* -1 unknown */

	int64_t cache, tmpfs; /* -1 unknown */
	bool has_difference;
	int64_t difference, anon_difference, mapped_difference, rest;
	/* The kernel's parts against its usage. */
	struct check parts_check;

	uint32_t readings;     /* how often all was read because it changed */
	int64_t changed_bytes; /* by how much usage moved in the one that is told */
	bool steady;           /* that was within what is allowed for */
};

/* All the processes of a group are read within this; the rest is said to be unread. Walking the
 * page tables of a large process takes some 10 ms a GB. */
#define CGROUP_MEMORY_NS_MAX 10000000000ull
/* Rows that are kept: 100 bytes each. */
#define CGROUP_MEMORY_PROCESSES_MAX 65536

/*
 * Reads the group at `path`, a directory under /sys/fs/cgroup or a group's name (see
 * cgroup__each_process). 0, or with one message: -ENOENT, -EINVAL (no control group), -ENODEV (the
 * memory controller has no such group), -EACCES, -ENOMEM.
 */
int cgroup_memory__read(const char *path, struct cgroup_memory *out);
void cgroup_memory__free(struct cgroup_memory *memory);

/* Sums and differences from stat and processes, which are set. `cpus`: those online. */
void cgroup_memory__derive(struct cgroup_memory *memory, int cpus);

#endif
