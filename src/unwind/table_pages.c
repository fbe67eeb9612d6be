// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/table_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES   (1u << UNWIND_PAGE_SHIFT)
#define ROWS_A_BLOCK ((uint32_t)UNWIND_ROWS_PER_BLOCK)

/* The page that is being filled, and where the next one's rows go. */
struct filler {
	struct unwind_table *table;
	struct unwind_rules *rules;
	uint32_t block_capacity;
	uint32_t used; /* rows in the last block */
	uint32_t page; /* from the table's first */
	uint32_t count;
	struct unwind_row rows[UNWIND_ROWS_PER_BLOCK];
	/* Where a page of just one row with this rule lies, plus 1: all such pages share it. Large
	 * functions, tables of constants and Go's code make many. */
	uint32_t singles[UNWIND_RULES_MAX];
};

static int add_block(struct filler *filler)
{
	struct unwind_table *table = filler->table;
	uint32_t capacity = filler->block_capacity ? filler->block_capacity * 2 : 4;
	union unwind_block *bigger;

	if (table->block_count == filler->block_capacity) {
		bigger = realloc(table->blocks, capacity * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		table->blocks = bigger;
		filler->block_capacity = capacity;
	}
	memset(&table->blocks[table->block_count++], 0, sizeof(table->blocks[0]));
	filler->used = 0;
	return 0;
}

static bool is_unknown(const struct filler *filler)
{
	return !filler->count || (filler->count == 1 && !filler->rows[0].rule);
}

/* Puts the page into the table. An unknown one has no rows. */
static int finish_page(struct filler *filler)
{
	struct unwind_table *table = filler->table;
	uint32_t *single = &filler->singles[filler->rows[0].rule], place;
	int err;

	if (is_unknown(filler)) {
		filler->count = 0;
		return 0;
	}
	if (filler->count == 1 && *single) {
		place = *single - 1;
	} else {
		if (!table->block_count || filler->used + filler->count > ROWS_A_BLOCK) {
			err = add_block(filler);
			if (err)
				return err;
		}
		place = (table->block_count - 1) * ROWS_A_BLOCK + filler->used;
		memcpy(&table->blocks[table->block_count - 1].rows[filler->used], filler->rows,
		       filler->count * sizeof(filler->rows[0]));
		filler->used += filler->count;
		table->row_count += filler->count;
		if (filler->count == 1)
			*single = place + 1;
	}
	table->pages[filler->page] = (struct unwind_page){.block = place / ROWS_A_BLOCK,
							  .first = (uint16_t)(place % ROWS_A_BLOCK),
							  .count = (uint16_t)filler->count};
	filler->count = 0;
	return 0;
}

static void add_row(struct filler *filler, uint32_t from, uint16_t rule)
{
	struct unwind_row *last;

	/* The bytes before the first row of a page are not code. */
	if (!filler->count && from)
		filler->rows[filler->count++] = (struct unwind_row){0, 0};
	/* One that holds for no byte. */
	if (filler->count && filler->rows[filler->count - 1].from == from)
		filler->count--;
	last = &filler->rows[filler->count ? filler->count - 1 : 0];
	if (filler->count && last->rule == rule)
		return;
	if (filler->count == ROWS_A_BLOCK) {
		/* From the last row that has room on nothing is known. */
		filler->table->rows_dropped += last->rule ? 2 : 1;
		last->rule = 0;
		return;
	}
	filler->rows[filler->count++] = (struct unwind_row){(uint16_t)from, rule};
}

/* Moves to the page of a file offset; 0 or -ENOMEM. */
static int open_page(struct filler *filler, uint64_t offset)
{
	uint32_t page = (uint32_t)((offset >> UNWIND_PAGE_SHIFT) - filler->table->first_page);
	int err = 0;

	if (page != filler->page)
		err = finish_page(filler);
	filler->page = page;
	return err;
}

static size_t find_row(const struct frame_rows *rows, uint64_t vaddr)
{
	size_t low = 0, high = rows->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows->rows[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The rows of bytes from `from` to `end` of one segment. */
static int fill_segment(struct filler *filler, const struct frame_rows *rows,
			const struct elf_code_segment *segment, uint64_t from)
{
	uint64_t end = segment->file_offset + segment->size, at = from;
	uint64_t bias = segment->vaddr - segment->file_offset; /* modulo 2^64 */
	size_t next = find_row(rows, at + bias);
	uint16_t rule = next ? unwind_rules__intern(filler->rules, rows->rows[next - 1].rule) : 0;
	int err = 0;

	while (at < end && !err) {
		uint64_t page_end = (at | (PAGE_BYTES - 1)) + 1;

		err = open_page(filler, at);
		if (err)
			break;
		add_row(filler, at & (PAGE_BYTES - 1), rule);
		if (page_end > end)
			page_end = end;
		for (; next < rows->count && rows->rows[next].vaddr < page_end + bias; next++) {
			rule = unwind_rules__intern(filler->rules, rows->rows[next].rule);
			add_row(filler, (rows->rows[next].vaddr - bias) & (PAGE_BYTES - 1), rule);
		}
		at = page_end;
	}
	/* What follows in the page is not code, unless the next segment begins there. */
	if (!err && end & (PAGE_BYTES - 1))
		add_row(filler, end & (PAGE_BYTES - 1), 0);
	return err;
}

static int compare_by_offset(const void *a, const void *b)
{
	const struct elf_code_segment *left = a, *right = b;

	return left->file_offset < right->file_offset ? -1 : left->file_offset > right->file_offset;
}

static int fill(struct filler *filler, const struct frame_rows *rows, const struct code_map *map)
{
	uint64_t done = 0;
	int err = 0;

	for (size_t i = 0; i < map->count && !err; i++) {
		const struct elf_code_segment *segment = &map->segments[i];
		uint64_t from = segment->file_offset > done ? segment->file_offset : done;

		if (from >= segment->file_offset + segment->size)
			continue;
		err = fill_segment(filler, rows, segment, from);
		done = segment->file_offset + segment->size;
	}
	return err ? err : finish_page(filler);
}

int table_pages__fill(struct unwind_table *table, const struct frame_rows *rows,
		      const struct code_map *map, struct unwind_rules *rules)
{
	struct code_map by_offset = *map;
	uint64_t end = 0, first, count;
	struct filler *filler;
	int err = -ENOMEM;

	qsort(by_offset.segments, by_offset.count, sizeof(by_offset.segments[0]),
	      compare_by_offset);
	for (size_t i = 0; i < by_offset.count; i++) {
		uint64_t own = by_offset.segments[i].file_offset + by_offset.segments[i].size;

		end = own > end ? own : end;
	}
	first = by_offset.segments[0].file_offset >> UNWIND_PAGE_SHIFT;
	count = ((end - 1) >> UNWIND_PAGE_SHIFT) + 1 - first;
	if (count > UNWIND_TABLE_PAGES_MAX || first > UINT32_MAX - count)
		return -E2BIG;
	table->first_page = (uint32_t)first;
	table->page_count = (uint32_t)count;
	table->pages = calloc(count, sizeof(table->pages[0]));
	filler = calloc(1, sizeof(*filler));
	if (table->pages && filler) {
		filler->table = table;
		filler->rules = rules;
		err = fill(filler, rows, &by_offset);
	}
	free(filler);
	return err;
}
