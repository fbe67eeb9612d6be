/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_EXPLANATION_H
#define MEMDRIFT_CENSUS_EXPLANATION_H

#include <stdbool.h>
#include <stdint.h>

#include "census/cgroup_facts.h"
#include "census/ledger.h"
#include "census/proc_stat.h"
#include "golang/go_facts.h"
#include "heap/allocators.h"
#include "heap/glibc_census.h"

/*
 * Everything that one reading of a process from outside told: each resident byte by what holds it,
 * and what the allocators' and runtimes' own books say.
 */
struct explanation {
	uint32_t pid;
	uint64_t start_ticks;
	char comm[PROC_COMM_MAX]; /* raw */
	char *exe;                /* raw; owned; NULL unknown */
	uint32_t threads;

	struct ledger ledger;
	uint64_t thread_stacks_live,
		thread_stacks_cached; /* stacks of threads, and of ended ones */
	uint64_t thread_stacks_live_resident_bytes, thread_stacks_cached_resident_bytes;
	int64_t thread_stack_bytes; /* address space of most of them; -1 none */

	bool has_glibc, has_go;
	const char *no_glibc; /* why not, when there is none; a constant or NULL */
	struct glibc_census glibc;
	struct go_facts go;
	struct allocators allocators;
	struct cgroup_facts cgroup;
	int cpus_online;

	bool has_rollup; /* else the kernel did not tell the next three: unknown, not 0 */
	uint64_t swap_bytes;
	uint64_t huge_bytes; /* anonymous memory in huge pages (AnonHugePages) */
	uint64_t pss_bytes;
	bool has_status; /* the same for the next two */
	uint64_t page_table_bytes;
	uint64_t rss_peak_bytes; /* VmHWM */
	char thp_mode[16];       /* "always", "madvise", "never"; "" unknown */

	uint32_t readings; /* how often all of it was read; more than once: it changed */
	uint64_t unplaced; /* ranges that an allocator has beyond CLAIMS_MAX: in the ledger they are
			    * what their mapping looks like */
	bool changed;      /* its mappings were no longer the same after the reading that is kept */
	uint64_t cpu_ns;   /* CPU time of memdrift for it */
	uint64_t wall_ns;
	uint64_t bytes_read; /* of the process's memory */
};

/*
 * Reads all of it, again when the process changed meanwhile, at most EXPLANATION_READINGS times,
 * and keeps the reading whose ledger is nearest to the kernel's sum. 0, -ESRCH, -ENODATA (a kernel
 * thread), -EACCES, -ENOMEM. *out is freed with explanation__free, also after an error.
 */
#define EXPLANATION_READINGS 3
int explanation__read(uint32_t pid, struct explanation *out);
void explanation__free(struct explanation *explanation);

#endif
