/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_MALLOC_PAR_H
#define MEMDRIFT_CENSUS_MALLOC_PAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/pagemap.h"
#include "model/space.h"

/* What glibc keeps in its struct malloc_par (the variable mp_ of malloc/malloc.c). */
struct malloc_par {
	uint64_t address;   /* of sbrk_base in it */
	uint64_t arena_max; /* 0: not set */
	uint64_t arena_test;
	uint64_t mmap_threshold_bytes;
	uint64_t trim_threshold_bytes;
	uint64_t mmapped_bytes; /* in chunks that have a mapping of their own */
	uint32_t mmapped_chunks;
	uint64_t sbrk_base; /* where the main arena starts; 0 when it has not grown yet */
};

/* The words of a data segment of `size` bytes that was read from address; heap_start and heap_end:
 * of [heap], 0 when there is none. 0, -ENOENT, -ENOTUNIQ (several places look like it). */
int malloc_par__search(const uint8_t *data, size_t size, uint64_t address, uint64_t heap_start,
		       uint64_t heap_end, struct malloc_par *out);

/* The same in a process. 0, -ENOENT, -ENOTUNIQ, -ENODATA, -ESRCH. */
int malloc_par__read(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		     struct malloc_par *out);

/* Whether glibc's variables may lie in an entry: in a libc.so.6's own data, or, when none is
 * mapped, in that of the program, which may be linked statically. */
bool entry_may_be_glibc_data(const struct maps_entry *entries, size_t n, size_t i);

/* Whether the path of a mapping is glibc's: libc.so.6 or libc-2.31.so, deleted or not. */
bool path_is_glibc(const char *path);

#endif
