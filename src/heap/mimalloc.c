// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/mimalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

#define SEGMENT_ALIGN (32ull << 20)    /* MI_SEGMENT_SIZE */
#define SLICE_BYTES   65536ull         /* MI_SEGMENT_SLICE_SIZE */
#define HEAD_WORDS    64u              /* the cookie is the 28th word in 2.0, the 33rd in 2.2 */
#define COOKIES       (HEAD_WORDS - 3) /* the number of slices follows, up to three words on */
#define SEGMENTS_MAX  65536u           /* 2 TiB of heap */
#define SLICES_MAX    512u             /* MI_SLICES_PER_SEGMENT */
#define HINTS_START   (2ull << 40)
#define HINTS_END     (30ull << 40)

/* mi_page_t, which stands in the segment's head for each 64 kB of it (include/mimalloc/types.h). */
struct page_layout {
	size_t bytes;
	size_t slices_after; /* words between the cookie and segment_slices */
	size_t used;         /* offsets */
	size_t used_bytes;
	size_t block_size;
	size_t block_size_bytes;
};

static const struct page_layout layouts[] = {
	{80, 1, 24, 4, 28, 4},  /* 2.0 */
	{96, 3, 32, 2, 40, 8},  /* 2.1.7 to 2.2 */
	{96, 1, 32, 2, 40, 8},  /* the same before abandoned segments had a list */
	{112, 3, 32, 2, 40, 8}, /* with keys for padding */
};

struct segment {
	uint64_t addr;
	uint64_t words[HEAD_WORDS];
};

struct mimalloc {
	struct subject *subject;
	struct claims *claims;
	struct segment *segments;
	size_t count, room;
	uint64_t secret;
	size_t cookie; /* index of its word */
	uint64_t bytes, in_use_bytes;
	uint64_t end; /* of the segment before */
	bool has_in_use;
};

static int take_head(void *ctx, uint64_t addr, const uint64_t *words)
{
	struct mimalloc *mi = ctx;

	if (mi->count == SEGMENTS_MAX)
		return 1;
	if (mi->count == mi->room) {
		size_t room = mi->room ? 2 * mi->room : 64;
		struct segment *bigger = reallocarray(mi->segments, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		mi->segments = bigger;
		mi->room = room;
	}
	mi->segments[mi->count].addr = addr;
	memcpy(mi->segments[mi->count++].words, words, HEAD_WORDS * sizeof(*words));
	return 0;
}

/* The secret is a random word: one without upper bits is an address's difference, or chance. */
static bool may_be_secret(uint64_t secret)
{
	return secret >> 48 && secret >> 48 != 0xffff;
}

/* Secrets that the first heads speak for; the upper bits of each are marked, to pass over the rest
 * of the data quickly. */
#define HEADS_TRIED 16u

struct search {
	struct mimalloc *mi;
	size_t heads;
	uint8_t upper[1u << 16];
};

static void mark_secrets(struct search *s)
{
	for (size_t i = 0; i < s->heads; i++) {
		const struct segment *segment = &s->mi->segments[i];

		for (size_t k = 0; k < COOKIES; k++) {
			uint64_t secret = segment->words[k] ^ segment->addr;

			if (segment->words[k] && may_be_secret(secret))
				s->upper[secret >> 48] = 1;
		}
	}
}

static bool is_secret(struct search *s, uint64_t word)
{
	for (size_t i = 0; i < s->heads; i++) {
		const struct segment *segment = &s->mi->segments[i];

		for (size_t k = 0; k < COOKIES; k++) {
			if (segment->words[k] && (segment->words[k] ^ segment->addr) == word) {
				s->mi->secret = word;
				s->mi->cookie = k;
				return true;
			}
		}
	}
	return false;
}

static int find_secret(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct search *s = ctx;

	for (size_t i = 0; i < count; i++)
		if (s->upper[words[i] >> 48] && is_secret(s, words[i]))
			return 1;
	return 0;
}

/* Leaves the proven ones. */
static int find_segments(struct mimalloc *mi)
{
	struct search *s = calloc(1, sizeof(*s));
	size_t kept = 0;
	int err;

	if (!s)
		return -ENOMEM;
	s->mi = mi;
	s->heads = mi->count < HEADS_TRIED ? mi->count : HEADS_TRIED;
	mark_secrets(s);
	err = scan__each_data_window(mi->subject, find_secret, s);
	free(s);
	for (size_t i = 0; err > 0 && i < mi->count; i++)
		if ((mi->segments[i].words[mi->cookie] ^ mi->segments[i].addr) == mi->secret)
			mi->segments[kept++] = mi->segments[i];
	mi->count = kept;
	return err < 0 ? err : 0;
}

static uint64_t field(const uint8_t *page, size_t offset, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, page + offset, bytes);
	return value;
}

/*
 * Blocks that a segment's pages have handed out, in bytes: those that other threads have freed and
 * the owner has not taken back yet count. False when its slices do not add up to the segment in
 * this layout. The first SLICES_MAX slices alone have an entry: a longer segment is one block.
 */
