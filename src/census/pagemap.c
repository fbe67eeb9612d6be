// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/pagemap_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "census/host.h"
#include "census/pagemap_scan.h"
#include "census/proc_file.h"

/* What the kernel gathers before it copies out (fs/proc/task_mmu.c): a larger array saves calls
 * but not walks. */
#define REGION_ROOM 512

/* User addresses end here with four levels of page tables, and with five. */
#define USER_END_4 0x7ffffffff000ULL
#define USER_END_5 0xfffffffffff000ULL

/*
 * Opens the files of a process' memory. They stay bound to it: they show nothing of another
 * program that is loaded later, nor of another process of the same pid.
 */
static int open_files(struct pagemap *pm, uint32_t pid, uint32_t tid)
{
	char name[64];

	pm->tid = tid;
	snprintf(name, sizeof(name), "task/%u/pagemap", tid);
	pm->entries_fd = proc_file__open(pid, name, O_RDONLY);
	if (pm->entries_fd < 0)
		return pm->entries_fd;
	snprintf(name, sizeof(name), "task/%u/mem", tid);
	pm->mem_fd = proc_file__open(pid, name, O_RDONLY);
	pm->kpageflags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	return 0;
}

int pagemap__open(uint32_t pid, struct pagemap **out)
{
	struct pagemap *pm;
	uint32_t tid;
	int err = proc_memory_tid(pid, &tid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	pm = calloc(1, sizeof(*pm));
	if (!pm)
		return -ENOMEM;
	pm->entries_fd = pm->mem_fd = pm->kpageflags_fd = -1;
	pm->page_bytes = host__page_bytes();
	/* One page of page-table entries of eight bytes maps as much. */
	pm->huge_bytes = pm->page_bytes / sizeof(uint64_t) * pm->page_bytes;
	pm->can_scan = true;
	err = open_files(pm, pid, tid);
	if (err) {
		pagemap__close(pm);
		return err;
	}
	*out = pm;
	return 0;
}

void pagemap__close(struct pagemap *pm)
{
	if (!pm)
		return;
	if (pm->kpageflags_fd >= 0)
		close(pm->kpageflags_fd);
	if (pm->mem_fd >= 0)
		close(pm->mem_fd);
	if (pm->entries_fd >= 0)
		close(pm->entries_fd);
	free(pm);
}

void pagemap__without_scan(struct pagemap *pm)
{
	pm->can_scan = false;
}

int pagemap__entry(struct pagemap *pm, uint64_t addr, uint64_t *entry)
{
	ssize_t n = pread_fully(pm->entries_fd, entry, sizeof(*entry),
				addr / pm->page_bytes * sizeof(*entry));

	if (n < 0)
		return n;
	/* The file of a process that has ended is empty. */
	return n == sizeof(*entry) ? 0 : -ESRCH;
}

bool pagemap__alive(struct pagemap *pm)
{
	uint64_t entry;

	return pagemap__entry(pm, 0, &entry) == 0;
}

bool pagemap__uncounted_huge(struct pagemap *pm, uint64_t entry)
{
	/* Older kernels mark only a huge zero page's head, hugetlb pages throughout. */
	uint64_t head = PM_PFN(entry) & ~(pm->huge_bytes / pm->page_bytes - 1);
	uint64_t flags;

	if (!(entry & PM_PRESENT) || !head || pm->kpageflags_fd < 0 ||
	    pread_fully(pm->kpageflags_fd, &flags, sizeof(flags), head * sizeof(flags)) !=
		    sizeof(flags))
		return false;
	return flags & (KPF_HUGETLB | KPF_ZERO_PAGE);
}

void page_sink__resident(struct page_sink *sink, uint64_t start, uint64_t end, bool file)
{
	if (sink->fn)
		sink->fn(sink->ctx, start, end, file);
	if (!sink->counts)
		return;
	sink->counts->resident_bytes += end - start;
	if (file)
		sink->counts->file_bytes += end - start;
}

void page_sink__swapped(struct page_sink *sink, uint64_t bytes)
{
	if (sink->counts)
		sink->counts->swapped_bytes += bytes;
}

/* A run of huge pages, page by page: some may count and some not. */
static int pass_huge(struct pagemap *pm, const struct scan_region *region, struct page_sink *sink)
{
	uint64_t addr = region->start;

	while (addr < region->end) {
		uint64_t next = (addr | (pm->huge_bytes - 1)) + 1;
		uint64_t entry;
		int err = pagemap__entry(pm, addr, &entry);

		if (err)
			return err;
		if (next > region->end)
			next = region->end;
		if (!pagemap__uncounted_huge(pm, entry))
			page_sink__resident(sink, addr, next, region->categories & SCAN_FILE);
		addr = next;
	}
	return 0;
}

static int pass_region(struct pagemap *pm, const struct scan_region *region, struct page_sink *sink)
{
	if (region->categories & SCAN_SWAPPED) {
		page_sink__swapped(sink, region->end - region->start);
		return 0;
	}
	if (!(region->categories & SCAN_PRESENT) || region->categories & SCAN_ZERO)
		return 0;
	if (region->categories & SCAN_HUGE)
		return pass_huge(pm, region, sink);
	page_sink__resident(sink, region->start, region->end, region->categories & SCAN_FILE);
	return 0;
}

/* Number of regions found, or a negative errno; -ENOTTY on kernels before 6.7. */
static int scan_regions(struct pagemap *pm, uint64_t start, uint64_t end,
			struct scan_region *regions)
{
	struct scan_request request = {
		.size = sizeof(request),
		.start = start,
		.end = end,
		.regions = (uintptr_t)regions,
		.region_room = REGION_ROOM,
		.any_of = SCAN_PRESENT | SCAN_SWAPPED,
		.returned = SCAN_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO | SCAN_HUGE,
	};
	int n;

	do
		n = ioctl(pm->entries_fd, SCAN_IOCTL, &request);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int scan_range(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink)
{
	struct scan_region regions[REGION_ROOM];
	int n = REGION_ROOM;

	/* Goes on behind the last region: the kernel's walk_end cannot be relied on. */
	while (start < end && n == REGION_ROOM) {
		n = scan_regions(pm, start, end, regions);
		if (n == -EFAULT && end > USER_END_4) {
			end = USER_END_4; /* no fifth level here */
			n = REGION_ROOM;
			continue;
		}
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			int err = pass_region(pm, &regions[i], sink);

			if (err)
				return err;
		}
		if (n)
			start = regions[n - 1].end;
	}
	return 0;
}

static int look_at_range(struct pagemap *pm, uint64_t start, uint64_t end, struct page_sink *sink)
{
	uint64_t mask = pm->page_bytes - 1;
	int err = -ENOTTY;

	if (end < start)
		return -EINVAL;
	if (end > USER_END_5)
		end = USER_END_5;
	if (start >= end)
		return 0;
	start &= ~mask;
	end = (end + mask) & ~mask;
	if (pm->can_scan)
		err = scan_range(pm, start, end, sink);
	if (err == -ENOTTY) {
		pm->can_scan = false;
		err = pagemap__read_entries(pm, start, end, sink);
	}
	/* Memory that has gone meanwhile has no pages: what was found is then no answer. */
	if (!err && !pagemap__alive(pm))
		err = -ESRCH;
	return err;
}

int pagemap__each_run(struct pagemap *pm, uint64_t start, uint64_t end, page_run_fn fn, void *ctx)
{
	struct page_sink sink = {.fn = fn, .ctx = ctx};

	return look_at_range(pm, start, end, &sink);
}

int pagemap__count(struct pagemap *pm, uint64_t start, uint64_t end, struct page_counts *counts)
{
	struct page_sink sink = {.counts = counts};

	memset(counts, 0, sizeof(*counts));
	return look_at_range(pm, start, end, &sink);
}

int pagemap__resident(struct pagemap *pm, uint64_t start, uint64_t end, uint64_t *bytes)
{
	struct page_counts counts;
	int err = pagemap__count(pm, start, end, &counts);

	if (!err)
		*bytes = counts.resident_bytes;
	return err;
}

int pagemap__peek(struct pagemap *pm, uint64_t addr, void *buf, size_t len)
{
	uint64_t page = addr & ~(pm->page_bytes - 1), entry;
	ssize_t n;

	if (pm->mem_fd < 0)
		return pm->mem_fd == -1 ? -EACCES : pm->mem_fd;
	if (addr + len < addr || addr + len > USER_END_5)
		return -EFAULT;
	for (; page < addr + len; page += pm->page_bytes) {
		int err = pagemap__entry(pm, page, &entry);

		if (err)
			return err;
		if (!(entry & PM_PRESENT))
			return entry & PM_SWAPPED ? -ENOLINK : -ENODATA;
	}
	n = pread_fully(pm->mem_fd, buf, len, addr);
	if (n < 0)
		return n == -EIO ? -EFAULT : n;
	if (n == 0 && len)
		return -ESRCH;
	return (size_t)n == len ? 0 : -EFAULT;
}
