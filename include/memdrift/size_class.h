/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_SIZE_CLASS_H
#define MEMDRIFT_SIZE_CLASS_H

#include "memdrift/types.h"

/*
 * Requests by the size class that serves them, for `trace --buckets`. User space knows the
 * allocators' rules (src/analysis/size_class.c) and hands them to the BPF programs in this form.
 *
 * Up to table_max a table tells the row; each of these rows is one class. Above it the class is
 * computed: a multiple of `granule` that holds `extra` bytes more than was asked for, or, with
 * granule 0, one of four classes between two powers of two. Of these a row holds all classes of a
 * quarter of such a doubling, and their bytes are added up, so that the waste is exact although
 * the row may hold many classes.
 */
enum size_rules { SIZE_RULES_LOG2, SIZE_RULES_GLIBC, SIZE_RULES_JEMALLOC, SIZE_RULES_GO };

/* Go's largest class of small objects, the largest that any of the rules has in its table. */
#define CLASS_TABLE_MAX 32768
/* All rules' classes end at multiples of it. */
#define CLASS_TABLE_STEP 8

/*
 * Rows: glibc has 64 classes in its table, jemalloc 41, Go 68. The others are 47 doublings or more,
 * up to 2^57 bytes, the whole of an address space; what is larger is in the last row. A byte is
 * always a row, which saves the programs a check.
 */
#define CLASS_ROWS 256

struct class_table {
	uint64_t table_max;
	uint64_t granule;
	uint64_t extra;
	uint32_t first_computed; /* row; those before it are in the table */
	/* The first computed row holds classes up to 5 << shift_min, a quarter above 4 << it. */
	uint32_t shift_min;
	uint32_t rules;                                       /* enum size_rules */
	uint8_t rows[CLASS_TABLE_MAX / CLASS_TABLE_STEP + 1]; /* by size, rounded up to a step */
	uint8_t reserved[3];
};
MEMDRIFT_ASSERT_SIZE(struct class_table, 4136);

/* Of a size above table_max: the last byte of its class, counted from 0. */
static inline uint64_t class_last_byte(const volatile struct class_table *table, uint64_t size)
{
	if (!table->granule)
		return size - 1;
	return ((size + table->extra + table->granule - 1) & -table->granule) - 1;
}

struct class_place {
	uint64_t bytes; /* of the class */
	uint32_t row;
};

/* The computed row of that byte; bits: how many significant ones it has. */
static inline struct class_place class_place_of(const volatile struct class_table *table,
						uint64_t last_byte, uint32_t bits)
{
	uint32_t shift = bits - 3;
	struct class_place place = {.bytes = last_byte + 1};

	if (!table->granule)
		place.bytes = ((last_byte >> shift) + 1) << shift;
	place.row = table->first_computed + 4 * (shift - table->shift_min) +
		    (uint32_t)(last_byte >> shift & 3);
	if (place.row >= CLASS_ROWS)
		place.row = CLASS_ROWS - 1;
	return place;
}

struct class_count {
	uint64_t count;
	uint64_t requested_bytes;
	uint64_t class_bytes; /* of computed rows; else it is count x class */
};

/* Per CPU and per process; cumulative, like struct alloc_counts. */
struct class_counts {
	struct class_count rows[CLASS_ROWS];
	/* Go: requests of which it is not known whether they carry a header; see bpf/go.bpf.c. */
	uint64_t header_unknown;
};

/*
 * The attach cookie of a Go probe site: row of calls[], whether objects carry headers, and up to
 * which size the function hands on to another probed one.
 */
#define GO_COOKIE_ROW(cookie)        ((uint32_t)(cookie)&0xff)
#define GO_COOKIE_HEADERS(cookie)    ((cookie) >> 8 & 1)
#define GO_COOKIE_HANDED_MAX(cookie) ((uint32_t)((cookie) >> 16) & 0xffff)
#define GO_COOKIE_MAKE(row, headers, handed_max) \
	((uint64_t)(row) | (uint64_t)(headers) << 8 | (uint64_t)(handed_max) << 16)

/*
 * Objects with pointers that are larger than GO_HEADER_ABOVE and no larger than GO_HEADER_MAX
 * have 8 bytes for their type before them since Go 1.22 (runtime/mbitmap.go: heapBitsInSpan;
 * runtime/malloc.go: maxSmallSize - mallocHeaderSize).
 */
#define GO_HEADER_BYTES 8
#define GO_HEADER_ABOVE 512
#define GO_HEADER_MAX   (CLASS_TABLE_MAX - GO_HEADER_BYTES)

#endif
