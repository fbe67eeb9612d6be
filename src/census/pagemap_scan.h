/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_PAGEMAP_SCAN_H
#define MEMDRIFT_CENSUS_PAGEMAP_SCAN_H

#include <linux/ioctl.h>
#include <stdint.h>

/*
 * The PAGEMAP_SCAN interface of Linux 6.7 (52526ca7fdb9), which the headers that we build with may
 * be older than. Layouts and numbers are those of include/uapi/linux/fs.h; the names are ours, so
 * that newer headers do not collide.
 */
struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_request {
	uint64_t size; /* of this struct */
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end; /* out; stale when more than 512 regions came back */
	uint64_t regions;  /* address of struct scan_region[] */
	uint64_t region_room;
	uint64_t max_pages;
	uint64_t inverted;
	uint64_t all_of;
	uint64_t any_of;
	uint64_t returned;
};
_Static_assert(sizeof(struct scan_request) == 96, "as the kernel has it");

#define SCAN_IOCTL _IOWR('f', 16, struct scan_request)

#define SCAN_FILE    (1u << 2)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_ZERO    (1u << 5) /* the zero page of 4 KiB, not the huge one */
#define SCAN_HUGE    (1u << 6)

/* Entries of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define PM_PFN(entry) ((entry)&0x7fffffffffffffULL)
#define PM_FILE       (1ULL << 61)
#define PM_SWAPPED    (1ULL << 62)
#define PM_PRESENT    (1ULL << 63)

/* Bits of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h). */
#define KPF_HUGETLB   (1ULL << 17)
#define KPF_ZERO_PAGE (1ULL << 24)

#endif
