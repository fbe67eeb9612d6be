// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/malloc_par.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

/*
 * struct malloc_par has no symbol in a stripped libc. It is known by what its members must be to
 * each other, at distances from sbrk_base that are the same in all versions of a layout:
 *
 *   2.26-2.34: trim_threshold top_pad mmap_threshold arena_test arena_max
 *              n_mmaps,n_mmaps_max max_n_mmaps,no_dyn_threshold mmapped_mem max_mmapped_mem
 *              sbrk_base tcache_bins ...
 *   2.35-2.42: thp_pagesize hp_pagesize hp_flags,n_mmaps n_mmaps_max,max_n_mmaps ... after
 *              arena_max
 *   2.43:      thp_mode before thp_pagesize
 */
struct par_layout {
	int arena_max; /* byte offsets from sbrk_base */
	int n_mmaps;
	int n_mmaps_max;
	int max_n_mmaps;
};

static const struct par_layout layouts[] = {
	{.arena_max = -64, .n_mmaps = -36, .n_mmaps_max = -32, .max_n_mmaps = -28}, /* 2.35-2.42 */
	{.arena_max = -40, .n_mmaps = -32, .n_mmaps_max = -28, .max_n_mmaps = -24}, /* 2.26-2.34 */
	{.arena_max = -72, .n_mmaps = -36, .n_mmaps_max = -32, .max_n_mmaps = -28}, /* 2.43 */
};

/* Where the members that all layouts share lie from sbrk_base, or from arena_max. */
enum {
	MMAPPED_MEM = -16,
	MAX_MMAPPED_MEM = -8,
	TCACHE_BINS = 8,
	ARENA_TEST = -8,      /* from arena_max */
	MMAP_THRESHOLD = -16, /* from arena_max */
	TRIM_THRESHOLD = -32, /* from arena_max */
	FRONT = 72 + 32,      /* the longest layout before sbrk_base */
	BACK = 16,            /* sbrk_base and tcache_bins */
};

/* What malloc_par starts as: DEFAULT_MMAP_MAX, NARENAS_FROM_NCORES (1). */
#define DEFAULT_MMAP_MAX   65536
#define DEFAULT_ARENA_TEST 8

/* Far above any number of arenas and threads: 8 x 8,192 CPUs. */
#define ARENAS_MAX 65536

#define SEGMENT_BYTES_MAX (4u << 20)

static uint64_t word_at(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint32_t half_at(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* 64 caches of sizes up to 1,032 bytes; 2.42 added 12 for larger ones. Tunables can lower it. */
static bool is_tcache_bins(uint64_t bins)
{
	return bins == 64 || bins == 76;
}

static bool matches(const uint8_t *p, const struct par_layout *layout, uint64_t heap_start,
		    uint64_t heap_end, struct malloc_par *out)
{
	uint64_t mem = word_at(p + MMAPPED_MEM), max_mem = word_at(p + MAX_MMAPPED_MEM);
	uint32_t count = half_at(p + layout->n_mmaps), max_count = half_at(p + layout->max_n_mmaps);
	uint32_t limit = half_at(p + layout->n_mmaps_max);
	const uint8_t *arena_max = p + layout->arena_max;

	*out = (struct malloc_par){
		.arena_max = word_at(arena_max),
		.arena_test = word_at(arena_max + ARENA_TEST),
		.mmap_threshold_bytes = word_at(arena_max + MMAP_THRESHOLD),
		.trim_threshold_bytes = word_at(arena_max + TRIM_THRESHOLD),
		.mmapped_bytes = mem,
		.mmapped_chunks = count,
		.sbrk_base = word_at(p),
	};
	if (mem % 4096 || max_mem % 4096 || mem > max_mem || count > max_count ||
	    (count > 0) != (mem > 0) || limit > INT_MAX || max_count > limit)
		return false;
	if (!out->arena_test || out->arena_test > ARENAS_MAX || out->arena_max > ARENAS_MAX)
		return false;
	/* Bytes, not a number of arenas: keeps the layouts apart that differ by one word. */
	if (out->mmap_threshold_bytes < 1024 || out->mmap_threshold_bytes > 1ULL << 40)
		return false;
	if (out->sbrk_base)
		return out->sbrk_base >= heap_start && out->sbrk_base < heap_end && limit > 0;
	/* The main arena has not grown: only the values that it starts with make it known. */
	return limit == DEFAULT_MMAP_MAX && out->arena_test == DEFAULT_ARENA_TEST &&
	       is_tcache_bins(word_at(p + TCACHE_BINS));
}

int malloc_par__search(const uint8_t *data, size_t size, uint64_t address, uint64_t heap_start,
		       uint64_t heap_end, struct malloc_par *out)
{
	size_t found = 0;

	for (size_t at = FRONT; at + BACK <= size; at += 8) {
		for (size_t i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
			struct malloc_par par;

			if (!matches(data + at, &layouts[i], heap_start, heap_end, &par))
				continue;
			par.address = address + at;
			*out = par;
			found++;
		}
	}
	return found == 1 ? 0 : found ? -ENOTUNIQ : -ENOENT;
}

bool path_is_glibc(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t version;

	if (!name)
		return false;
	name++;
	if (strncmp(name, "libc.so.6", 9) == 0) {
		name += 9;
	} else if (strncmp(name, "libc-2.", 7) == 0) {
		name += 7;
		version = strspn(name, "0123456789.");
		if (version < 2 || name[version - 1] != '.' || strncmp(name + version, "so", 2))
			return false;
		name += version + 2;
	} else {
		return false;
	}
	return *name == '\0' || strcmp(name, " (deleted)") == 0;
}

/* Reads [start, end) page by page as far as it is resident; absent pages are zeroes, which match
 * nothing. */
static int search_range(struct pagemap *pm, uint64_t start, uint64_t end, uint64_t heap_start,
			uint64_t heap_end, struct malloc_par *out)
{
	size_t size = MIN(end - start, SEGMENT_BYTES_MAX);
	uint8_t *data = calloc(1, size);
	int err = -ENODATA;

	if (!data)
		return -ENOMEM;
	for (size_t at = 0; at < size; at += 4096) {
		if (pagemap__peek(pm, start + at, data + at, MIN(size - at, 4096)) == 0)
			err = 0;
		else
			memset(data + at, 0, MIN(size - at, 4096));
	}
	if (!err)
		err = malloc_par__search(data, size, start, heap_start, heap_end, out);
	free(data);
	return err;
}

bool entry_may_be_glibc_data(const struct maps_entry *entries, size_t n, size_t i)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;

	if (entries[i].shared || (entries[i].prot & rw) != rw || !entries[i].inode)
		return false;
	for (size_t k = 0; k < n; k++) {
		if (path_is_glibc(entries[k].path))
			return path_is_glibc(entries[i].path);
	}
	return true;
}

int malloc_par__read(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		     struct malloc_par *out)
{
	uint64_t heap_start = 0, heap_end = 0;
	int err = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(entries[i].path, "[heap]") == 0) {
			heap_start = heap_start ? heap_start : entries[i].start;
			heap_end = entries[i].end;
		}
	}
	for (size_t i = 0; err == -ENOENT && i < n; i++) {
		if (entry_may_be_glibc_data(entries, n, i))
			err = search_range(pm, entries[i].start, entries[i].end, heap_start,
					   heap_end, out);
	}
	return err;
}
