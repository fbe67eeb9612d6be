/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CHUNK_SIZES_H
#define MEMDRIFT_CENSUS_CHUNK_SIZES_H

#include <stddef.h>
#include <stdint.h>

/*
 * What glibc really gave for pointers that malloc returned: usable bytes by the chunk headers in
 * the process's memory (malloc/malloc.c: the size, with three flag bits, lies in the 8 bytes before
 * the pointer; a chunk from mmap has 16 bytes of its own, any other 8). As malloc_usable_size.
 *
 * usable[i] is 0 where the header cannot be read or is none: not aligned, or too small for what was
 * requested. The target runs on; what is freed meanwhile may be met with the next owner's header.
 * 0 or a negative errno when nothing could be read.
 */
int glibc_chunk__usable(uint32_t pid, const uint64_t *pointers, const uint64_t *requested, size_t n,
			uint64_t *usable);

#endif
