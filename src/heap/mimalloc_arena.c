// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* mimalloc 3: see mimalloc.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"
#include "heap/mimalloc.h"

#define SLICE_BYTES 65536ull /* MI_ARENA_SLICE_SIZE */
#define ARENA_MIN   (32ull << 20)
#define HEAD_WORDS  16u

/* mi_memkind_t: memory of the system, and of an arena */
#define KIND_OS_FIRST 3u
#define KIND_OS_LAST  6u
#define KIND_ARENA    7u

/* Words of mi_page_t, the same from 3.0 to 3.3. */
enum page_word {
	PAGE_COUNTS = 2, /* blocks used, committed, reserved: 16 bits each */
	PAGE_BLOCK_BYTES = 5,
	PAGE_BLOCKS = 6, /* where they begin */
	PAGE_ARENA = 12,
	PAGE_SLICES = 13, /* its place in the arena and, above, how many */
	PAGE_KIND = 14,
};

struct mimalloc3 {
	struct subject *subject;
	struct claims *claims;
	uint64_t bytes, in_use_bytes, broken;
	uint64_t arena, end; /* the arena that is looked through */
	bool is_proven;      /* a page of it was seen */
	uint64_t next;       /* behind the last page */
};

/* {address, size, kind, ..., slices} of its own. */
static bool is_arena(const struct mimalloc3 *mi, uint64_t addr, const uint64_t *words)
{
	uint64_t bytes = words[1], kind = words[2] & UINT32_MAX;

	if (words[0] != addr || bytes < ARENA_MIN || bytes % SLICE_BYTES || bytes >> 46 ||
	    kind < KIND_OS_FIRST || kind > KIND_OS_LAST)
		return false;
	for (size_t i = 4; i < 8; i++)
		if (words[i] == bytes / SLICE_BYTES)
			return scan__is_anonymous(mi->subject, addr, addr + bytes);
	return false;
}

/* True when blocks are handed out. One that is not set up, or was given back and left its head
 * behind, has none; others may begin inside of it by now. */
static bool count_blocks(struct mimalloc3 *mi, const uint64_t *words, uint64_t addr, uint64_t end)
{
	uint64_t used = words[PAGE_COUNTS] & UINT16_MAX;
	uint64_t reserved = words[PAGE_COUNTS] >> 32 & UINT16_MAX;
	uint64_t block = words[PAGE_BLOCK_BYTES];

	if (!used || !block)
		return false;
	if (used > reserved || words[PAGE_BLOCKS] <= addr || words[PAGE_BLOCKS] >= end ||
	    block > (end - words[PAGE_BLOCKS]) / used) {
		mi->broken++;
		return false;
	}
	mi->in_use_bytes += used * block;
	return true;
}

/* An arena is believed, and claimed, when a page in it names it. */
static int take_page(struct mimalloc3 *mi, uint64_t addr, const uint64_t *words)
{
	uint64_t place = words[PAGE_SLICES] & UINT32_MAX, slices = words[PAGE_SLICES] >> 32;
	uint64_t end = addr + slices * SLICE_BYTES;

	if (words[PAGE_ARENA] != mi->arena || (words[PAGE_KIND] & UINT32_MAX) != KIND_ARENA ||
	    addr != mi->arena + place * SLICE_BYTES || !slices || end > mi->end)
		return 0;
	if (count_blocks(mi, words, addr, end))
		mi->next = end;
	if (mi->is_proven)
		return 0;
	mi->is_proven = true;
	mi->bytes += mi->end - mi->arena;
	return claims__add(mi->claims, mi->arena, mi->end, LEDGER_MIMALLOC,
			   "arenas of mimalloc 3 that name their own address") == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

static int take_head(void *ctx, uint64_t addr, const uint64_t *words)
{
	struct mimalloc3 *mi = ctx;

	if (addr >= mi->end && is_arena(mi, addr, words)) {
		mi->arena = addr;
		mi->end = addr + words[1];
		mi->next = addr + SLICE_BYTES;
		mi->is_proven = false;
		return 0;
	}
	return addr >= mi->next && addr < mi->end ? take_page(mi, addr, words) : 0;
}

int mimalloc3__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct mimalloc3 mi = {.subject = subject, .claims = claims};
	uint64_t before, after = 0;
	int err = claims__covered(claims, LEDGER_MIMALLOC, NULL, &before);

	if (!err)
		err = scan__each_head(subject, SLICE_BYTES, HEAD_WORDS * 8, take_head, &mi);
	if (err >= 0 && mi.bytes)
		err = claims__covered(claims, LEDGER_MIMALLOC, NULL, &after);
	/* What is of mimalloc 2 is not of 3 as well. */
	if (err >= 0 && mi.bytes && (!before || mi.bytes <= after - before))
		allocators__add(out, &(struct allocator_facts){
					     .name = "mimalloc",
					     .how = "arenas that name their own address",
					     .bytes = mi.bytes,
					     .in_use_bytes = mi.in_use_bytes,
					     .has_in_use = !mi.broken,
				     });
	return err < 0 ? err : 0;
}
