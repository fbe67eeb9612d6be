/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PROC_STAT_H
#define MEMDRIFT_CENSUS_PROC_STAT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Small facts about a process from its files in /proc. Any process can end between two reads, and
 * another can take its pid: who needs to know compares start_ticks. Everywhere -ESRCH says that
 * there is no such process (any more) and -EINVAL that the kernel's text makes no sense.
 */

/* User programs have 15 characters; kernel workers show up to 63. */
#define PROC_COMM_MAX 64

struct proc_stat {
	char comm[PROC_COMM_MAX]; /* raw: any byte, also ')' and line breaks */
	char state;               /* R S D T t Z X I ... */
	uint32_t ppid;
	uint32_t flags;       /* PF_* of the kernel */
	uint64_t start_ticks; /* since boot, in 1/sysconf(_SC_CLK_TCK) s */
	uint64_t faults; /* page faults, minor and major ones, all threads, ended ones included */
	uint64_t cpu_ticks;          /* user + system, all threads, ended ones included */
	uint64_t children_cpu_ticks; /* the same of children that were waited for */
	uint64_t start_brk;          /* address; 0 when unknown (no permission, no memory) */
	uint32_t nr_threads;
	bool is_kernel_thread;
	bool is_zombie; /* ended, not yet waited for: it has no memory */
};

/* 0 or a negative errno. */
int proc_stat__read(uint32_t pid, struct proc_stat *out);

/* True when pid is a process that has not ended; a zombie has. Threads that are not the leader
 * of a process do not count. */
bool proc_exists(uint32_t pid);

/*
 * RSS as /proc/PID/statm gives it: some 2 us, no page table is walked. 0 bytes for kernel threads
 * and zombies. proc_stat__rss_error_bytes says how far off it may be.
 */
int proc_stat__rss(uint32_t pid, uint64_t *bytes);

/*
 * The most by which proc_stat__rss may differ from the truth on the running kernel for a process
 * of so many threads. 0 where statm sums up all CPUs' counters.
 */
uint64_t proc_stat__rss_error_bytes(uint32_t nr_threads);
/* The same for a given kernel and number of CPUs. */
uint64_t rss_error_bytes(unsigned int major, unsigned int minor, uint32_t cpus,
			 uint32_t nr_threads);

/*
 * The executable as the kernel names it, raw, " (deleted)" kept, in memory that the caller frees.
 * -ENOENT for kernel threads.
 */
int proc_stat__exe(uint32_t pid, char **path);

/* The value of Seccomp: in /proc/PID/status, the strictest of all threads: 0 none, 1 strict,
 * 2 filter; or a negative errno. */
int proc_seccomp(uint32_t pid);

/*
 * An environment variable as it was when the program started (setenv since then does not show;
 * the program can overwrite it). Value in memory that the caller frees; -ENOENT when not set.
 */
int proc_environ(uint32_t pid, const char *name, char **value);

/* Whether memdrift runs in the initial pid namespace, where pids are those of the kernel's
 * records. */
bool proc_in_initial_pid_ns(void);

/*
 * Calls fn for every process that /proc shows, in order of pid. fn returns 0 to go on, anything
 * else to stop, which is then returned. 0 or a negative errno.
 */
int proc_each(int (*fn)(void *ctx, uint32_t pid), void *ctx);
/* The same for the threads of a process: fn gets their tids. */
int proc_each_thread(uint32_t pid, int (*fn)(void *ctx, uint32_t tid), void *ctx);

/*
 * The process that a thread belongs to: what a user typed as a pid may be a tid. -ESRCH.
 */
int proc_tgid(uint32_t tid, uint32_t *tgid);

#endif
