/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PAGEMAP_H
#define MEMDRIFT_CENSUS_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which pages of a process are resident, by address and not by mapping. Uses PAGEMAP_SCAN where
 * the kernel has it (6.7), else /proc/PID/pagemap. Looking changes nothing in the process.
 *
 * Counts equal the Rss of smaps: the zero page is not counted (a read of untouched memory maps
 * it), nor its huge form, nor hugetlb pages, which the kernel accounts apart.
 */
struct pagemap;

/*
 * Without PAGEMAP_SCAN entries are read one after the other, and there is one for every address,
 * mapped or not: reserved address space of terabytes (sanitizers, browsers) would take seconds.
 * Above this length only sums can be told, from what smaps says of whole mappings.
 */
#define ENTRIES_RANGE_MAX (64ULL << 30)

struct page_counts {
	uint64_t resident_bytes;
	uint64_t file_bytes; /* of those: page cache and shared memory, not private copies */
	uint64_t swapped_bytes;
};

/* 0, -ESRCH, -EACCES, -ENOMEM. The object reads the program that ran when it was opened: after
 * an exec all answers are -ESRCH. */
int pagemap__open(uint32_t pid, struct pagemap **out);
void pagemap__close(struct pagemap *pm);

/* False once the process has ended, or runs another program than when it was opened. */
bool pagemap__alive(struct pagemap *pm);

/* Resident pages side by side. file: page cache and shared memory, no private copy. */
typedef void (*page_run_fn)(void *ctx, uint64_t start, uint64_t end, bool file);

/*
 * Calls fn for the runs of resident pages in [start, end), by address; two that touch may be one.
 * 0, -ESRCH, -EINVAL; -EOPNOTSUPP without PAGEMAP_SCAN for ranges above 64 GiB, which
 * pagemap__count still can count.
 */
int pagemap__each_run(struct pagemap *pm, uint64_t start, uint64_t end, page_run_fn fn, void *ctx);

/* Takes PAGEMAP_SCAN out of use; for tests. */
void pagemap__without_scan(struct pagemap *pm);

/*
 * Pages of [start, end), rounded outwards to pages. Holes count nothing. 0, -ESRCH when the
 * process ended, -EINVAL when end < start. With PAGEMAP_SCAN the time is proportional to the page
 * tables that exist, without to end - start (1.6 s per TiB; what is longer than 64 GiB is summed
 * from smaps).
 */
int pagemap__count(struct pagemap *pm, uint64_t start, uint64_t end, struct page_counts *counts);
/* The same, resident_bytes alone. */
int pagemap__resident(struct pagemap *pm, uint64_t start, uint64_t end, uint64_t *bytes);

/*
 * Copies len bytes at addr of the process, when all of their pages are resident. 0, -ENODATA when
 * a page was never touched and -ENOLINK when one is swapped out (nothing is read then, so nothing
 * is faulted or swapped in), -ESRCH, -EFAULT.
 */
int pagemap__peek(struct pagemap *pm, uint64_t addr, void *buf, size_t len);

#endif
