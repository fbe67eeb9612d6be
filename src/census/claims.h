/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CLAIMS_H
#define MEMDRIFT_CENSUS_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a process's address space is made of. The order is that of precedence: where two claims
 * overlap the earlier component keeps the bytes (a thread's stack that lies in the Go heap is the
 * stack's, a pymalloc arena within a malloc chunk pymalloc's).
 */
enum ledger_component {
	LEDGER_MAIN_STACK,
	LEDGER_THREAD_STACKS,
	LEDGER_GO_HEAP,
	LEDGER_GO_RUNTIME,
	LEDGER_PYMALLOC,
	LEDGER_V8,
	LEDGER_JEMALLOC,
	LEDGER_TCMALLOC,
	LEDGER_MIMALLOC,
	LEDGER_MUSL,
	LEDGER_PARTITION_ALLOC, /* Chromium's */
	LEDGER_MALLOC_ARENAS,
	LEDGER_MALLOC_MMAPPED,
	LEDGER_BRK_HEAP,
	LEDGER_BINARY, /* programs and libraries: their text, data and zero-initialised data */
	LEDGER_FILE,
	LEDGER_SHMEM,
	LEDGER_LARGE_ANONYMOUS, /* mappings of 64 MiB multiples: fastcache and the like */
	LEDGER_OTHER_ANONYMOUS,
	LEDGER_UNKNOWN,
	LEDGER_COMPONENTS
};

/* As in JSON: "malloc-arenas". */
const char *ledger_component__name(enum ledger_component component);

struct claim {
	uint64_t start;
	uint64_t end;
	enum ledger_component component;
	const char *how; /* a constant: "heap_info headers, ring of arenas"; may be NULL */
};

/* A set of claims; empty when zeroed. */
struct claims {
	struct claim *items;
	size_t count, room;
	size_t refused; /* beyond CLAIMS_MAX */
};

/* 24 MB of them: above vm.max_map_count and mp_.n_mmaps_max (65,536) by far. */
#define CLAIMS_MAX (1u << 20)

/* Claims [start, end) for a component; touching or overlapping claims are no error. 0, -EINVAL
 * (start >= end), -ENOSPC (counted in refused) or -ENOMEM. */
int claims__add(struct claims *claims, uint64_t start, uint64_t end,
		enum ledger_component component, const char *how);

/*
 * Bytes that a component's claims cover, each once; how: those with this constant alone, NULL: all
 * of them. Settled or not: what reads structures that may overlap counts by this. 0 or -ENOMEM.
 */
int claims__covered(const struct claims *claims, enum ledger_component component, const char *how,
		    uint64_t *bytes);

/* Sorts and resolves overlaps by precedence: afterwards claims are by address and disjoint. 0 or
 * -ENOMEM. */
int claims__settle(struct claims *claims);

/* After settling: the claim that holds addr, or NULL; *next (may be NULL) is where that changes. */
const struct claim *claims__find(const struct claims *claims, uint64_t addr, uint64_t *next);

void claims__free(struct claims *claims);

#endif
