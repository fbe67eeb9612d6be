/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PAGEMAP_INTERNAL_H
#define MEMDRIFT_CENSUS_PAGEMAP_INTERNAL_H

#include "census/pagemap.h"

/* What pagemap.c and pagemap_entries.c share. */
struct pagemap {
	uint32_t tid; /* whose files these are */
	int entries_fd;
	int mem_fd;        /* /proc/PID/mem; -1 when refused */
	int kpageflags_fd; /* -1 when there is none: huge zero pages and hugetlb are not told apart
			    */
	uint64_t page_bytes;
	uint64_t huge_bytes; /* of a huge page of the middle level */
	bool can_scan;
	bool zero_pfn_known;
	uint64_t zero_pfn; /* 0: could not be learned */
};

/* One entry; 0, -ESRCH, or a negative errno. */
int pagemap__entry(struct pagemap *pm, uint64_t addr, uint64_t *entry);

/* True when the huge page that addr lies in does not count as resident: the huge zero page, or
 * one of hugetlbfs. */
bool pagemap__uncounted_huge(struct pagemap *pm, uint64_t entry);

/* Who gets what is found, both may be NULL: runs of resident pages, and sums. */
struct page_sink {
	page_run_fn fn;
	void *ctx;
	struct page_counts *counts;
};

void page_sink__resident(struct page_sink *sink, uint64_t start, uint64_t end, bool file);
void page_sink__swapped(struct page_sink *sink, uint64_t bytes);

/* -EOPNOTSUPP above ENTRIES_RANGE_MAX when the sink wants runs. */
int pagemap__read_entries(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink);

#endif
