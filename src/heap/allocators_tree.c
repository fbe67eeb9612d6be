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

/* Words after the address of a leaf that are looked at before the leaf is. */
#define ROOT_WORDS_SEEN 64u

/* No user address lies above (TASK_SIZE of four-level page tables). */
#define ADDRESS_BITS 47

struct sample {
	uint64_t index[SAMPLES_MAX]; /* of the element in its leaf */
	uint64_t element[SAMPLES_MAX][2];
	uint64_t addrs[SAMPLES_MAX];
	uint8_t valid[SAMPLES_MAX];
	uint8_t descriptors[SAMPLES_MAX * TREE_DESCRIPTOR_MAX];
	size_t count;
	const struct tree_shape *shape;
	uint64_t leaf;
	uint64_t node_index; /* of the word that names the leaf, in a node */
	unsigned int pages;  /* read, of all leaves */
};

struct search {
	struct subject *subject;
	const struct tree_kind *kinds;
	size_t kind_count;
	uint64_t area_start, area_end; /* the data that is searched */
	struct sample sample;
	unsigned int leaves;
	struct tree found;
};

uint64_t tree_shape__leaf_bytes(const struct tree_shape *shape)
{
	return shape->leaf_elements * shape->element_words * 8;
}

uint64_t tree_shape__child_bytes(const struct tree_shape *shape)
{
	return shape->node_words ? shape->node_words * 8 : tree_shape__leaf_bytes(shape);
}

