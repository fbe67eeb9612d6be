// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Finds the roots of allocators' trees of pages. */
#include "heap/allocators_tree.h"

#include <errno.h>
#include <string.h>

#include "heap/allocators_scan.h"

/*
 * Words of zero-initialised data that look like a leaf's address and are followed. A library's own
 * .bss has a few dozen before the root; a large static program's may have thousands, of which each
 * costs two reads.
 */
#define LEAVES_TRIED_MAX 20000u

/* Pages of memory that looks like a leaf's and are read for it, in all: a real one's first pages
 * tell, zeroes do not. */
#define PAGES_TRIED_MAX 32768u

/*
 * Elements of a leaf that are asked what they belong to. Most runs have two (their first and last
 * page), so that half of these know where they are; runs of small objects have one for each page,
 * all alike.
 */
#define SAMPLES_MAX 128u

/* No user address lies above (TASK_SIZE of four-level page tables). */
#define ADDRESS_BITS 47

struct sample {
	uint64_t index[SAMPLES_MAX];
	uint64_t element[SAMPLES_MAX];
	uint64_t addrs[SAMPLES_MAX];
	uint8_t valid[SAMPLES_MAX];
	uint8_t descriptors[SAMPLES_MAX * TREE_DESCRIPTOR_MAX];
	size_t count;
	uint64_t leaf;
	unsigned int pages; /* read, of all leaves */
};

struct search {
	struct subject *subject;
	const struct tree_kind *kinds;
	size_t kind_count;
	const struct maps_entry *area;
	struct sample sample;
	unsigned int leaves;
	struct tree found;
};

/* The different ones; the first of equal neighbours stands for all. */
static int take_samples(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct sample *sample = ctx;

	if (sample->pages++ >= PAGES_TRIED_MAX)
		return 1;
	for (size_t i = 0; i < count; i++) {
		/* A cleared element of jemalloc's keeps the number of no size class, above bit 47.
		 */
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

static int read_descriptors(struct search *s, const struct tree_kind *kind)
{
	struct sample *sample = &s->sample;

	for (size_t i = 0; i < sample->count; i++)
		sample->addrs[i] = kind->descriptor(kind, sample->element[i]);
	return memory__gather(&s->subject->memory, sample->addrs, sample->count,
			      kind->descriptor_bytes, sample->descriptors, sample->valid);
}

/*
 * The root for which the sample speaks, if the leaf's address stands at slot: runs that begin where
 * their element stands, all under the same slot. An element that does not agree is a change while
 * it was read, or no element at all. 0 when there is none.
 */
static uint64_t judge(const struct search *s, const struct tree_kind *kind, uint64_t slot)
{
	const struct sample *sample = &s->sample;
	unsigned int agree = 0, differ = 0;
	uint64_t key = 0, root;

	for (size_t i = 0; i < sample->count; i++) {
		const void *descriptor = sample->descriptors + i * kind->descriptor_bytes;
		struct tree_run run;

		if (!sample->valid[i] || sample->addrs[i] % kind->descriptor_align ||
		    !kind->parse(kind, descriptor, &run)) {
			differ++;
		} else if (run.page % TREE_LEAF_WORDS == sample->index[i]) {
			uint64_t own = run.page / TREE_LEAF_WORDS;
			bool fits = kind->agrees(kind, descriptor, sample->element[i]) &&
				    own < kind->root_words && (!agree || own == key);

			key = fits ? own : key;
			agree += fits;
			differ += !fits;
		}
	}
	root = slot - key * 8;
	return agree && differ <= agree / 8 && slot - s->area->start >= key * 8 &&
			       root + kind->root_words * 8 <= s->area->end
		       ? root
		       : 0;
}

static int try_leaf(struct search *s, uint64_t slot, uint64_t leaf)
{
	int err;

	if (s->leaves++ >= LEAVES_TRIED_MAX || s->sample.pages >= PAGES_TRIED_MAX)
		return 1;
	s->sample.leaf = leaf;
	s->sample.count = 0;
	err = scan__each_window(s->subject, leaf, leaf + TREE_LEAF_BYTES, take_samples, &s->sample);
	if (err < 0 || !s->sample.count)
		return err < 0 ? err : 0;
	for (size_t k = 0; k < s->kind_count; k++) {
		const struct tree_kind *kind = &s->kinds[k];
		uint64_t root;

		err = read_descriptors(s, kind);
		if (err)
			return err;
		root = judge(s, kind, slot);
		if (!root)
			continue;
		s->found = (struct tree){kind, root, s->area->start, s->area->end};
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

		/* Tables are kept at multiples of 16 bytes at least, whole in one mapping. */
		if (!leaf || leaf % 16 || leaf >> ADDRESS_BITS ||
		    !scan__is_anonymous_rw(s->subject, leaf, leaf + TREE_LEAF_BYTES))
			continue;
		err = try_leaf(s, addr + 8 * i, leaf);
	}
	return err;
}

int tree__find(struct subject *subject, const struct tree_kind *kinds, size_t kind_count,
	       struct tree *trees, size_t max)
{
	struct search s = {.subject = subject, .kinds = kinds, .kind_count = kind_count};
	uint64_t least_bytes = UINT64_MAX;
	size_t count = 0;

	for (size_t k = 0; k < kind_count; k++)
		if (kinds[k].root_words * 8 < least_bytes)
			least_bytes = kinds[k].root_words * 8;
	for (size_t i = 0; i < subject->n && count < max; i++) {
		int err;

		s.area = &subject->entries[i];
		if (!scan__is_object_data(subject, i, false) ||
		    s.area->end - s.area->start < least_bytes)
			continue;
		s.found = (struct tree){0};
		err = scan__each_window(subject, s.area->start, s.area->end, try_words, &s);
		if (err < 0)
			return err;
		if (s.found.kind)
			trees[count++] = s.found;
	}
	return (int)count;
}
