/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_CACHED_H
#define MEMDRIFT_HEAP_GLIBC_CACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/glibc_regions.h"

/*
 * Chunks that are free although the next chunk's header says that they are in use: those in
 * fastbins and in thread caches (tcache). The walk knows them by what they hold (cached_chunk); the
 * lists that they are on, followed afterwards, tell those that really are cached from memory that
 * was handed out and still holds a former life's bytes.
 */
struct cached_chunk {
	uint64_t address;
	uint64_t next;  /* on its list, 0: last; links undone, for fastbins a chunk, else its memory
			 */
	uint32_t bytes; /* its size; that of the largest is below 4 GiB */
	uint32_t arena : 30; /* index in the map's states */
	uint32_t in_tcache : 1;
	uint32_t reached : 1; /* from its list's head */
};

struct cached_chunks {
	struct cached_chunk *items; /* in the order of the walk: by address */
	size_t count, room;
	uint64_t left_off; /* beyond CACHED_CHUNKS_MAX: not on record */
};

/* 24 MB. Fastbins are emptied by each free of a chunk of 64 KB, so that there rarely are many. */
#define CACHED_CHUNKS_MAX (1u << 20)

/* struct tcache_perthread_struct of one thread. */
struct glibc_tcache {
	uint64_t address;     /* of the struct: what tcache keys are up to 2.33 */
	uint32_t chunk_bytes; /* of the chunk that it needs: tells its version */
	uint64_t digest;      /* of its bytes as they were when it was found */
};

struct glibc_tcaches {
	struct glibc_tcache *items; /* by address */
	size_t count, room;
};

/* As many as threads are looked at elsewhere. */
#define GLIBC_TCACHES_MAX 65536

/* The largest of the chunks that a tcache can be. */
#define TCACHE_CHUNK_MAX 0x310

/* A chunk in use goes on in the first word of the next one's header (prev_size of malloc/malloc.c):
 * from 2.42 on a tcache has its last list's head there. */
#define CHUNK_TAIL_BYTES 8

/* Rotated, so that what is left of a number that is no multiple of 16 makes it huge. */
static inline uint64_t sixteenths(uint64_t value)
{
	return value >> 4 | value << 60;
}

/* Whether a chunk of this size may be a tcache: 16 bytes more where what would be left of the chunk
 * that it was cut from is none. */
static inline bool is_tcache_size(uint64_t bytes)
{
	/* Bits of 0x250, 0x260, 0x290, 0x2a0, 0x300 and 0x310: no branches, as each chunk is asked.
	 */
	uint64_t step = sixteenths(bytes);

	return (step < 64) & (0x1833ULL << 0x25) >> step % 64;
}

/* Whether the chunk at data (header and all, `bytes` and CHUNK_TAIL_BYTES of it) can be a tcache
 * that is not empty. */
bool glibc_tcache__plausible(const uint8_t *data, uint64_t bytes);

/*
 * Adds the tcache in the chunk at address, with the bytes `data` as above, when the chunks that it
 * lists are there and of the right size; learns from them how links and keys are made. 1 when it
 * was added, 0 when it is none or was known, -ENOMEM.
 */
int glibc_tcaches__add(struct glibc_tcaches *tcaches, struct memory *memory,
		       struct glibc_layout *layout, uint64_t chunk, const uint8_t *data,
		       uint64_t bytes);
bool glibc_tcaches__has(const struct glibc_tcaches *tcaches, uint64_t address);
/* A digest of all their bytes as they are now. */
uint64_t glibc_tcaches__digest(const struct glibc_tcaches *tcaches, struct memory *memory);
/* The same of their bytes when they were found. */
uint64_t glibc_tcaches__first_digest(const struct glibc_tcaches *tcaches);
void glibc_tcaches__free(struct glibc_tcaches *tcaches);

/* Undoes the mangling of a link that is stored at place. */
static inline uint64_t reveal_link(const struct glibc_layout *layout, uint64_t place, uint64_t link)
{
	return layout->links_mangled ? link ^ (place >> 12) : link;
}

/* Adds a chunk behind all others. 0 or -ENOMEM. */
int cached_chunks__add(struct cached_chunks *chunks, const struct cached_chunk *chunk);
void cached_chunks__free(struct cached_chunks *chunks);

/* Follows all lists through the chunks on record and marks what is reached. */
void cached_chunks__reach(struct cached_chunks *chunks, const struct glibc_map *map,
			  const struct glibc_tcaches *tcaches, struct memory *memory);

/*
 * The lists of versions whose cached chunks do not show what they are (fastbins up to 2.31, thread
 * caches up to 2.28), read from the process: addresses of chunks, plus 1 for those in a tcache,
 * sorted. At most CACHED_CHUNKS_MAX. 0 or -ENOMEM.
 */
int cached_lists__read(const struct glibc_map *map, const struct glibc_tcaches *tcaches,
		       struct memory *memory, uint64_t **chunks, size_t *count);

#endif
