// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/jemalloc_blocks.h"

#include <errno.h>
#include <stdbool.h>

#include "heap/allocators_scan.h"

#define HUGE_BYTES (2ull << 20)

/* How far below an address its block may begin: blocks of more than 512 MiB are not met. */
#define STEPS_MAX 256u

static bool holds(const struct jemalloc_blocks *blocks, size_t i, uint64_t addr)
{
	return i < blocks->count && blocks->start[i] <= addr && addr < blocks->end[i];
}

static bool is_known(struct jemalloc_blocks *blocks, uint64_t addr)
{
	if (holds(blocks, blocks->near, addr))
		return true;
	for (size_t i = 0; i < blocks->count; i++) {
		if (holds(blocks, i, addr)) {
			blocks->near = i;
			return true;
		}
	}
	return false;
}

static bool overlaps(const struct jemalloc_blocks *blocks, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < blocks->count; i++)
		if (start < blocks->end[i] && blocks->start[i] < end)
			return true;
	return false;
}

int jemalloc_blocks__note(struct jemalloc_blocks *blocks, struct subject *subject, uint64_t addr)
{
	uint64_t start = addr & ~(HUGE_BYTES - 1);

	if (blocks->count == JEMALLOC_BLOCKS_MAX || is_known(blocks, addr))
		return 0;
	for (unsigned int i = 0; i < STEPS_MAX && start; i++, start -= HUGE_BYTES) {
		uint64_t size;
		int err = memory__word(&subject->memory, start, &size);

		if (err && !scan__is_local_error(err))
			return err;
		if (err || !size || size % HUGE_BYTES || size > UINT32_MAX ||
		    start + size <= addr || overlaps(blocks, start, start + size) ||
		    !scan__is_anonymous_rw(subject, start, start + size))
			continue;
		blocks->start[blocks->count] = start;
		blocks->end[blocks->count] = start + size;
		blocks->near = blocks->count++;
		break;
	}
	return 0;
}

int jemalloc_blocks__claim(const struct jemalloc_blocks *blocks, struct claims *claims,
			   uint64_t *bytes)
{
	*bytes = 0;
	for (size_t i = 0; i < blocks->count; i++) {
		int err = claims__add(claims, blocks->start[i], blocks->end[i], LEDGER_JEMALLOC,
				      "blocks of jemalloc's own tables");

		if (err == -ENOMEM)
			return err;
		*bytes += blocks->end[i] - blocks->start[i];
	}
	return 0;
}
