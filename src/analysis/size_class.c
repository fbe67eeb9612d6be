// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/size_class.h"

#include <errno.h>
#include <string.h>

#define SIZE_MAX_SERVED (1ull << 62)

/* malloc/malloc-internal.h, malloc/malloc.c: SIZE_SZ, MALLOC_ALIGNMENT, MINSIZE */
#define GLIBC_OWN       8
#define GLIBC_ALIGN     16
#define GLIBC_CHUNK_MIN 32
/* The chunks that the thread cache keeps (TCACHE_MAX_BINS) each have a row. */
#define GLIBC_CHUNKS 64

/* jemalloc's classes up to the first that lies a quarter of its doubling above the one before. */
#define JEMALLOC_TINY  8
#define JEMALLOC_STEP  16
#define JEMALLOC_EVEN  128
#define JEMALLOC_EVENS (1 + JEMALLOC_EVEN / JEMALLOC_STEP)

#define GO_PAGE_BYTES 8192

static const uint16_t go_classes[] = {
	0,     8,     16,    24,    32,    48,    64,    80,    96,    112,   128,   144,
	160,   176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,
	448,   480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,
	1536,  1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,
	6528,  6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384,
	18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768};

#define GO_CLASSES (sizeof(go_classes) / sizeof(go_classes[0]))

static uint64_t round_up(uint64_t size, uint64_t granule)
{
	return (size + granule - 1) / granule * granule;
}

/* size > 0: of 2^k < size <= 2^(k+1), the exponent of a quarter of 2^k. */
static unsigned int quarter_shift(uint64_t size)
{
	return 61 - (unsigned int)__builtin_clzll(size - 1);
}

static uint64_t glibc_bytes(uint64_t size)
{
	uint64_t chunk = round_up(size + GLIBC_OWN, GLIBC_ALIGN);

	return chunk < GLIBC_CHUNK_MIN ? GLIBC_CHUNK_MIN : chunk;
}

static uint64_t jemalloc_bytes(uint64_t size)
{
	if (size <= JEMALLOC_TINY)
		return JEMALLOC_TINY;
	if (size <= JEMALLOC_EVEN)
		return round_up(size, JEMALLOC_STEP);
	return round_up(size, 1ull << quarter_shift(size));
}

static uint64_t go_bytes(uint64_t size)
{
	size_t low = 0, high = GO_CLASSES - 1;

	if (size > CLASS_TABLE_MAX)
		return round_up(size, GO_PAGE_BYTES);
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (go_classes[middle] < size)
			low = middle + 1;
		else
			high = middle;
	}
	return go_classes[low];
}

uint64_t size_class__bytes(enum size_rules rules, uint64_t size)
{
	if (size > SIZE_MAX_SERVED)
		return 0;
	switch (rules) {
	case SIZE_RULES_GLIBC:
		return glibc_bytes(size);
	case SIZE_RULES_JEMALLOC:
		return jemalloc_bytes(size);
	case SIZE_RULES_GO:
		return go_bytes(size);
	default:
		return 0;
	}
}

uint64_t size_class__usable(enum size_rules rules, uint64_t size)
{
	uint64_t bytes = size_class__bytes(rules, size);

	return rules == SIZE_RULES_GLIBC && bytes ? bytes - GLIBC_OWN : bytes;
}

static const char *const names[] = {
	[SIZE_RULES_LOG2] = "log2",
	[SIZE_RULES_GLIBC] = "glibc",
	[SIZE_RULES_JEMALLOC] = "jemalloc",
	[SIZE_RULES_GO] = "go",
};

#define RULES_COUNT (sizeof(names) / sizeof(names[0]))

const char *size_rules__name(enum size_rules rules)
{
	return names[rules];
}

int size_rules__parse(const char *name, enum size_rules *rules)
{
	for (size_t i = 0; i < RULES_COUNT; i++) {
		if (!strcmp(name, names[i])) {
			*rules = (enum size_rules)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* The class of a row of the table. */
static uint64_t table_class(enum size_rules rules, uint32_t row)
{
	switch (rules) {
	case SIZE_RULES_GLIBC:
		return GLIBC_CHUNK_MIN + row * GLIBC_ALIGN;
	case SIZE_RULES_GO:
		return go_classes[row];
	default:
		if (row < JEMALLOC_EVENS)
			return row ? row * JEMALLOC_STEP : JEMALLOC_TINY;
		row -= JEMALLOC_EVENS;
		return (JEMALLOC_EVEN / 4ull << row / 4) * (5 + row % 4);
	}
}

void size_class__fill_table(enum size_rules rules, struct class_table *table)
{
	uint32_t row = 0;

	memset(table, 0, sizeof(*table));
	table->rules = rules;
	table->table_max = CLASS_TABLE_MAX;
	if (rules == SIZE_RULES_GLIBC) {
		table->table_max = table_class(rules, GLIBC_CHUNKS - 1) - GLIBC_OWN;
		table->granule = GLIBC_ALIGN;
		table->extra = GLIBC_OWN;
	} else if (rules == SIZE_RULES_GO) {
		table->granule = GO_PAGE_BYTES;
	}
	for (uint64_t size = 0; size <= table->table_max; size += CLASS_TABLE_STEP) {
		while (table_class(rules, row) < size_class__bytes(rules, size))
			row++;
		table->rows[size / CLASS_TABLE_STEP] = (uint8_t)row;
	}
	table->first_computed = row + 1;
	table->shift_min = quarter_shift(size_class__bytes(rules, table->table_max + 1));
}

/* The largest class of a computed row. Rows past all sizes, which stay empty, have none. */
static uint64_t row_end(const struct class_table *table, uint32_t row)
{
	uint32_t quarter = row - table->first_computed;
	uint32_t shift = table->shift_min + quarter / 4;

	return shift > 60 ? UINT64_MAX : (5ull + quarter % 4) << shift;
}

static void find_bounds(const struct class_table *table, uint32_t row, uint64_t *min, uint64_t *max)
{
	enum size_rules rules = table->rules;

	if (row < table->first_computed) {
		*min = *max = table_class(rules, row);
		return;
	}
	*max = row == CLASS_ROWS - 1 ? UINT64_MAX : row_end(table, row);
	if (row == table->first_computed)
		*min = size_class__bytes(rules, table->table_max + 1);
	else if (table->granule)
		*min = row_end(table, row - 1) + table->granule;
	else
		*min = row_end(table, row);
}

void size_class__read_row(const struct class_table *table, const struct class_counts *counts,
			  uint32_t row, struct class_row *out)
{
	const struct class_count *counted = &counts->rows[row];

	find_bounds(table, row, &out->min_bytes, &out->max_bytes);
	out->count = counted->count;
	out->requested_bytes = counted->requested_bytes;
	out->class_bytes = row < table->first_computed ? counted->count * out->min_bytes
						       : counted->class_bytes;
	/* A running process: its counters are read one after the other. */
	if (out->class_bytes < out->requested_bytes)
		out->class_bytes = out->requested_bytes;
}

void size_class__sum(const struct class_table *table, const struct class_counts *counts,
		     struct class_row *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t row = 0; row < CLASS_ROWS; row++) {
		struct class_row one;

		size_class__read_row(table, counts, row, &one);
		out->count += one.count;
		out->requested_bytes += one.requested_bytes;
		out->class_bytes += one.class_bytes;
	}
}
