/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_SUBJECT_H
#define MEMDRIFT_CENSUS_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/memory.h"
#include "census/page_runs.h"
#include "census/pagemap.h"
#include "census/proc_stat.h"
#include "census/smaps.h"
#include "model/space.h"

/*
 * One process that is explained, as it was at one moment: who it is, its mappings, its resident
 * pages, and the way to its memory. All that looks at a process from outside reads it through this.
 */
struct subject {
	uint32_t pid;
	struct proc_stat stat; /* start_ticks is its identity */
	char *exe;             /* raw, or NULL when it cannot be told */
	struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	struct page_runs runs;      /* all that Rss counts, by address, and the vDSO */
	struct smaps_rollup rollup; /* read right after the runs */
	bool has_rollup;
	struct memory memory;
};

/* pid is a process, not a thread. 0, -ESRCH, -ENODATA (a kernel thread), -EACCES, -ENOMEM, or what
 * reading the maps gave. */
int subject__open(uint32_t pid, struct subject *subject);
void subject__close(struct subject *subject);

/* Reads mappings and resident pages again; memory keeps its bounds and counts. As subject__open;
 * on an error what was there stays. */
int subject__renew(struct subject *subject);

/* The runs of what is resident in the mappings: all that Rss counts, and the vDSO. runs is empty.
 * 0, -ESRCH, -ENOMEM. */
int entries__runs(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		  struct page_runs *runs);

/* Still the same process, running the same program. */
bool subject__is_alive(struct subject *subject);

/* The entry that holds addr, or NULL. */
const struct maps_entry *subject__entry(const struct subject *subject, uint64_t addr);

/* Resident bytes of [start, end) as last read. */
uint64_t subject__resident(const struct subject *subject, uint64_t start, uint64_t end);

/* Address space that is mapped: nothing that a process says of its memory can be more. */
uint64_t subject__mapped(const struct subject *subject);

/* Private, of no file. [heap] is one, [stack] not. */
bool entry_is_anonymous(const struct maps_entry *entry);

/* Private, of no file, readable and writable: where allocators work. [heap] is one, [stack] not. */
bool entry_is_anonymous_rw(const struct maps_entry *entry);

/* Where mappings that are private and of no file, side by side from the one that holds addr on,
 * end, at most `until`; 0 when addr is in none. */
uint64_t entries__anonymous_end(const struct maps_entry *entries, size_t n, uint64_t addr,
				uint64_t until);

#endif
