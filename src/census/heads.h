/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_HEADS_H
#define MEMDRIFT_CENSUS_HEADS_H

#include <stddef.h>
#include <stdint.h>

#include "census/page_runs.h"
#include "census/pagemap.h"
#include "model/space.h"

/*
 * The first words of places where a large mapping may begin, kept of a process because they tell
 * allocators apart: every multiple of 64 MiB in private anonymous memory, and the start of every
 * mapping and every request that is large. Only what is resident.
 */
#define HEAD_WORDS 6

struct head {
	uint64_t address;
	uint64_t words[HEAD_WORDS];
};

struct heads {
	struct head *items; /* by address */
	size_t count;
};

/* Heads of 4 TiB of mappings of 64 MiB: 3.5 MB. */
#define HEADS_MAX 65536

/* runs: what is resident; smallest_bytes: from when on a mapping is large; space may be NULL.
 * 0, -ESRCH, -ENOMEM. */
int heads__read(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		const struct page_runs *runs, const struct space *space, uint64_t smallest_bytes,
		struct heads *out);
void heads__free(struct heads *heads);
/* The n words at addr; 0, -ENODATA when that was not resident, -ENOSPC when it may not have been
 * kept. */
int heads__peek(const struct heads *heads, uint64_t addr, uint64_t *words, size_t n);

#endif
