// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/glibc_arenas.h"

#include <errno.h>
#include <stdlib.h>

/*
 * struct heap_info (malloc/arena.c): ar_ptr, prev, size, mprotect_size and from 2.35 on pagesize,
 * padded to 16 bytes. In an arena's first heap the malloc_state follows it.
 */
enum { HEAP_INFO_WORDS = 6, HEAP_INFO_OLD_BYTES = 0x20, HEAP_INFO_BYTES = 0x30 };

/* Smallest page of the hosts we run on: sizes in the header are whole pages. */
#define HEAP_PAGE_BYTES 4096

static bool is_aligned(uint64_t addr)
{
	return addr % GLIBC_HEAP_BYTES == 0;
}

int glibc_heap__peek(struct pagemap *pm, uint64_t base, struct glibc_heap *heap)
{
	uint64_t words[HEAP_INFO_WORDS], inside;
	int err;

	if (!base || !is_aligned(base))
		return -EINVAL;
	err = pagemap__peek(pm, base, words, sizeof(words));
	if (err)
		return err;
	inside = words[0] % GLIBC_HEAP_BYTES;
	if (inside != HEAP_INFO_BYTES && inside != HEAP_INFO_OLD_BYTES)
		return -ENOENT;
	*heap = (struct glibc_heap){
		.base = base,
		.arena = words[0],
		.prev = words[1],
		.size_bytes = words[2],
		.mprotect_bytes = words[3],
		.is_first = words[0] - inside == base,
	};
	/* The first heap of an arena has none before it, each other one has. */
	if (heap->is_first != (heap->prev == 0) || !is_aligned(heap->prev) || heap->prev == base)
		return -ENOENT;
	if (!heap->size_bytes || heap->size_bytes > heap->mprotect_bytes ||
	    heap->mprotect_bytes > GLIBC_HEAP_BYTES || heap->size_bytes % HEAP_PAGE_BYTES ||
	    heap->mprotect_bytes % HEAP_PAGE_BYTES)
		return -ENOENT;
	/* From 2.35 on the fifth word is the page size, which old layouts have as their arena's
	 * first word: a lock and flags. */
	if (inside == HEAP_INFO_BYTES && (words[4] < HEAP_PAGE_BYTES ||
					  words[4] > GLIBC_HEAP_BYTES || words[4] & (words[4] - 1)))
		return -ENOENT;
	return 0;
}

int glibc_heap__read(uint32_t pid, uint64_t base, struct glibc_heap *heap)
{
	struct pagemap *pm;
	int err = pagemap__open(pid, &pm);

	if (err)
		return err;
	err = glibc_heap__peek(pm, base, heap);
	pagemap__close(pm);
	return err;
}
