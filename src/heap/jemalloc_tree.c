// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Finds the roots of jemalloc's radix trees. */
#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "heap/allocators_scan.h"
#include "heap/jemalloc.h"

/*
 * Words of zero-initialised data that look like a leaf's address and are followed. A library's own
 * .bss has a few dozen before the root; a large static program's may have thousands, of which each
 * costs two reads.
 */
#define LEAVES_TRIED_MAX 20000u

/*
 * Elements of a leaf that are asked what they belong to. Most extents have two (their first and
 * last page), so that half of these know where they are; slabs have one for each page, all alike.
 */
#define SAMPLES_MAX 128u

struct sample {
	uint64_t index[SAMPLES_MAX];
	uint64_t element[SAMPLES_MAX];
	size_t count;
	uint64_t leaf;
};

struct search {
	struct subject *subject;
	uint64_t start, end; /* of the area that is searched */
	unsigned int leaves;
	struct jemalloc_tree *trees;
	int count;
};

/* The different ones; the first of equal neighbours stands for all. */
static int take_samples(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct sample *sample = ctx;

	for (size_t i = 0; i < count; i++) {
		/* A cleared one keeps the number of no size class. */
		if (!(words[i] << 16) ||
		    (sample->count && words[i] == sample->element[sample->count - 1]))
			continue;
		sample->index[sample->count] = (addr - sample->leaf) / 8 + i;
		sample->element[sample->count++] = words[i];
		if (sample->count == SAMPLES_MAX)
			return 1;
	}
	return 0;
}

/*
 * The root for which the sample speaks, if the leaf's address stands at slot: extents that begin
 * where their element says, all in the same leaf, and of which leaf and extent say the same. An
 * element whose extent does not agree is a change while it was read, or no extent at all. 0 when
 * there is none.
 */
static int judge(struct search *s, const struct sample *sample, uint64_t slot,
		 const struct jemalloc_layout *layout, uint64_t *root)
{
	struct jemalloc_extent extents[SAMPLES_MAX];
	unsigned int agree = 0, differ = 0;
	uint64_t addrs[SAMPLES_MAX], key = 0;
	uint8_t valid[SAMPLES_MAX];
	int err;

	for (size_t i = 0; i < sample->count; i++)
		addrs[i] = jemalloc_element__extent(layout, sample->element[i]);
	err = memory__gather(&s->subject->memory, addrs, sample->count, sizeof(extents[0]), extents,
			     valid);
	if (err)
		return err;
	*root = 0;
	for (size_t i = 0; i < sample->count; i++) {
		const struct jemalloc_extent *extent = &extents[i];
		uint64_t page = extent->addr / JEMALLOC_PAGE_BYTES;

		if (!valid[i] || addrs[i] % 64 || extent->addr >> 47 ||
		    !jemalloc_extent__size(extent)) {
			differ++;
		} else if (page % JEMALLOC_NODE_WORDS == sample->index[i]) {
			bool fits = jemalloc_extent__agrees(layout, extent, sample->element[i]) &&
				    (!key || key == extent->addr >> JEMALLOC_LEAF_SHIFT);

			agree += fits;
			differ += !fits;
			key = fits ? extent->addr >> JEMALLOC_LEAF_SHIFT : key;
		}
	}
	if (agree && differ <= agree / 8 && slot - s->start >= key * 8 &&
	    slot - key * 8 <= s->end - JEMALLOC_NODE_BYTES)
		*root = slot - key * 8;
	return 0;
}

static int try_leaf(struct search *s, uint64_t slot, uint64_t leaf)
{
	struct sample sample = {.leaf = leaf};
	int err;

	if (s->leaves++ >= LEAVES_TRIED_MAX)
		return 1;
	err = scan__each_window(s->subject, leaf, leaf + JEMALLOC_NODE_BYTES, take_samples,
				&sample);
	if (err < 0 || !sample.count)
		return err;
	for (size_t k = 0; k < JEMALLOC_LAYOUTS; k++) {
		uint64_t root;

		err = judge(s, &sample, slot, &jemalloc_layouts[k], &root);
		if (err)
			return err;
		if (!root)
			continue;
		s->trees[s->count++] = (struct jemalloc_tree){root, &jemalloc_layouts[k]};
		/* One of them for each object. */
		return 1;
	}
	return 0;
}

static int try_words(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct search *s = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		uint64_t leaf = words[i];

		/* Leaves begin at a cache line, in blocks of jemalloc's own tables. */
		if (!leaf || leaf % 64 || leaf >> 47 ||
		    !scan__is_anonymous_rw(s->subject, leaf, leaf + JEMALLOC_NODE_BYTES))
			continue;
		err = try_leaf(s, addr + 8 * i, leaf);
	}
	return err;
}

int jemalloc_tree__find(struct subject *subject, struct jemalloc_tree trees[JEMALLOC_TREES_MAX])
{
	struct search s = {.subject = subject, .trees = trees};

	for (size_t i = 0; i < subject->n && s.count < JEMALLOC_TREES_MAX; i++) {
		const struct maps_entry *entry = &subject->entries[i];
		int err;

		if (!scan__is_object_data(subject, i, false) ||
		    entry->end - entry->start < JEMALLOC_NODE_BYTES)
			continue;
		s.start = entry->start;
		s.end = entry->end;
		err = scan__each_window(subject, s.start, s.end, try_words, &s);
		if (err < 0)
			return err;
	}
	return s.count;
}
