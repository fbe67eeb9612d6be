/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_MEMORY_H
#define MEMDRIFT_CENSUS_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "census/page_runs.h"

/*
 * Reads the memory of a process that runs on, within bounds and only where pages are resident, so
 * that nothing is faulted or swapped in. What is read may change at any moment and may be anything:
 * whoever reads checks it. Reading marks pages as accessed (Referenced in smaps, the age lists of
 * the kernel), which is all that it does to the process.
 *
 * Residency is that of the page runs given, which whoever owns them renews; a page that was
 * reclaimed since is faulted in by a read.
 */
struct memory {
	uint32_t pid;                 /* a thread of it that has its memory: proc_memory_tid() */
	const struct page_runs *runs; /* not owned */
	size_t near;                  /* the run that was read last: most reads are near it */
	uint64_t deadline_ns;         /* CLOCK_MONOTONIC; 0: none */
	uint64_t bytes_max;           /* what may be read in all; 0: no bound */
	uint64_t bytes_read;
	uint64_t calls;
};

/* Every function: -ENODATA (not resident), -EFAULT (gone since), -ESRCH (the process ended), -ETIME
 * (the deadline has passed), -EDQUOT (bytes_max would be exceeded), -EACCES. */

/* All of [addr, addr + size), or nothing. 0 or as above. */
int memory__read(struct memory *memory, uint64_t addr, void *buf, size_t size);

/* What is resident from addr on without a gap, at most size. Bytes read (at least 1) or as above.
 */
ssize_t memory__read_some(struct memory *memory, uint64_t addr, void *buf, size_t size);

/* One word of 8 bytes. */
int memory__word(struct memory *memory, uint64_t addr, uint64_t *word);

/*
 * Many small pieces in few system calls: `each` bytes at each of the n addresses, to buf + i *
 * each. valid[i] tells which were read. 0 when any could be tried, or -ESRCH, -ETIME, -EDQUOT,
 * -EACCES.
 */
int memory__gather(struct memory *memory, const uint64_t *addrs, size_t n, size_t each, void *buf,
		   uint8_t *valid);

/* End of the resident run that holds addr; 0 when that page is not resident. */
uint64_t memory__run_end(struct memory *memory, uint64_t addr);

#endif
