/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_JEMALLOC_H
#define MEMDRIFT_HEAP_JEMALLOC_H

#include <stdbool.h>
#include <stdint.h>

#include "census/claims.h"
#include "census/subject.h"
#include "heap/allocators.h"
#include "heap/allocators_tree.h"

/*
 * jemalloc without symbols: a tree of pages (allocators_tree.h) whose descriptors are extents.
 *
 * configure builds it for the address space of the machine that it runs on (--with-lg-vaddr): 48
 * bits, two levels and elements of one word, or, on newer ones, 57 bits, three levels and elements
 * of two words (rtree.h, RTREE_HEIGHT and RTREE_LEAF_COMPACT). Debian 12's is of the first kind,
 * Debian 13's of the second. Pages of 4 kB.
 */
#define JEMALLOC_PAGE_BYTES 4096ull

/* Where a version keeps what: positions of the bits of a leaf's element and of an extent's first
 * word (extent_structs.h up to 5.2, edata.h since). */
struct jemalloc_layout {
	const char *name;
	uint64_t leaf_flags; /* low bits of an element that are not the extent's address */
	bool leaf_has_state; /* bits 2-4 of an element */
	unsigned int state;  /* position in the extent's bits */
	uint64_t state_mask; /* after the shift */
	unsigned int szind;  /* 8 bits */
	unsigned int nfree;  /* 10 bits */
};

enum jemalloc_state {
	JEMALLOC_ACTIVE,
	JEMALLOC_DIRTY,
	JEMALLOC_MUZZY,
	JEMALLOC_RETAINED, /* above: on its way from one state to another */
};

#define JEMALLOC_LAYOUTS 3
extern const struct jemalloc_layout jemalloc_layouts[JEMALLOC_LAYOUTS];

/* The words of an extent that are the same in every version. */
struct jemalloc_extent {
	uint64_t bits;
	uint64_t addr; /* large ones begin somewhere in their first page, for the cache's sake */
	uint64_t size; /* its low 12 bits are a serial number */
};

/* The trees that the versions keep, for either address space. */
#define JEMALLOC_KINDS (2 * JEMALLOC_LAYOUTS)
extern const struct tree_kind jemalloc_kinds[JEMALLOC_KINDS];

const struct jemalloc_layout *jemalloc_kind__layout(const struct tree_kind *kind);

/* An extent, taken apart. */
enum jemalloc_state jemalloc_extent__state(const struct jemalloc_layout *layout,
					   const struct jemalloc_extent *extent);
bool jemalloc_extent__is_slab(const struct jemalloc_extent *extent);
unsigned int jemalloc_extent__szind(const struct jemalloc_layout *layout,
				    const struct jemalloc_extent *extent);
uint64_t jemalloc_extent__start(const struct jemalloc_extent *extent);
uint64_t jemalloc_extent__size(const struct jemalloc_extent *extent);
/*
 * Bytes of a size class (sz.h, sz_index2size_compute), for the quantum that it was built with: 16
 * bytes, or the 8 of those who say --with-lg-quantum=3, as redis's own copy does. 0: no such class.
 */
uint64_t jemalloc_class_bytes(unsigned int lg_quantum, unsigned int szind);

/*
 * How it was built: the quantum, and whether large extents have a page more than they hold, for the
 * cache's sake (sz.h, sz_large_pad). Nothing tells; of these one fits all extents.
 */
#define JEMALLOC_BUILDS 4
struct jemalloc_build {
	unsigned int lg_quantum;
	uint64_t pad_bytes;
};

extern const struct jemalloc_build jemalloc_builds[JEMALLOC_BUILDS];

/*
 * Bytes handed out of an active extent: regions of a slab (those in threads' caches included), or
 * what a large one holds, which is its class or, since 5.3.1, any number of pages up to that. 0
 * with *sound cleared when size and class do not go together in this build.
 */
uint64_t jemalloc_extent__allocated(const struct jemalloc_layout *layout,
				    const struct jemalloc_build *build,
				    const struct jemalloc_extent *extent, bool *sound);

/* What one walk over a tree told. Bytes of address space. */
struct jemalloc_walk {
	bool complete; /* false: out of time or bytes */
	uint64_t active_bytes, dirty_bytes, muzzy_bytes, retained_bytes;
	uint64_t moving_bytes; /* on their way from one state to another */
	uint64_t allocated_bytes[JEMALLOC_BUILDS];
	uint64_t unsound[JEMALLOC_BUILDS]; /* active extents whose size is none of their class */
	uint64_t extents;
	uint64_t extent_bytes;
	uint64_t mapped_bytes; /* of these, within private mappings: what the sums above hold */
	uint64_t block_bytes;  /* of its own tables */
	uint64_t differing;    /* elements that name no extent that begins there */
};

/* Walks a tree and claims its extents and blocks. 0, -ESRCH, -EACCES, -ENOMEM. */
int jemalloc__walk(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct jemalloc_walk *out);

/* Adds what a tree tells to has_jemalloc and jemalloc of out. 0, -ESRCH, -EACCES, -ENOMEM. */
int jemalloc__read(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct allocators *out);

#endif
