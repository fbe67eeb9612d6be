/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PAGE_RUNS_H
#define MEMDRIFT_CENSUS_PAGE_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which pages were resident when a process was last read, as runs by address: what is left to
 * answer from when it has ended. 16 bytes for each run, of which there are some hundreds per GB.
 */
struct page_run {
	uint64_t start;
	uint64_t end;
};

struct page_runs {
	struct page_run *runs;
	size_t count, room;
	/* Ranges of which only the sum was told, or for which there was no room. */
	struct page_run *unknown;
	size_t unknown_count, unknown_room;
};

/* 16 MB: memory in which every second page is resident needs it from 8 GiB on. */
#define PAGE_RUNS_MAX (1u << 20)

/* Adds a run behind all others; joins it with one that it touches. 0 or -ENOMEM. */
int page_runs__add(struct page_runs *runs, uint64_t start, uint64_t end);
/* Marks a range behind all others as not known. */
int page_runs__add_unknown(struct page_runs *runs, uint64_t start, uint64_t end);
/* Index of the first run that ends above addr; their count when there is none. */
size_t page_runs__above(const struct page_runs *runs, uint64_t addr);
/* Resident bytes of [start, end). 0, or -ENODATA when a part of it is not known. */
int page_runs__count(const struct page_runs *runs, uint64_t start, uint64_t end, uint64_t *bytes);
void page_runs__free(struct page_runs *runs);

#endif
