/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TARGETS_SPOIL_REGIONS_H
#define TARGETS_SPOIL_REGIONS_H

/* Where in a process something is worth overwriting. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REGIONS_MAX 65536
#define HEAP_ALIGN  (64ULL << 20)

/* Where allocators keep their books; each kind is as likely as the others. */
enum kind {
	KIND_HEAP,    /* [heap] */
	KIND_DATA,    /* .data and .bss of objects, what the loader made read-only as well */
	KIND_ALIGNED, /* at 64 MiB: heaps of glibc's arenas, Go's arenas */
	KIND_SMALL,   /* other anonymous memory of at most 1 MiB: tables, stacks */
	KIND_LARGE,
	KIND_READ, /* what SPOIL_READS says */
	KINDS
};

struct region {
	uint64_t start, end;
};

static struct region regions[KINDS][REGIONS_MAX];
static size_t counts[KINDS];

static inline enum kind kind_of(const struct region *region, const char *path)
{
	if (!strcmp(path, "[heap]"))
		return KIND_HEAP;
	if (path[0] == '/')
		return KIND_DATA;
	if (region->start % HEAP_ALIGN == 0)
		return KIND_ALIGNED;
	return region->end - region->start <= 1 << 20 ? KIND_SMALL : KIND_LARGE;
}

static inline void add_region(const struct region *region, enum kind kind)
{
	if (counts[kind] < REGIONS_MAX)
		regions[kind][counts[kind]++] = *region;
}

/* Private memory that holds data, and .bss: what is anonymous and follows an object's data. */
static inline void read_maps(FILE *f)
{
	struct region region;
	uint64_t data_end = 0, inode;
	char line[8192], prot[5], path[4096];

	while (fgets(line, sizeof(line), f)) {
		enum kind kind;

		path[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %" SCNu64 " %4095[^\n]",
			   &region.start, &region.end, prot, &inode, path) < 4 ||
		    prot[0] != 'r' || prot[2] == 'x' || prot[3] != 'p' || !strncmp(path, "[v", 2))
			continue;
		kind = kind_of(&region, path);
		if (!path[0] && region.start == data_end)
			kind = KIND_DATA;
		if (prot[1] != 'w' && kind != KIND_DATA)
			continue;
		data_end = kind == KIND_DATA ? region.end : 0;
		add_region(&region, kind);
	}
}

/* Code and what only the loader has written is read as well, but nobody writes there. */
static inline bool is_data(uint64_t addr)
{
	for (int kind = 0; kind < KIND_READ; kind++) {
		for (size_t i = 0; i < counts[kind]; i++) {
			if (addr >= regions[kind][i].start && addr < regions[kind][i].end)
				return true;
		}
	}
	return false;
}

static inline void read_reads(FILE *f)
{
	uint64_t range[2];

	while (fread(range, sizeof(range), 1, f) == 1) {
		struct region region = {range[0] & ~7ULL, (range[0] + range[1] + 7) & ~7ULL};

		if (is_data(region.start))
			add_region(&region, KIND_READ);
	}
}

#endif
