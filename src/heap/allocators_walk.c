// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Walks an allocator's tree of pages. */
#include <errno.h>
#include <stdlib.h>

#include "heap/allocators_scan.h"
#include "heap/allocators_tree.h"

/* Each of them covers 1 GiB of address space at least: 4 TiB of heap. */
#define LEAVES_MAX 4096u

#define WINDOW_WORDS (SCAN_WINDOW_BYTES / 8)

struct walk {
	const struct tree *tree;
	struct subject *subject;
	struct tree_walk *out;

	uint64_t leaves[LEAVES_MAX];
	size_t leaf_count;
	uint64_t leaf;      /* the one that is walked */
	uint64_t leaf_page; /* number of the page that its first element is for */
	uint64_t next_page; /* the first that no run so far holds */

	/* Elements of one window of a leaf that name a descriptor, and that descriptor. */
	uint64_t addrs[WINDOW_WORDS];
	uint32_t index[WINDOW_WORDS];
	uint8_t valid[WINDOW_WORDS];
	uint8_t descriptors[WINDOW_WORDS * TREE_DESCRIPTOR_MAX];
};

/* Neighbours that are equal are pages of one run: one of them will do. */
static size_t find_descriptors(struct walk *w, const uint64_t *words, size_t count)
{
	const struct tree_kind *kind = w->tree->kind;
	uint64_t previous = 0;
	size_t n = 0;

	for (size_t i = 0; i < count; previous = words[i++]) {
		uint64_t at = words[i] ? kind->descriptor(kind, words[i]) : 0;

		if (!at || words[i] == previous)
			continue;
		w->addrs[n] = at;
		w->index[n++] = (uint32_t)i;
	}
	return n;
}

static int walk_window(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct walk *w = ctx;
	const struct tree_kind *kind = w->tree->kind;
	uint64_t first = w->leaf_page + (addr - w->leaf) / 8;
	size_t n = find_descriptors(w, words, count);
	int err = memory__gather(&w->subject->memory, w->addrs, n, kind->descriptor_bytes,
				 w->descriptors, w->valid);

	for (size_t k = 0; !err && k < n; k++) {
		const void *descriptor = w->descriptors + k * kind->descriptor_bytes;
		uint64_t page = first + w->index[k];
		struct tree_run run;

		/* The last page of a run, or one inside. */
		if (page < w->next_page)
			continue;
		if (!w->valid[k] || w->addrs[k] % kind->descriptor_align ||
		    !kind->parse(kind, descriptor, &run) || run.page != page ||
		    !kind->agrees(kind, descriptor, words[w->index[k]])) {
			w->out->differing++;
			continue;
		}
		w->next_page = page + run.pages;
		w->out->runs++;
		err = w->out->run(w->out->ctx, &run, descriptor, w->addrs[k]);
	}
	return err;
}

static bool is_new_leaf(struct walk *w, uint64_t leaf)
{
	for (size_t i = 0; i < w->leaf_count; i++)
		if (w->leaves[i] == leaf)
			return false;
	if (w->leaf_count == LEAVES_MAX)
		return false;
	w->leaves[w->leaf_count++] = leaf;
	return true;
}

static int walk_leaf(struct walk *w, uint64_t leaf, uint64_t key)
{
	int err = w->out->leaf ? w->out->leaf(w->out->ctx, leaf) : 0;

	if (err)
		return err;
	w->leaf = leaf;
	w->leaf_page = key * TREE_LEAF_WORDS;
	return scan__each_window(w->subject, leaf, leaf + TREE_LEAF_BYTES, walk_window, w);
}

/* A window of the root. */
static int walk_root(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct walk *w = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		if (!words[i])
			continue;
		/* Two slots with one leaf are no tree, and would be a way to make this endless. */
		if (words[i] % 16 || !is_new_leaf(w, words[i]) ||
		    !scan__is_anonymous_rw(w->subject, words[i], words[i] + TREE_LEAF_BYTES))
			w->out->differing++;
		else
			err = walk_leaf(w, words[i], (addr - w->tree->root) / 8 + i);
	}
	return err;
}

int tree__walk(const struct tree *tree, struct subject *subject, struct tree_walk *walk)
{
	struct walk *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->tree = tree;
	w->subject = subject;
	w->out = walk;
	walk->runs = walk->differing = 0;
	err = scan__each_window(subject, tree->root, tree->root + tree->kind->root_words * 8,
				walk_root, w);
	free(w);
	return err;
}
