/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_LAYOUT_H
#define MEMDRIFT_HEAP_GLIBC_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/memory.h"

/*
 * How a process's glibc lays out what malloc keeps (malloc/malloc.c, malloc/arena.c). Nothing asks
 * for a version: each structure that was seen tells some members and narrows the versions that it
 * can be.
 */

/* What a chunk in a thread's cache has in its fourth word, against double frees. */
enum tcache_key {
	TCACHE_KEY_UNKNOWN,
	TCACHE_KEY_NONE,   /* up to 2.28: the program's own bytes */
	TCACHE_KEY_OWNER,  /* 2.29 to 2.33: the address of the cache */
	TCACHE_KEY_RANDOM, /* from 2.34 on: one number for the whole process */
};

/* No upper bound is known. */
#define GLIBC_LATER UINT32_MAX

struct glibc_layout {
	uint32_t from, to;  /* minor versions of glibc 2 */
	uint16_t bins;      /* where malloc_state has its bins; all else lies around them */
	bool links_known;   /* whether links are mangled is known */
	bool links_mangled; /* 2.32: next ^ (address of next >> 12) */
	enum tcache_key key_kind;
	uint64_t key; /* when TCACHE_KEY_RANDOM */
};

void glibc_layout__init(struct glibc_layout *layout, uint16_t bins);
/* Only versions from..to have what was seen. One that fits none of those left is not believed:
 * false. */
bool glibc_layout__narrow(struct glibc_layout *layout, uint32_t from, uint32_t to);
/* "2.35 to 2.41", cut to size. */
void glibc_layout__name(const struct glibc_layout *layout, char *name, size_t size);

#define GLIBC_FASTBINS 10 /* NFASTBINS on 64 bits; none from 2.43 on */

/* An arena's struct malloc_state. */
struct glibc_state {
	uint64_t address;
	uint64_t top;
	uint64_t fastbins[GLIBC_FASTBINS]; /* chunks, 0: empty */
	uint64_t threads;                  /* attached; UINT64_MAX: not a number of threads */
	uint64_t system_bytes;
	uint64_t digest; /* of all its bytes: differs when the arena was used between two reads */
};

/* 0, -EINVAL (not one of this layout), or as memory__read. */
int glibc_state__read(struct memory *memory, const struct glibc_layout *layout, uint64_t address,
		      struct glibc_state *out);
/* sizeof(struct malloc_state) */
uint64_t glibc_state__bytes(const struct glibc_layout *layout);

/* FNV-1a over words; seed is a digest to go on from, or GLIBC_DIGEST_SEED. size in whole words. */
#define GLIBC_DIGEST_SEED 0xcbf29ce484222325ULL
uint64_t glibc_digest(uint64_t seed, const void *data, size_t size);

#endif
