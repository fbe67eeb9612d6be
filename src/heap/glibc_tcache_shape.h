/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_TCACHE_SHAPE_H
#define MEMDRIFT_HEAP_GLIBC_TCACHE_SHAPE_H

#include <stdint.h>

/* The members of one version's tcache_perthread_struct. */
struct tcache_shape {
	uint32_t chunk_bytes; /* of the chunk that holds it */
	uint32_t bins;
	uint32_t count_bytes; /* of each count, which come first */
	uint32_t entries;     /* offset of the lists' heads */
	uint32_t from, to;    /* versions */
};

enum {
	CHUNK_HEADER_BYTES = 16,
	TCACHE_SMALL_BINS = 64, /* chunks of (bin + 2) * 16 bytes */
	TCACHE_BINS_MAX = 76,
};

/* Of the struct, without its chunk's header. */
static inline uint64_t tcache_bytes(const struct tcache_shape *shape)
{
	return shape->entries + sizeof(uint64_t) * shape->bins;
}

/* NULL: no tcache is so long. */
const struct tcache_shape *tcache_shape(uint64_t chunk_bytes);
/* The first chunk's memory in a bin; body: the struct. */
uint64_t tcache_entry(const struct tcache_shape *shape, const uint8_t *body, uint32_t bin);

#endif
