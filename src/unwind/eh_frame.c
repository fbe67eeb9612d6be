// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/eh_frame.h"

#include <errno.h>
#include <stdlib.h>

#include "unwind/eh_entries.h"

const struct unwind_rule frame_gap_rule = {.kind = UNWIND_FRAME_POINTER};
static const struct unwind_rule unknown_rule = {.kind = UNWIND_UNKNOWN};

static int grow(struct frame_rows *rows)
{
	size_t capacity = rows->capacity ? rows->capacity * 2 : 1024;
	struct frame_row *bigger;

	if (rows->count == FRAME_ROWS_MAX)
		return -E2BIG;
	if (capacity > FRAME_ROWS_MAX)
		capacity = FRAME_ROWS_MAX;
	bigger = realloc(rows->rows, capacity * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	rows->rows = bigger;
	rows->capacity = capacity;
	return 0;
}

int frame_rows__append(struct frame_rows *rows, uint64_t vaddr, struct unwind_rule rule)
{
	/* A row that holds for no byte. */
	if (rows->count && rows->rows[rows->count - 1].vaddr >= vaddr)
		rows->count--;
	if (rows->count && unwind_rule__equal(rows->rows[rows->count - 1].rule, rule))
		return 0;
	if (rows->count == rows->capacity) {
		int err = grow(rows);

		if (err)
			return err;
	}
	rows->rows[rows->count++] = (struct frame_row){vaddr, rule};
	return 0;
}

const struct unwind_rule *frame_rows__find(const struct frame_rows *rows, uint64_t vaddr)
{
	size_t low = 0, high = rows->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows->rows[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &rows->rows[low - 1].rule : NULL;
}

void frame_rows__clear(struct frame_rows *rows)
{
	free(rows->rows);
	*rows = (struct frame_rows){0};
}

/* The part of an FDE that no other one claims too. */
struct window {
	struct frame_rows *rows;
	uint64_t start, end;
};

static int append_counted(struct frame_rows *rows, uint64_t vaddr, struct unwind_rule rule)
{
	rows->unknown_rows += rule.kind == UNWIND_UNKNOWN;
	return frame_rows__append(rows, vaddr, rule);
}

static int take_row(void *ctx, uint64_t vaddr, struct unwind_rule rule)
{
	struct window *window = ctx;

	if (vaddr >= window->end)
		return 0;
	if (vaddr <= window->start)
		vaddr = window->start;
	return append_counted(window->rows, vaddr, rule);
}

/* What the ranges of code and of FDEs have been given so far. */
struct sweep {
	struct frame_rows *rows;
	struct eh_entries *entries;
	struct unwind_rule gap;
	uint64_t covered; /* up to here */
};

static int sweep_fde(struct sweep *sweep, const struct eh_fde *fde, uint64_t next_start)
{
	struct window window = {.rows = sweep->rows, .start = fde->start, .end = fde->end};
	int err = 0;

	if (window.start > sweep->covered) {
		err = frame_rows__append(sweep->rows, sweep->covered, sweep->gap);
		sweep->covered = window.start;
	}
	window.start = sweep->covered;
	if (window.end > next_start)
		window.end = next_start;
	if (!err && window.start < window.end) {
		err = eh_entries__each_row(sweep->entries, fde, take_row, &window);
		sweep->covered = window.end;
	}
	/* Two claim the rest, or one claims what another one did. */
	if (fde->start < window.start || window.end < fde->end)
		sweep->rows->overlaps++;
	if (!err && fde->end > sweep->covered) {
		err = append_counted(sweep->rows, sweep->covered, unknown_rule);
		sweep->covered = fde->end;
	}
	return err;
}

static int sweep_range(struct sweep *sweep, const struct frame_range *range)
{
	struct eh_entries *entries = sweep->entries;
	int err = 0;

	sweep->covered = range->start;
	for (size_t i = eh_entries__first(entries, range->start); i < entries->fde_count && !err;
	     i++) {
		if (entries->fdes[i].start >= range->end)
			break;
		err = sweep_fde(sweep, &entries->fdes[i],
				i + 1 < entries->fde_count ? entries->fdes[i + 1].start
							   : UINT64_MAX);
	}
	if (!err && sweep->covered < range->end)
		err = frame_rows__append(sweep->rows, sweep->covered, sweep->gap);
	return err;
}

int frame_rows__read(struct frame_rows *rows, const struct frame_section *section,
		     const struct frame_range *code, size_t code_count)
{
	struct eh_entries entries;
	struct sweep sweep = {.rows = rows, .entries = &entries};
	int err = eh_entries__read(&entries, section, code, code_count);

	/* In a section that cannot be made out, a gap may be what an unreadable FDE is about. */
	sweep.gap = entries.bad || entries.cut ? unknown_rule : frame_gap_rule;
	for (size_t i = 0; i < code_count && !err; i++)
		err = sweep_range(&sweep, &code[i]);
	rows->fdes += entries.fde_count;
	rows->bad_entries += entries.bad;
	rows->cut |= entries.cut || !entries.budget || err == -E2BIG;
	/* What is left has no rows: the last one holds on. */
	if (err == -E2BIG) {
		rows->rows[rows->count - 1].rule = unknown_rule;
		err = 0;
	}
	eh_entries__clear(&entries);
	return err;
}
