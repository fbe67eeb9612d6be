// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_mmapped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "census/malloc_par.h"

#define PAGE_BYTES 4096ULL

/* M_MMAP_MAX is 65,536 by default. */
#define CHUNKS_MAX (256u << 10)

/* Headers that are read at once; fewer behind a chunk, as the next pages may be its own. */
#define BATCH_MAX 512
#define BATCH_MIN 8

/* Maps change while they are read. */
#define TRIES 3

/* In the flags of a chunk's size (malloc/malloc.c). */
#define IS_MMAPPED 2
#define SIZE_FLAGS 7

struct mmapped {
	uint64_t start, bytes;
};

struct finder {
	struct subject *subject;
	const struct claims *claims;
	bool at_end; /* 2.43: the size leaves out the header, which may lie behind the start */
	struct mmapped *chunks;
	size_t count, room;
	uint64_t bytes;
	bool inside;   /* also looks for headers within what looks like a chunk */
	uint64_t past; /* what lies below is done */
	size_t batch;
};

/* Mapped as malloc maps, from start on without a gap: one chunk may be several entries. */
static bool is_covered(const struct subject *subject, size_t entry, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes;

	if (end < start)
		return false;
	for (; entry < subject->n && entry_is_anonymous_rw(&subject->entries[entry]); entry++) {
		if (subject->entries[entry].end >= end)
			return true;
		if (entry + 1 == subject->n ||
		    subject->entries[entry + 1].start != subject->entries[entry].end)
			return false;
	}
	return false;
}

/* The length of the chunk whose header this is, at the start of its mapping; 0: none. */
static uint64_t chunk_length(const struct finder *finder, const uint64_t *header)
{
	uint64_t bytes = header[1] & ~(uint64_t)SIZE_FLAGS;

	if ((header[1] & SIZE_FLAGS) != IS_MMAPPED)
		return 0;
	/* mmap_set_chunk: prev_size is the offset in the mapping, bit 0 says huge pages. */
	if (finder->at_end)
		return header[0] > 1 || (bytes + 16) % PAGE_BYTES ? 0 : bytes + 16;
	return header[0] || bytes % PAGE_BYTES ? 0 : bytes;
}

static int add_chunk(struct finder *finder, uint64_t start, uint64_t bytes)
{
	if (finder->count == CHUNKS_MAX)
		return 0;
	if (finder->count == finder->room) {
		size_t room = finder->room ? 2 * finder->room : 256;
		struct mmapped *chunks = reallocarray(finder->chunks, room, sizeof(*chunks));

		if (!chunks)
			return -ENOMEM;
		finder->chunks = chunks;
		finder->room = room;
	}
	finder->chunks[finder->count++] = (struct mmapped){.start = start, .bytes = bytes};
	finder->bytes += bytes;
	return 0;
}

/* The headers of a batch; what follows a chunk is looked at behind its end. */
static int take_batch(struct finder *finder, size_t entry, const uint64_t *addrs, size_t n)
{
	uint64_t headers[BATCH_MAX][2];
	uint8_t valid[BATCH_MAX];
	int err = memory__gather(&finder->subject->memory, addrs, n, sizeof(*headers), headers,
				 valid);

	for (size_t i = 0; !err && i < n; i++) {
		uint64_t bytes;

		if (!valid[i] || addrs[i] < finder->past)
			continue;
		bytes = chunk_length(finder, headers[i]);
		if (!bytes || !is_covered(finder->subject, entry, addrs[i], bytes))
			continue;
		err = add_chunk(finder, addrs[i], bytes);
		if (finder->inside)
			continue;
		finder->past = addrs[i] + bytes;
		finder->batch = BATCH_MIN;
	}
	return err;
}

