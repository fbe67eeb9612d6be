// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Walks a radix tree of jemalloc's: every extent, in order of address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "heap/allocators_scan.h"
#include "heap/jemalloc.h"
#include "heap/jemalloc_blocks.h"

/* Each of them covers 1 GiB of address space: 4 TiB of heap. */
#define LEAVES_MAX 4096u

#define WINDOW_WORDS (SCAN_WINDOW_BYTES / 8)

struct walk {
	const struct jemalloc_tree *tree;
	struct subject *subject;
	struct claims *claims;
	struct jemalloc_walk *out;
	struct jemalloc_blocks blocks;

	uint64_t leaves[LEAVES_MAX];
	size_t leaf_count;
	uint64_t leaf;      /* the one that is walked */
	uint64_t leaf_page; /* number of the page that its first element is for */
	uint64_t next_page; /* the first that no extent so far holds */

	/* Elements of one window of a leaf that name an extent, and that extent. */
	uint64_t addrs[WINDOW_WORDS];
	uint32_t index[WINDOW_WORDS];
	struct jemalloc_extent extents[WINDOW_WORDS];
	uint8_t valid[WINDOW_WORDS];
};

static void count_extent(struct walk *w, const struct jemalloc_extent *extent)
{
	const struct jemalloc_layout *layout = w->tree->layout;
	uint64_t size = jemalloc_extent__size(extent);
	struct jemalloc_walk *out = w->out;

	switch (jemalloc_extent__state(layout, extent)) {
	case JEMALLOC_ACTIVE:
		out->active_bytes += size;
		for (unsigned int k = 0; k < JEMALLOC_QUANTA; k++) {
			bool sound = true;

			out->allocated_bytes[k] += jemalloc_extent__allocated(
				layout, k + JEMALLOC_LG_QUANTUM_MIN, extent, &sound);
			out->unsound[k] += !sound;
		}
		break;
	case JEMALLOC_DIRTY:
		out->dirty_bytes += size;
		break;
	case JEMALLOC_MUZZY:
		out->muzzy_bytes += size;
		break;
	case JEMALLOC_RETAINED:
		out->retained_bytes += size;
		break;
	default:
		out->moving_bytes += size;
		break;
	}
}

/* 1 when the extent begins at this page and is what the leaf says. */
static bool is_extent(const struct walk *w, const struct jemalloc_extent *extent, uint64_t page,
		      uint64_t element)
{
	uint64_t size = jemalloc_extent__size(extent);

	return jemalloc_extent__start(extent) == page * JEMALLOC_PAGE_BYTES && size &&
	       size >> 47 == 0 && jemalloc_extent__agrees(w->tree->layout, extent, element);
}

static int take_extent(struct walk *w, const struct jemalloc_extent *extent)
{
	uint64_t start = jemalloc_extent__start(extent);
	uint64_t end = start + jemalloc_extent__size(extent);
	int err;

	w->out->extents++;
	w->out->extent_bytes += end - start;
	if (!scan__is_anonymous(w->subject, start, end))
		return 0;
	w->out->mapped_bytes += end - start;
	count_extent(w, extent);
	err = claims__add(w->claims, start, end, COMPONENT_JEMALLOC,
			  "extents of jemalloc's own page table");
	return err == -ENOMEM ? err : 0;
}

static int walk_window(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	uint64_t first = 0, previous = 0;
	struct walk *w = ctx;
	size_t n = 0;
	int err;

	/* A slab has the same element for all its pages: one of them will do. */
	for (size_t i = 0; i < count; previous = words[i++]) {
		uint64_t at = jemalloc_element__extent(w->tree->layout, words[i]);

		if (!at || words[i] == previous)
			continue;
		w->addrs[n] = at;
		w->index[n++] = (uint32_t)i;
	}
	err = memory__gather(&w->subject->memory, w->addrs, n, sizeof(w->extents[0]), w->extents,
			     w->valid);
	first = w->leaf_page + (addr - w->leaf) / 8;
	for (size_t k = 0; !err && k < n; k++) {
		uint64_t page = first + w->index[k];

		/* The last page of an extent, or one inside a slab. */
		if (page < w->next_page)
			continue;
		if (!w->valid[k] || !is_extent(w, &w->extents[k], page, words[w->index[k]])) {
			w->out->differing++;
			continue;
		}
		w->next_page = page + jemalloc_extent__size(&w->extents[k]) / JEMALLOC_PAGE_BYTES;
		err = take_extent(w, &w->extents[k]);
		if (!err)
			err = jemalloc_blocks__note(&w->blocks, w->subject, w->addrs[k]);
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

/* A window of the root. */
static int walk_root(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct walk *w = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		uint64_t leaf = words[i], key = (addr - w->tree->root) / 8 + i;

		if (!leaf)
			continue;
		/* Two slots with one leaf are no tree, and would be a way to make this endless. */
		if (leaf % 64 || !is_new_leaf(w, leaf) ||
		    !scan__is_anonymous_rw(w->subject, leaf, leaf + JEMALLOC_NODE_BYTES)) {
			w->out->differing++;
			continue;
		}
		err = jemalloc_blocks__note(&w->blocks, w->subject, leaf);
		if (err)
			break;
		w->leaf = leaf;
		w->leaf_page = key * JEMALLOC_NODE_WORDS;
		err = scan__each_window(w->subject, leaf, leaf + JEMALLOC_NODE_BYTES, walk_window,
					w);
	}
	return err;
}

int jemalloc_tree__walk(const struct jemalloc_tree *tree, struct subject *subject,
			struct claims *claims, struct jemalloc_walk *out)
{
	struct walk *w = calloc(1, sizeof(*w));
	int err;

	*out = (struct jemalloc_walk){0};
	if (!w)
		return -ENOMEM;
	w->tree = tree;
	w->subject = subject;
	w->claims = claims;
	w->out = out;
	err = scan__each_window(subject, tree->root, tree->root + JEMALLOC_NODE_BYTES, walk_root,
				w);
	/* Out of time or bytes: what was seen so far stays true. */
	out->complete = !err;
	if (err == -ETIME || err == -EDQUOT)
		err = 0;
	if (!err)
		err = jemalloc_blocks__claim(&w->blocks, claims, &out->block_bytes);
	free(w);
	return err;
}
