// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/pagemap_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <unistd.h>

#include "census/pagemap_scan.h"
#include "census/proc_file.h"

#define ENTRIES_AT_ONCE 8192 /* 64 KiB: 32 MiB of address space a call */

/* The zero page is mapped by the first read of fresh memory: we look where ours leads. */
static uint64_t learn_zero_pfn(uint64_t page_bytes)
{
	uint64_t entry = 0;
	volatile const char *page =
		mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (page != MAP_FAILED && fd >= 0) {
		(void)*page;
		if (pread_fully(fd, &entry, sizeof(entry),
				(uintptr_t)page / page_bytes * sizeof(entry)) != sizeof(entry))
			entry = 0;
	}
	if (page != MAP_FAILED)
		munmap((void *)page, page_bytes);
	if (fd >= 0)
		close(fd);
	return entry & PM_PRESENT ? PM_PFN(entry) : 0;
}

/* Pages of one kind side by side, passed on when the next one differs. */
struct run {
	uint64_t start, end;
	bool file;
};

static void finish_run(struct run *run, struct page_sink *sink)
{
	if (run->start < run->end)
		page_sink__resident(sink, run->start, run->end, run->file);
	run->start = run->end = 0;
}

static void add_page(struct pagemap *pm, struct run *run, uint64_t addr, bool file,
		     struct page_sink *sink)
{
	if (run->end != addr || run->file != file) {
		finish_run(run, sink);
		run->start = addr;
		run->file = file;
	}
	run->end = addr + pm->page_bytes;
}

/* Passes on n entries, the first of which is of addr. */
static void pass_entries(struct pagemap *pm, uint64_t addr, const uint64_t *entries, size_t n,
			 struct run *run, struct page_sink *sink)
{
	const uint64_t pages_in_huge = pm->huge_bytes / pm->page_bytes;
	bool uncounted = false;

	for (size_t i = 0; i < n; i++, addr += pm->page_bytes) {
		uint64_t entry = entries[i];

		/*
		 * Only a page that lies in its huge page as its address does can be a part of a
		 * huge mapping; looked at once for each.
		 */
		if (i == 0 || addr % pm->huge_bytes == 0)
			uncounted = PM_PFN(entry) % pages_in_huge ==
					    addr / pm->page_bytes % pages_in_huge &&
				    pagemap__uncounted_huge(pm, entry);
		if (entry & PM_SWAPPED)
			page_sink__swapped(sink, pm->page_bytes);
		else if (entry & PM_PRESENT && !uncounted &&
			 !(pm->zero_pfn && PM_PFN(entry) == pm->zero_pfn))
			add_page(pm, run, addr, entry & PM_FILE, sink);
	}
}

static int read_range(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink)
{
	uint64_t *entries = malloc(ENTRIES_AT_ONCE * sizeof(*entries));
	struct run run = {0};
	int err = 0;

	if (!entries)
		return -ENOMEM;
	while (!err && start < end) {
		size_t n = MIN((end - start) / pm->page_bytes, ENTRIES_AT_ONCE);
		ssize_t got = pread_fully(pm->entries_fd, entries, n * sizeof(*entries),
					  start / pm->page_bytes * sizeof(*entries));

		if (got < 0) {
			err = got;
		} else if (got < (ssize_t)sizeof(*entries)) {
			break; /* past the highest user address, or ended: the caller looks */
		} else {
			n = got / sizeof(*entries);
			pass_entries(pm, start, entries, n, &run, sink);
			start += n * pm->page_bytes;
		}
	}
	finish_run(&run, sink);
	free(entries);
	return err;
}

struct smaps_walk {
	uint64_t start, end;         /* asked for */
	uint64_t vma_start, vma_end; /* of the mapping that the lines are about */
};

/* Adds what one line of smaps says of a mapping that lies wholly in the range; one that only
 * reaches into it is counted by its entries. */
static int add_smaps_line(struct pagemap *pm, struct smaps_walk *walk, const char *line,
			  struct page_sink *sink)
{
	struct page_counts *counts = sink->counts;
	uint64_t from, to, kb;
	bool whole = walk->vma_start >= walk->start && walk->vma_end <= walk->end;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
		walk->vma_start = from;
		walk->vma_end = to;
		if (from >= walk->start && to <= walk->end)
			return 0;
		from = MAX(from, walk->start);
		to = MIN(to, walk->end);
		if (from >= to)
			return 0;
		return to - from > ENTRIES_RANGE_MAX ? -EOPNOTSUPP : read_range(pm, from, to, sink);
	}
	if (!whole)
		return 0;
	if (sscanf(line, "Rss: %" SCNu64 " kB", &kb) == 1) {
		counts->resident_bytes += kb << 10;
		counts->file_bytes += kb << 10; /* Anonymous follows and is taken off */
	} else if (sscanf(line, "Anonymous: %" SCNu64 " kB", &kb) == 1) {
		counts->file_bytes -= kb << 10;
	} else if (sscanf(line, "Swap: %" SCNu64 " kB", &kb) == 1) {
		counts->swapped_bytes += kb << 10;
	}
	return 0;
}

static int count_by_smaps(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink)
{
	struct smaps_walk walk = {.start = start, .end = end, .vma_start = end, .vma_end = 0};
	char *line = NULL;
	size_t room = 0;
	int err = 0, fd = proc_file__open(pm->tid, "smaps", O_RDONLY);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	while (!err && getline(&line, &room, file) > 0)
		err = add_smaps_line(pm, &walk, line, sink);
	free(line);
	fclose(file);
	return err;
}

int pagemap__read_entries(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink)
{
	if (!pm->zero_pfn_known) {
		pm->zero_pfn = learn_zero_pfn(pm->page_bytes);
		pm->zero_pfn_known = true;
	}
	if (end - start > ENTRIES_RANGE_MAX)
		return sink->fn ? -EOPNOTSUPP : count_by_smaps(pm, start, end, sink);
	return read_range(pm, start, end, sink);
}