/* The different ones; the first of equal neighbours stands for all. */
static int take_samples(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct sample *sample = ctx;
	const unsigned int step = sample->shape->element_words;

	if (sample->pages++ >= PAGES_TRIED_MAX)
		return 1;
	for (size_t i = 0; i + step <= count; i += step) {
		size_t n = sample->count;

		/* A cleared element of jemalloc's keeps the number of no size class, above bit 47.
		 */
		if (!(words[i] << 16) || (n && words[i] == sample->element[n - 1][0]))
			continue;
		sample->index[n] = ((addr - sample->leaf) / 8 + i) / step;
		sample->element[n][0] = words[i];
		sample->element[n][1] = words[i + step - 1];
		if (++sample->count == SAMPLES_MAX)
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

/* The number of the leaf that a run begins in fits the way that led to this one: its index in the
 * root, or UINT64_MAX. */
static uint64_t root_index(const struct sample *sample, const struct tree_run *run)
{
	uint64_t leaf = run->page / sample->shape->leaf_elements;

	if (!sample->shape->node_words)
		return leaf;
	return leaf % sample->shape->node_words == sample->node_index
		       ? leaf / sample->shape->node_words
		       : UINT64_MAX;
}

/*
 * The root for which the sample speaks, if the word that led here stands at slot: runs that begin
 * where their element stands, all under the same slot. An element that does not agree is a change
 * while it was read, or no element at all. 0 when there is none.
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
		} else if (run.page % kind->shape->leaf_elements == sample->index[i]) {
			uint64_t own = root_index(sample, &run);
			bool fits = kind->agrees(kind, descriptor, sample->element[i]) &&
				    own < kind->shape->root_words && (!agree || own == key);

			key = fits ? own : key;
			agree += fits;
			differ += !fits;
		}
	}
	root = slot - key * 8;
	return agree && differ <= agree / 8 && slot - s->area_start >= key * 8 &&
			       root + kind->shape->root_words * 8 <= s->area_end
		       ? root
		       : 0;
}

/* Tables are kept at multiples of 16 bytes at least, whole in one mapping. */
static bool may_be_table(const struct search *s, uint64_t word, uint64_t bytes)
{
	return word && word % 16 == 0 && !(word >> ADDRESS_BITS) &&
	       scan__is_anonymous_rw(s->subject, word, word + bytes);
}

/* Index and value of the first word of a node that may name a leaf. */
struct first_leaf {
	const struct search *search;
	uint64_t leaf_bytes;
	uint64_t node, leaf, index;
};

static int find_leaf(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct first_leaf *first = ctx;

	for (size_t i = 0; i < count; i++) {
		if (!words[i])
			continue;
		if (!may_be_table(first->search, words[i], first->leaf_bytes))
			return 1;
		first->leaf = words[i];
		first->index = (addr - first->node) / 8 + i;
		return 1;
	}
	return 0;
}

static int sample_leaf(struct search *s, const struct tree_shape *shape, uint64_t table)
{
	struct first_leaf first = {.search = s,
				   .leaf_bytes = tree_shape__leaf_bytes(shape),
				   .node = table,
				   .leaf = shape->node_words ? 0 : table};
	int err = 0;

	s->sample.count = 0;
	if (shape->node_words)
		err = scan__each_page(s->subject, table, table + shape->node_words * 8, find_leaf,
				      &first);
	if (err < 0 || !first.leaf)
		return err < 0 ? err : 0;
	s->sample.shape = shape;
	s->sample.leaf = first.leaf;
	s->sample.node_index = first.index;
	err = scan__each_page(s->subject, first.leaf, first.leaf + first.leaf_bytes, take_samples,
			      &s->sample);
	return err < 0 ? err : 0;
}

/* What the word at slot names may be a leaf, or lead to one. 1 to search no more. */
static int try_table(struct search *s, const struct tree_shape *shape, uint64_t slot,
		     uint64_t table)
{
	int err;

	if (s->leaves++ >= LEAVES_TRIED_MAX || s->sample.pages >= PAGES_TRIED_MAX)
		return 1;
	err = sample_leaf(s, shape, table);
	for (size_t k = 0; !err && s->sample.count && k < s->kind_count; k++) {
		const struct tree_kind *kind = &s->kinds[k];
		uint64_t root;

		if (kind->shape != shape)
			continue;
		err = read_descriptors(s, kind);
		root = err ? 0 : judge(s, kind, slot);
		if (!root)
			continue;
		s->found = (struct tree){kind, root, s->area_start, s->area_end};
		return 1;
	}
	return err;
}

/*
 * What follows in a root is zeroes and tables: no user address is near the root's end, whose upper
 * half is the kernel's. Data of other kinds is told from it by that.
 */
static bool may_be_root(const struct search *s, uint64_t bytes, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count && i < ROOT_WORDS_SEEN; i++)
		if (words[i] && !may_be_table(s, words[i], bytes))
			return false;
	return true;
}

static int try_words(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct search *s = ctx;
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		const struct tree_shape *last = NULL;

		if (!words[i] || words[i] % 16)
			continue;
		for (size_t k = 0; !err && k < s->kind_count; k++) {
			const struct tree_shape *shape = s->kinds[k].shape;

			/* Kinds of one shape follow each other. */
			if (shape == last)
				continue;
			last = shape;
			if (may_be_root(s, tree_shape__child_bytes(shape), words + i, count - i))
				err = try_table(s, shape, addr + 8 * i, words[i]);
		}
		if (err)
			return err;
	}
	return 0;
}

int tree__find(struct subject *subject, const struct tree_kind *kinds, size_t kind_count,
	       struct tree *trees, size_t max)
{
	struct search s = {.subject = subject, .kinds = kinds, .kind_count = kind_count};
	uint64_t least_bytes = UINT64_MAX;
	size_t count = 0;

	for (size_t k = 0; k < kind_count; k++)
		if (kinds[k].shape->root_words * 8 < least_bytes)
			least_bytes = kinds[k].shape->root_words * 8;
	for (size_t i = 0; i < subject->n && count < max; i++) {
		int err;

		s.area_start = subject->entries[i].start;
		s.area_end = scan__data_end(&subject->entries[i]);
		if (!scan__is_object_data(subject, i, false) ||
		    s.area_end - s.area_start < least_bytes)
			continue;
		s.found = (struct tree){0};
		err = scan__each_window(subject, s.area_start, s.area_end, try_words, &s);
		if (err < 0)
			return err;
		if (s.found.kind)
			trees[count++] = s.found;
	}
	return (int)count;
}
