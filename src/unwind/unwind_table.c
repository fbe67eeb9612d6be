// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwind_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "unwind/call_sites.h"
#include "unwind/eh_frame.h"
#include "unwind/go_text.h"
#include "unwind/padding.h"
#include "unwind/table_pages.h"

static int compare_by_vaddr(const void *a, const void *b)
{
	const struct elf_code_segment *left = a, *right = b;

	return left->vaddr < right->vaddr ? -1 : left->vaddr > right->vaddr;
}

/*
 * The executable segments by address, not overlapping: where a file has two at one address the
 * loader maps the later one over it, and nobody links such.
 */
static int find_code(struct code_map *map, const struct elf_object *obj)
{
	map->count = elf_object__code_segments(obj, map->segments, CODE_SEGMENTS_MAX);
	if (map->count > CODE_SEGMENTS_MAX)
		return -E2BIG;
	qsort(map->segments, map->count, sizeof(map->segments[0]), compare_by_vaddr);
	for (size_t i = 1; i < map->count; i++) {
		const struct elf_code_segment *before = &map->segments[i - 1];

		if (map->segments[i].vaddr < before->vaddr + before->size)
			return -EINVAL;
	}
	return map->count ? 0 : -ENODATA;
}

static long read_code(void *ctx, uint64_t vaddr, void *buf, size_t size)
{
	const struct elf_object *obj = ctx;
	uint64_t offset;
	int err = elf_object__file_offset(obj, vaddr, &offset);

	return err ? err : elf_object__read_code(obj, offset, buf, size);
}

static int read_frames(struct frame_rows *rows, struct elf_object *obj, const struct code_map *map)
{
	struct frame_range ranges[CODE_SEGMENTS_MAX];
	struct frame_section section;
	struct elf_frame_info info;
	int err = elf_object__frame_info(obj, FRAME_SECTION_MAX_BYTES, &info);

	if (err)
		return err == -ENOENT ? -ENODATA : err;
	/* Go describes its own functions there, but not the stacks that they switch between. */
	if (info.is_debug_frame && elf_object__is_go(obj)) {
		elf_frame_info__clear(&info);
		return -ENODATA;
	}
	for (size_t i = 0; i < map->count; i++)
		ranges[i] = (struct frame_range){map->segments[i].vaddr,
						 map->segments[i].vaddr + map->segments[i].size};
	section = (struct frame_section){.bytes = info.bytes,
					 .size = info.size,
					 .vaddr = info.vaddr,
					 .is_debug_frame = info.is_debug_frame,
					 .ends_at_zero = info.ends_at_zero};
	err = frame_rows__read(rows, &section, ranges, map->count);
	elf_frame_info__clear(&info);
	return err ? err : go_text__add_rows(obj, rows);
}

/* Nothing but frame pointers: no table says that as well. */
static bool is_trivial(const struct frame_rows *rows)
{
	return !rows->count ||
	       (rows->count == 1 && unwind_rule__equal(rows->rows[0].rule, frame_gap_rule));
}

static int build(struct unwind_table *table, struct elf_object *obj, enum unwind_table_kind kind,
		 struct unwind_rules *rules, struct frame_rows *rows)
{
	struct code_map map;
	const struct elf_code_segment *last;
	int err = find_code(&map, obj);

	if (!err)
		err = read_frames(rows, obj, &map);
	if (err)
		return err;
	if (is_trivial(rows))
		return -ENODATA;
	table->unknown_rows = rows->unknown_rows;
	table->bad_entries = rows->bad_entries;
	table->overlaps = rows->overlaps;
	last = &map.segments[map.count - 1];
	err = kind == UNWIND_CALL_SITES
		      ? call_sites__prune(rows, last->vaddr + last->size, read_code, obj)
		      : padding__drop_rows(rows, read_code, obj);
	table->frame_rows = rows->count;
	return err ? err : table_pages__fill(table, rows, &map, rules);
}

int unwind_table__build(struct unwind_table *table, struct elf_object *obj,
			enum unwind_table_kind kind, struct unwind_rules *rules)
{
	uint64_t start_ns = monotonic_ns();
	struct frame_rows rows = {0};
	int err;

	*table = (struct unwind_table){0};
	err = build(table, obj, kind, rules, &rows);
	frame_rows__clear(&rows);
	table->build_ns = monotonic_ns() - start_ns;
	return err;
}

void unwind_table__clear(struct unwind_table *table)
{
	free(table->pages);
	free(table->blocks);
	*table = (struct unwind_table){0};
}

uint32_t unwind_table__index_blocks(const struct unwind_table *table)
{
	return (table->page_count + (uint32_t)UNWIND_PAGES_PER_BLOCK - 1) /
	       (uint32_t)UNWIND_PAGES_PER_BLOCK;
}
