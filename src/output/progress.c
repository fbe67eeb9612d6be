// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/units.h"
#include "output/bar.h"
#include "output/result.h"

/* The line must stay one line: a part that does not fit any more is left out, and all after it. */
struct progress {
	char *buf;
	size_t size;
	size_t used;
	size_t columns;
	bool full;
};

static void add_part(struct progress *progress, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_part(struct progress *progress, const char *fmt, ...)
{
	char part[128];
	va_list args;
	size_t width;

	va_start(args, fmt);
	vsnprintf(part, sizeof(part), fmt, args);
	va_end(args);
	width = text_columns(progress->buf) + text_columns(part);
	if (progress->full || width > progress->columns ||
	    progress->used + strlen(part) >= progress->size) {
		progress->full = true;
		return;
	}
	strcpy(progress->buf + progress->used, part);
	progress->used += strlen(part);
}

/* What the running processes add up to; targets alone when there are any. */
struct totals {
	uint32_t processes;
	uint64_t rss_bytes;
	int64_t moved_bytes;
	uint64_t arenas;
	uint64_t mmap_bytes;
};

static struct totals sum_processes(const struct model *model, bool targets_only)
{
	struct totals totals = {0};
	const struct process *process;

	for (process = model->running; process; process = process->hh.next) {
		if (targets_only && !process->is_target)
			continue;
		totals.processes++;
		totals.rss_bytes += process->rss_last.rss_bytes;
		totals.moved_bytes += (int64_t)process->rss_last.rss_bytes -
				      (int64_t)process->rss_first.rss_bytes;
		totals.arenas += arenas__created(&process->arenas);
		totals.mmap_bytes += process->mapping.mmap_bytes;
	}
	return totals;
}

const char *trace_progress(char *buf, size_t size, const struct model *model, double now_s,
			   double duration_s, uint64_t losses,
			   const struct trace_overhead *overhead, unsigned int columns)
{
	struct progress progress = {.buf = buf, .size = size, .columns = columns};
	struct totals totals = sum_processes(model, true);
	char text[UNIT_TEXT_MAX], moved[UNIT_TEXT_MAX];

	if (!size)
		return buf;
	buf[0] = '\0';
	if (!totals.processes)
		totals = sum_processes(model, false);
	if (duration_s >= 0)
		add_part(&progress, "%.0f of %.0f s", now_s, duration_s);
	else
		add_part(&progress, "%.0f s", now_s);
	add_part(&progress, "  %u process%s", totals.processes, totals.processes == 1 ? "" : "es");
	if (totals.rss_bytes)
		add_part(&progress, "  RSS %s (%s)", units_format_bytes(text, totals.rss_bytes),
			 units_format_delta(moved, totals.moved_bytes));
	if (losses)
		add_part(&progress, "  %s lost", units_format_count(text, losses));
	if (overhead && !isnan(overhead->cost_share))
		add_part(&progress, "  cost %.1f %%%s", 100 * overhead->cost_share,
			 overhead->detached ? " in bursts" : "");
	if (totals.arenas)
		add_part(&progress, "  %s new arenas", units_format_count(text, totals.arenas));
	add_part(&progress, "  mapped %s", units_format_bytes(text, totals.mmap_bytes));
	add_part(&progress, "  ^C reports");
	return buf;
}
