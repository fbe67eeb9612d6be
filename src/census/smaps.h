/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_SMAPS_H
#define MEMDRIFT_CENSUS_SMAPS_H

#include <stddef.h>
#include <stdint.h>

/* What the kernel itself sums up of a process's memory. Bytes throughout. */

struct smaps_rollup {
	uint64_t rss_bytes; /* the vDSO included */
	uint64_t pss_bytes;
	uint64_t swap_bytes;
	uint64_t huge_bytes; /* anonymous memory in huge pages (AnonHugePages) */
};

/* /proc/PID/smaps_rollup, for which the kernel walks all page tables (some 15 ms per GB). 0,
 * -ESRCH, -EACCES, -EINVAL. */
int smaps_rollup__read(uint32_t pid, struct smaps_rollup *out);
/* The same of a text. 0 or -EINVAL. */
int smaps_rollup__parse(const char *text, struct smaps_rollup *out);

struct memory_status {
	uint64_t rss_peak_bytes;   /* VmHWM */
	uint64_t page_table_bytes; /* VmPTE */
	int thp_enabled;           /* 0: the process has turned huge pages off; -1 not told */
};

/* /proc/PID/status. 0, -ESRCH, -EACCES. */
int memory_status__read(uint32_t pid, struct memory_status *out);
void memory_status__parse(const char *text, struct memory_status *out);

/* The word in brackets of "always [madvise] never"; "" when there is none or it does not fit. */
void bracketed_word(const char *text, char *word, size_t size);

#endif