/* What others have claimed from addr on is theirs; where that ends, or addr. */
static uint64_t behind_claims(const struct finder *finder, uint64_t addr)
{
	const struct claim *claim;

	while ((claim = claims__find(finder->claims, addr, NULL)) &&
	       claim->component != LEDGER_MALLOC_MMAPPED)
		addr = (claim->end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	return addr;
}

/* Each resident page of [start, end) of an entry. */
static int search_pages(struct finder *finder, size_t entry, uint64_t start, uint64_t end)
{
	uint64_t addrs[BATCH_MAX], addr = start;
	int err = 0;

	while (!err && addr < end) {
		size_t n = 0;

		addr = MAX(addr, finder->past);
		while (n < finder->batch && addr < end) {
			addr = behind_claims(finder, addr);
			if (addr < end)
				addrs[n++] = addr;
			addr += PAGE_BYTES;
		}
		finder->batch = MIN(2 * finder->batch, BATCH_MAX);
		err = n ? take_batch(finder, entry, addrs, n) : 0;
	}
	return err;
}

static int search_entry(struct finder *finder, size_t index)
{
	const struct maps_entry *entry = &finder->subject->entries[index];
	const struct page_runs *runs = &finder->subject->runs;
	int err = 0;

	for (size_t i = page_runs__above(runs, entry->start);
	     !err && i < runs->count && runs->runs[i].start < entry->end; i++)
		err = search_pages(finder, index, MAX(runs->runs[i].start, entry->start),
				   MIN(runs->runs[i].end, entry->end));
	return err;
}

/* 0, or what ends the whole reading; that a bound was reached shows in the check. */
static int find_chunks(struct finder *finder)
{
	const struct subject *subject = finder->subject;
	int err = 0;

	finder->count = 0;
	finder->bytes = 0;
	finder->past = 0;
	finder->batch = BATCH_MIN;
	for (size_t i = 0; !err && i < subject->n; i++) {
		if (entry_is_anonymous_rw(&subject->entries[i]) &&
		    strcmp(subject->entries[i].path, "[heap]"))
			err = search_entry(finder, i);
	}
	return err == -ESRCH || err == -ENOMEM ? err : 0;
}

static int by_size(const void *left, const void *right)
{
	const struct mmapped *a = left, *b = right;

	return a->bytes > b->bytes ? -1 : a->bytes < b->bytes;
}

/* A program's own page can look like a header: with the smallest left out, do number and sum agree
 * with malloc's? */
static void drop_false_ones(struct finder *finder, const struct malloc_par *par)
{
	uint64_t bytes = 0;

	if (finder->count <= par->mmapped_chunks)
		return;
	qsort(finder->chunks, finder->count, sizeof(*finder->chunks), by_size);
	for (size_t i = 0; i < par->mmapped_chunks; i++)
		bytes += finder->chunks[i].bytes;
	if (bytes != par->mmapped_bytes)
		return;
	finder->count = par->mmapped_chunks;
	finder->bytes = bytes;
}

static int by_address(const void *left, const void *right)
{
	const struct mmapped *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Of two that overlap one is false: more likely the shorter one. */
static void drop_overlaps(struct finder *finder)
{
	size_t kept = 0;

	qsort(finder->chunks, finder->count, sizeof(*finder->chunks), by_address);
	finder->bytes = 0;
	for (size_t i = 0; i < finder->count; i++) {
		struct mmapped *last = kept ? &finder->chunks[kept - 1] : NULL;

		if (!last || last->start + last->bytes <= finder->chunks[i].start)
			finder->chunks[kept++] = finder->chunks[i];
		else if (last->bytes < finder->chunks[i].bytes)
			*last = finder->chunks[i];
	}
	finder->count = kept;
	for (size_t i = 0; i < kept; i++)
		finder->bytes += finder->chunks[i].bytes;
}

static int search_until_it_agrees(struct finder *finder, struct check *check)
{
	struct subject *subject = finder->subject;
	int err = 0;

	for (int i = 0; !err && i < TRIES && !check->ok; i++) {
		struct malloc_par par;

		if (i && subject__renew(subject) == -ESRCH)
			return -ESRCH;
		finder->inside = i > 0;
		err = find_chunks(finder);
		if (!err && finder->inside && finder->count)
			drop_overlaps(finder);
		if (err || malloc_par__read(subject->pm, subject->entries, subject->n, &par))
			return err;
		drop_false_ones(finder, &par);
		*check = (struct check){
			.done = true,
			.ok = finder->bytes == par.mmapped_bytes &&
			      finder->count == par.mmapped_chunks,
			.found = finder->bytes,
			.expected = par.mmapped_bytes,
		};
	}
	return err;
}

int glibc_mmapped__read(struct subject *subject, const struct glibc_map *map, struct claims *claims,
			struct glibc_census *out)
{
	struct finder finder = {
		.subject = subject, .claims = claims, .at_end = map->layout.from >= 43};
	int err = claims__settle(claims);

	if (!err)
		err = search_until_it_agrees(&finder, &out->mmapped);
	for (size_t i = 0; !err && i < finder.count; i++) {
		const struct mmapped *chunk = &finder.chunks[i];

		if (claims__add(claims, chunk->start, chunk->start + chunk->bytes,
				LEDGER_MALLOC_MMAPPED,
				"chunk headers, checked against mp_") == -ENOMEM)
			err = -ENOMEM;
	}
	out->mmapped_chunks = finder.count;
	out->mmapped_bytes = finder.bytes;
	free(finder.chunks);
	return err;
}
