/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_GLIBC_ARENAS_H
#define MEMDRIFT_CENSUS_GLIBC_ARENAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/pagemap.h"
#include "model/arenas.h"
#include "model/space.h"

/*
 * glibc's malloc arenas as the memory of a process shows them, without symbols: heaps are found by
 * their first words, arenas by the heaps and checked by the ring that links them. Layouts of glibc
 * 2.26 to 2.43 (malloc/malloc.c and malloc/arena.c).
 */

/* HEAP_MAX_SIZE of 64-bit glibc, which is also the alignment of a heap. Programs that ask for
 * huge pages (glibc.malloc.hugetlb) have other sizes: their heaps are not found. */
#define GLIBC_HEAP_BYTES (64ULL << 20)

struct glibc_heap {
	uint64_t base;
	uint64_t arena; /* address of the malloc_state that it belongs to */
	uint64_t prev;  /* base of the arena's heap before it; 0: this is the first */
	uint64_t size_bytes;
	uint64_t mprotect_bytes; /* made readable and writable at some time */
	uint64_t mapped_bytes;   /* of its GLIBC_HEAP_BYTES, without a gap from base on; at least
				    size_bytes. Set by glibc_arenas__read alone. */
	bool is_first;           /* the arena's own struct lies behind its header */
};

/*
 * The heap at base, a multiple of GLIBC_HEAP_BYTES. Reads its first 48 bytes if they are resident.
 * 0, -ENOENT when there is no heap, -ENODATA when the page is not resident, -ESRCH, -EINVAL (base).
 */
int glibc_heap__read(uint32_t pid, uint64_t base, struct glibc_heap *heap);
int glibc_heap__peek(struct pagemap *pm, uint64_t base, struct glibc_heap *heap);

struct glibc_arenas {
	bool has_glibc;           /* libc.so.6 is mapped, or arenas were found */
	struct glibc_heap *heaps; /* verified, by base; owned */
	size_t heap_count;
	int64_t arena_count;  /* main arena included; -1 unknown or no glibc */
	bool ring_closed;     /* the arenas' own list was followed and gave that number */
	uint64_t main_arena;  /* address; 0 unknown */
	uint16_t bins_offset; /* of the bins in malloc_state: tells its layout; 0 unknown */
	int64_t limit;        /* -1: unknown or no glibc */
	char limit_source[96];
};

/*
 * Reads all of it. pm may be NULL: opened for the call. On an error *out is left as it was, so
 * that it holds what was last known of a process that ends. 0, -ESRCH, -EACCES, -ENOMEM.
 * A first call needs *out zeroed, or glibc_arenas__init.
 */
int glibc_arenas__read(uint32_t pid, const struct maps_entry *entries, size_t n, struct pagemap *pm,
		       struct glibc_arenas *out);
void glibc_arenas__init(struct glibc_arenas *arenas);
void glibc_arenas__free(struct glibc_arenas *arenas);

/* Fills present, limit and limit_source of the model. */
void glibc_arenas__store(const struct glibc_arenas *arenas, struct arenas *model);

/* The heap that holds addr (within size of its 64 MiB), or NULL. */
const struct glibc_heap *glibc_arenas__find(const struct glibc_arenas *arenas, uint64_t addr);

#endif