static bool count_pages(const struct page_layout *layout, const uint8_t *pages, uint64_t slices,
			uint64_t *in_use)
{
	uint64_t sum = 0, i = 0;

	while (i < slices) {
		const uint8_t *page = pages + i * layout->bytes;
		uint64_t run = field(page, 0, 4), used, block;

		/* The first of a run has its length and no distance from itself. */
		if (i >= SLICES_MAX || !run || run > slices - i || field(page, 4, 4))
			return false;
		used = field(page, layout->used, layout->used_bytes);
		block = field(page, layout->block_size, layout->block_size_bytes);
		if (i && used && block) {
			/* A huge block has no size that fits its field. */
			if (block >= 1u << 31)
				block = run * SLICE_BYTES;
			if (used > run * SLICE_BYTES / block)
				return false;
			sum += used * block;
		}
		i += run;
	}
	*in_use = sum;
	return true;
}

/* Entries of slices inside a run are not written: what is not resident is read as zero, which no
 * run begins with. */
static int read_sparse(struct memory *memory, uint64_t addr, uint8_t *buf, size_t size)
{
	memset(buf, 0, size);
	for (size_t done = 0; done < size;) {
		ssize_t got = memory__read_some(memory, addr + done, buf + done, size - done);

		if (got < 0 && !scan__is_local_error((int)got))
			return (int)got;
		done = got > 0 ? done + (size_t)got
			       : ((addr + done) | (SPACE_PAGE_BYTES - 1)) + 1 - addr;
	}
	return 0;
}

/* False when none of the layouts fits. */
static bool read_pages(struct mimalloc *mi, const struct segment *segment, uint64_t slices)
{
	uint8_t *pages = malloc(SLICES_MAX * layouts[3].bytes); /* the largest */
	bool fits = false;

	for (size_t i = 0; pages && !fits && i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		const struct page_layout *layout = &layouts[i];
		/* segment_info_slices, kind, slice_entries and thread_id come between. */
		size_t first = mi->cookie + layout->slices_after + 5;
		uint64_t in_use;

		if (read_sparse(&mi->subject->memory, segment->addr + first * 8, pages,
				MIN(slices, SLICES_MAX) * layout->bytes))
			continue;
		fits = count_pages(layout, pages, slices, &in_use);
		if (fits)
			mi->in_use_bytes += in_use;
	}
	free(pages);
	return fits;
}

static int take_segment(struct mimalloc *mi, const struct segment *segment)
{
	uint64_t slices = 0;
	int err;

	/* Segments do not overlap. What has a head inside of another one is what an earlier segment
	 * left there, or the other one's length is false: its slices then do not add up to it. */
	if (segment->addr < mi->end)
		return 0;
	for (size_t after = 1; after <= 3 && !slices; after += 2) {
		uint64_t value = segment->words[mi->cookie + after];

		if (value && value < 1u << 24 &&
		    scan__is_anonymous(mi->subject, segment->addr,
				       segment->addr + value * SLICE_BYTES))
			slices = value;
	}
	if (!slices) {
		mi->has_in_use = false;
		return 0;
	}
	mi->end = segment->addr + slices * SLICE_BYTES;
	mi->bytes += slices * SLICE_BYTES;
	/* A huge segment is one block, and its slices need not all be written. */
	mi->has_in_use &= read_pages(mi, segment, slices);
	err = claims__add(mi->claims, segment->addr, segment->addr + slices * SLICE_BYTES,
			  LEDGER_MIMALLOC, "segments with mimalloc's cookie");
	return err == -ENOMEM ? err : 0;
}

static int claim_hinted(const struct mimalloc *mi)
{
	for (size_t i = 0; i < mi->subject->n; i++) {
		const struct maps_entry *entry = &mi->subject->entries[i];

		if (entry->start >= HINTS_START && entry->end <= HINTS_END &&
		    entry_is_anonymous_rw(entry) &&
		    claims__add(mi->claims, entry->start, entry->end, LEDGER_MIMALLOC,
				"mappings at the addresses that mimalloc asks for") == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

int mimalloc__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct mimalloc mi = {.subject = subject, .claims = claims, .has_in_use = true};
	int err = scan__each_head(subject, SEGMENT_ALIGN, HEAD_WORDS * 8, take_head, &mi);

	if (err >= 0 && mi.count)
		err = find_segments(&mi);
	else
		mi.count = 0;
	for (size_t i = 0; err >= 0 && i < mi.count; i++)
		err = take_segment(&mi, &mi.segments[i]);
	if (err >= 0 && mi.count)
		err = claim_hinted(&mi);
	if (err >= 0 && mi.bytes)
		allocators__add(out, &(struct allocator_facts){
					     .name = "mimalloc",
					     .how = "segments with the cookie of its main heap",
					     .bytes = mi.bytes,
					     .in_use_bytes = mi.in_use_bytes,
					     .has_in_use = mi.has_in_use,
				     });
	free(mi.segments);
	return err < 0 ? err : 0;
}
