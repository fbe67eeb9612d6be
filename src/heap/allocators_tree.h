/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_ALLOCATORS_TREE_H
#define MEMDRIFT_HEAP_ALLOCATORS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/subject.h"

/*
 * jemalloc and gperftools' tcmalloc both keep a radix tree from the number of a page to the
 * descriptor of the run of pages that it belongs to, with its root whole in the zero-initialised
 * data of the object that the allocator is part of. The first and the last page of a run have an
 * element, those between only where objects are small.
 *
 * No symbol is needed to find such a tree: the descriptor that an element names says which page it
 * begins at. That ties the tree to addresses; what is found so is believed when nearly all of the
 * elements that were looked at agree.
 */
#define TREE_DESCRIPTOR_MAX 64

/* Root, perhaps nodes between, and leaves; each a plain table. */
struct tree_shape {
	uint64_t root_words;
	uint64_t node_words; /* 0: the root names leaves */
	uint64_t leaf_elements;
	unsigned int element_words; /* 1 or 2, the first of which names the descriptor */
};

/* A run of pages, by page number. */
struct tree_run {
	uint64_t page;
	uint64_t pages;
};

struct tree_kind {
	const struct tree_shape *shape;
	size_t descriptor_bytes;
	uint64_t descriptor_align;
	/* Where the descriptor that an element names lies; 0: it names none. */
	uint64_t (*descriptor)(const struct tree_kind *kind, const uint64_t *element);
	/* Takes a descriptor apart: false when it is none. */
	bool (*parse)(const struct tree_kind *kind, const void *descriptor, struct tree_run *run);
	/* What the element of its first page says beside is what the descriptor says. */
	bool (*agrees)(const struct tree_kind *kind, const void *descriptor,
		       const uint64_t *element);
	const void *data; /* of the allocator that it belongs to */
};

/* Bytes of what the root's words name, and of a leaf. */
uint64_t tree_shape__child_bytes(const struct tree_shape *shape);
uint64_t tree_shape__leaf_bytes(const struct tree_shape *shape);

/* A tree that was found. */
struct tree {
	const struct tree_kind *kind;
	uint64_t root;
	uint64_t area_start, area_end; /* the data that it lies in */
};

/*
 * Searches the zero-initialised data of every object that has enough of it. At most one tree for
 * each object. Their number, or -ESRCH, -EACCES, -ENOMEM, -ETIME, -EDQUOT.
 */
int tree__find(struct subject *subject, const struct tree_kind *kinds, size_t kind_count,
	       struct tree *trees, size_t max);

/* Leaves and nodes of one tree: a leaf covers 128 MiB at least, these cover 2 TiB. */
#define TREE_TABLES_MAX 16384u

/* One run of pages, with its descriptor and where that lies. 0 or a negative errno to stop. */
typedef int (*tree_fn)(void *ctx, const struct tree_run *run, const void *descriptor,
		       uint64_t descriptor_addr);

struct tree_walk {
	tree_fn run;
	int (*table)(void *ctx, uint64_t addr); /* each node and leaf once; may be NULL */
	void *ctx;
	uint64_t runs;      /* told */
	uint64_t differing; /* elements that name nothing that begins there */
};

/*
 * Every run, by address. What it reads is bounded by what is resident: every leaf is read once, and
 * at most TREE_TABLES_MAX. 0, -ESRCH, -EACCES, -ENOMEM, -ETIME, -EDQUOT, or what a function gave.
 */
int tree__walk(const struct tree *tree, struct subject *subject, struct tree_walk *walk);

#endif
