/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_ALLOCATORS_H
#define MEMDRIFT_HEAP_ALLOCATORS_H

#include <stdbool.h>
#include <stdint.h>

#include "census/check.h"
#include "census/claims.h"
#include "census/subject.h"

/*
 * Allocators other than glibc's, told by what lies in memory or by where it lies. Each reader
 * claims what it knows for certain to be its allocator's and says how it knew.
 */

/* jemalloc 5.x, from its own page tables (src/rtree.c, src/extent.c). Bytes of address space unless
 * they say otherwise. */
struct jemalloc_facts {
	char layout[32];          /* "5.3", "5.1-5.2", "5.0" */
	uint64_t active_bytes;    /* pages of extents in use: stats.active */
	uint64_t allocated_bytes; /* regions handed out, cached ones included: stats.allocated */
	uint64_t dirty_bytes;     /* unused, still resident */
	uint64_t muzzy_bytes;     /* unused, lazily given back */
	uint64_t retained_bytes;  /* unused, given back, kept as address space */
	uint64_t metadata_bytes;  /* blocks of its own tables, used or not */
	uint64_t extents;
	/* Bytes of extents within mappings against all; ok says besides that tree and extents agree
	 * with each other, that sizes fit their classes and that all of it was walked. */
	struct check extents_in_mappings;
};

/* The others: what is theirs and how that is known. */
struct allocator_facts {
	const char *name; /* "tcmalloc", "mimalloc", "musl", "pymalloc", "v8", "partition-alloc" */
	const char *how;  /* a constant */
	uint64_t bytes;   /* address space claimed */
	uint64_t in_use_bytes; /* as far as its structures tell; has_in_use says whether */
	bool has_in_use;
};

#define ALLOCATORS_MAX 8

struct allocators {
	char malloc_owner[32];   /* whose malloc the program calls: "glibc", "jemalloc", ...; ""
				    unknown */
	char malloc_object[256]; /* raw path of the object that defines it; "" unknown */
	bool has_jemalloc;
	struct jemalloc_facts jemalloc;
	struct allocator_facts others[ALLOCATORS_MAX];
	size_t other_count;
};

/* 0, -ESRCH, -ENOMEM. Nothing found is no error. */
int allocators__read(struct subject *subject, struct claims *claims, struct allocators *out);

#endif
