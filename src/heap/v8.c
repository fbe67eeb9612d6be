// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/v8.h"

#include <errno.h>
#include <stdbool.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"
#include "heap/v8_internal.h"

#define CHUNK_ALIGN (256ull << 10)
#define HEAD_WORDS  24u
/* A chunk's header with its bitmap of marks, the largest of all versions. */
#define HEADER_MAX (64ull << 10)

/* Cages of one process; Chromium's has one for each isolate group. */
#define CAGES_MAX       16u
#define CAGE_CHUNKS_MIN 3u

struct cage {
	uint64_t base;
	unsigned int chunks;
};

struct v8 {
	struct subject *subject;
	struct claims *claims;
	uint64_t end; /* of the chunk before */
	struct cage cages[CAGES_MAX];
	size_t cage_count;
};

/* The heap, then where its area begins and ends. */
static bool has_area(const struct v8 *v8, uint64_t addr, const uint64_t *words)
{
	for (size_t i = 2; i < 8; i++) {
		uint64_t heap = words[i - 1], start = words[i], end = words[i + 1];
		const struct maps_entry *entry;

		if (start <= addr || start - addr > HEADER_MAX || end <= start ||
		    end > addr + words[0])
			continue;
		entry = subject__entry(v8->subject, heap);
		if (heap && heap % 8 == 0 && entry && !entry->shared && !entry->inode)
			return true;
	}
	return false;
}

static bool has_reservation(uint64_t addr, const uint64_t *words)
{
	for (size_t i = 6; i + 1 < HEAD_WORDS; i++)
		if (words[i] == addr && words[i + 1] == words[0])
			return true;
	return false;
}

/* {flags, number of the chunk in its cage} */
static void note_caged(struct v8 *v8, uint64_t addr, const uint64_t *words)
{
	uint64_t base = addr & ~(V8_CAGE_BYTES - 1), number = (addr - base) / CHUNK_ALIGN;

	if (words[0] >> 32 || !number || words[1] != number)
		return;
	for (size_t i = 0; i < v8->cage_count; i++) {
		if (v8->cages[i].base == base) {
			v8->cages[i].chunks++;
			return;
		}
	}
	if (v8->cage_count < CAGES_MAX)
		v8->cages[v8->cage_count++] = (struct cage){base, 1};
}

int v8_cage__claim(struct subject *subject, struct claims *claims, uint64_t base, const char *how)
{
	for (size_t i = 0; i < subject->n; i++) {
		const struct maps_entry *entry = &subject->entries[i];

		if (entry->start < base || entry->end > base + V8_CAGE_BYTES ||
		    !entry_is_anonymous_rw(entry))
			continue;
		if (claims__add(claims, entry->start, entry->end, LEDGER_V8, how) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int take_chunk(void *ctx, uint64_t addr, const uint64_t *words)
{
	struct v8 *v8 = ctx;
	uint64_t size = words[0];
	int err;

	note_caged(v8, addr, words);
	if (addr < v8->end || size < 4096 || size % 4096 || size >> 40 ||
	    !has_reservation(addr, words) || !has_area(v8, addr, words) ||
	    !scan__is_anonymous(v8->subject, addr, addr + size))
		return 0;
	v8->end = addr + size;
	err = claims__add(v8->claims, addr, addr + size, LEDGER_V8, "headers of V8's chunks");
	return err == -ENOMEM ? err : 0;
}

int v8__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct v8 v8 = {.subject = subject, .claims = claims};
	uint64_t bytes = 0;
	int err = scan__each_head(subject, CHUNK_ALIGN, HEAD_WORDS * 8, take_chunk, &v8);

	for (size_t i = 0; err >= 0 && i < v8.cage_count; i++)
		if (v8.cages[i].chunks >= CAGE_CHUNKS_MIN)
			err = v8_cage__claim(subject, claims, v8.cages[i].base,
					     "cage in which V8's chunks have their numbers");
	if (err >= 0)
		err = claims__covered(claims, LEDGER_V8, NULL, &bytes);
	if (!err && bytes)
		err = v8_cpp__read(subject, claims);
	/* Chunks lie in cages, and cages may be both kinds'. */
	if (!err && bytes)
		err = claims__covered(claims, LEDGER_V8, NULL, &bytes);
	if (!err && bytes)
		allocators__add(out, &(struct allocator_facts){
					     .name = "v8",
					     .how = "what its chunks say of themselves",
					     .bytes = bytes,
				     });
	return err < 0 ? err : 0;
}
