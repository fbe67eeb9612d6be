// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Walks an allocator's tree of pages. */
#include <errno.h>
#include <stdlib.h>

#include "heap/allocators_scan.h"
#include "heap/allocators_tree.h"

#define WINDOW_WORDS (SCAN_WINDOW_BYTES / 8)

struct walk {
	const struct tree *tree;
	struct subject *subject;
	struct tree_walk *out;

	uint64_t tables[TREE_TABLES_MAX];
	size_t table_count;
	uint64_t node, node_key;
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
	const unsigned int step = kind->shape->element_words;
	uint64_t previous = 0;
	size_t n = 0;

	for (size_t i = 0; i + step <= count; previous = words[i], i += step) {
		uint64_t at = words[i] ? kind->descriptor(kind, words + i) : 0;

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
	const unsigned int step = kind->shape->element_words;
	uint64_t first = w->leaf_page + (addr - w->leaf) / 8 / step;
	size_t n = find_descriptors(w, words, count);
	int err = memory__gather(&w->subject->memory, w->addrs, n, kind->descriptor_bytes,
				 w->descriptors, w->valid);

	for (size_t k = 0; !err && k < n; k++) {
		const void *descriptor = w->descriptors + k * kind->descriptor_bytes;
		uint64_t page = first + w->index[k] / step;
		struct tree_run run;

		/* The last page of a run, or one inside. */
		if (page < w->next_page)
			continue;
		if (!w->valid[k] || w->addrs[k] % kind->descriptor_align ||
		    !kind->parse(kind, descriptor, &run) || run.page != page ||
		    !kind->agrees(kind, descriptor, words + w->index[k])) {
			w->out->differing++;
			continue;
		}
		w->next_page = page + run.pages;
		w->out->runs++;
		err = w->out->run(w->out->ctx, &run, descriptor, w->addrs[k]);
	}
	return err;
}

/* A table that two words name is no tree's, and would be a way to make this endless. */
static int enter_table(struct walk *w, uint64_t table, uint64_t bytes)
{
	bool is_new = w->table_count < TREE_TABLES_MAX;

	for (size_t i = 0; i < w->table_count; i++)
		is_new &= w->tables[i] != table;
	if (table % 16 || !is_new || !scan__is_anonymous_rw(w->subject, table, table + bytes)) {
		w->out->differing++;
		return 0;
	}
	w->tables[w->table_count++] = table;
	return w->out->table ? w->out->table(w->out->ctx, table) : 0;
}

static int walk_leaf(struct walk *w, uint64_t leaf, uint64_t key)
{
	uint64_t bytes = tree_shape__leaf_bytes(w->tree->kind->shape);
	size_t before = w->table_count;
	int err = enter_table(w, leaf, bytes);

	if (err || w->table_count == before)
		return err;
	w->leaf = leaf;
	w->leaf_page = key * w->tree->kind->shape->leaf_elements;
	return scan__each_window(w->subject, leaf, leaf + bytes, walk_window, w);
}

static int walk_node_window(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct walk *w = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++)
		if (words[i])
			err = walk_leaf(w, words[i],
					w->node_key * w->tree->kind->shape->node_words +
						(addr - w->node) / 8 + i);
	return err;
}

static int walk_node(struct walk *w, uint64_t node, uint64_t key)
{
	uint64_t bytes = tree_shape__child_bytes(w->tree->kind->shape);
	size_t before = w->table_count;
	int err = enter_table(w, node, bytes);

	if (err || w->table_count == before)
		return err;
	w->node = node;
	w->node_key = key;
	return scan__each_window(w->subject, node, node + bytes, walk_node_window, w);
}

/* A window of the root. */
static int walk_root(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct walk *w = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		uint64_t key = (addr - w->tree->root) / 8 + i;

		if (words[i])
			err = w->tree->kind->shape->node_words ? walk_node(w, words[i], key)
							       : walk_leaf(w, words[i], key);
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
	err = scan__each_window(subject, tree->root, tree->root + tree->kind->shape->root_words * 8,
				walk_root, w);
	free(w);
	return err;
}
