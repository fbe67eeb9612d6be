// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>

#include "base/text.h"
#include "base/units.h"
#include "output/bar.h"
#include "output/text.h"

/* Coverage that begins this much after the process was first seen is worth a word. */
#define LATE_S     0.01
#define LATE_SHARE 0.01

/* "cal (pid 8212)                      RSS 402.0 MB -> 1,018.3 MB  +20.5 MB/s" */
static void write_heading(const struct text_writer *writer, const struct process *process)
{
	char first[UNIT_TEXT_MAX], last[UNIT_TEXT_MAX], rate[UNIT_TEXT_MAX], comm[COMM_TEXT_MAX];
	char name[128], rss[128];
	double slope = process__rss_slope(process);
	size_t used;

	snprintf(name, sizeof(name), "%s (pid %u)", process__comm(process, comm), process->pid);
	if (!process__has_rss(process))
		snprintf(rss, sizeof(rss), "RSS unknown");
	else if (isnan(slope))
		snprintf(rss, sizeof(rss), "RSS %s -> %s",
			 units_format_bytes(first, process->rss_first.rss_bytes),
			 units_format_bytes(last, process->rss_last.rss_bytes));
	else
		snprintf(rss, sizeof(rss), "RSS %s -> %s  %s/s",
			 units_format_bytes(first, process->rss_first.rss_bytes),
			 units_format_bytes(last, process->rss_last.rss_bytes),
			 units_format_delta(rate, units_whole_signed(slope)));
	used = text_columns(name) + text_columns(rss);
	fprintf(writer->out, "%s%s%s%*s%s\n", writer->options->colour ? COLOUR_BOLD : "", name,
		writer->options->colour ? COLOUR_RESET : "",
		used + 2 < REPORT_COLUMNS ? (int)(REPORT_COLUMNS - used) : 2, "", rss);
}

static void write_arenas(const struct text_writer *writer, const struct process *process)
{
	const struct arenas *arenas = &process->arenas;
	uint32_t created = arenas__created(arenas);
	char present[64] = "", limit[160] = "", source[128];

	if (arenas->present >= 0)
		snprintf(present, sizeof(present), "; %lld %s present", (long long)arenas->present,
			 arenas->present == 1 ? "is" : "are");
	if (arenas->limit >= 0)
		snprintf(limit, sizeof(limit), ", the limit is %lld (%s)", (long long)arenas->limit,
			 text_printable(source, sizeof(source), arenas->limit_source));
	if (created)
		text__say(writer, "%u malloc arena%s created%s%s.", created,
			  created == 1 ? " was" : "s were", present, limit);
	else if (arenas->present > 1)
		text__say(writer, "No malloc arena was created%s%s.", present, limit);
}

/* "50.0 MB", "50.0 MB (+- 1.2 MB)". */
static const char *in_use_text(const struct heap_use *use, char *text, size_t size)
{
	char bytes[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX];

	units_format_bytes(bytes, use->in_use_bytes);
	if (use->in_use_error_bytes)
		snprintf(text, size, "%s (± %s)", bytes,
			 units_format_bytes(error, use->in_use_error_bytes));
	else
		snprintf(text, size, "%s", bytes);
	return text;
}

/* What of malloc's memory the program holds: growth that is free inside is no leak. */
static void write_heap_use(const struct text_writer *writer, const struct process *process)
{
	const struct heap_use *start = &process->heap_start, *end = &process->heap_end;
	char in_use[2 * UNIT_TEXT_MAX + 8], before[2 * UNIT_TEXT_MAX + 8], was[160] = "";
	char free_text[UNIT_TEXT_MAX], free_before[UNIT_TEXT_MAX], trim[UNIT_TEXT_MAX];

	if (!end->known)
		return;
	if (start->known)
		snprintf(was, sizeof(was), " (at the start %s and %s)",
			 in_use_text(start, before, sizeof(before)),
			 units_format_bytes(free_before, start->free_bytes));
	text__say(writer,
		  "In glibc's heaps %s are in use and %s free%s; malloc_trim(0) would return %s.%s",
		  in_use_text(end, in_use, sizeof(in_use)),
		  units_format_bytes(free_text, end->free_bytes), was,
		  units_format_bytes(trim, end->trimmable_bytes),
		  end->complete && (!start->known || start->complete)
			  ? ""
			  : " Not all of it could be walked.");
}

static void write_large(const struct text_writer *writer, const struct process_result *process)
{
	uint64_t reserved = 0, resident = 0;
	size_t made = 0, unread = 0;
	char text[UNIT_TEXT_MAX], least[UNIT_TEXT_MAX], resident_text[96], since[64];

	for (size_t i = 0; i < process->large_count; i++) {
		const struct large_mapping *mapping = &process->large[i];

		made += !mapping->before_attach;
		reserved += mapping->reserved_bytes;
		if (mapping->resident_bytes < 0)
			unread++;
		else
			resident += (uint64_t)mapping->resident_bytes;
	}
	if (!process->large_count)
		return;
	units_format_bytes(least, resident);
	if (!unread)
		snprintf(resident_text, sizeof(resident_text), "%s", least);
	else if (unread == process->large_count)
		snprintf(resident_text, sizeof(resident_text), "unknown");
	else
		snprintf(resident_text, sizeof(resident_text), "at least %s (of %zu unknown)",
			 least, unread);
	if (made == process->large_count)
		snprintf(since, sizeof(since), "all made during the trace");
	else
		snprintf(since, sizeof(since), "%zu made during the trace", made);
	text__say(writer, "%zu large mapping%s not released (%s): reserved %s, resident %s.",
		  process->large_count, process->large_count == 1 ? " was" : "s were",
		  made ? since : "older than the trace", units_format_bytes(text, reserved),
		  resident_text);
}

/* For an ended process all figures are those of its end. */
static void write_end(const struct text_writer *writer, const struct process *process)
{
	const struct model *model = writer->result->model;
	double end_s = trace_seconds(model, process->ended_ns);
	char how[END_TEXT_MAX], when[UNIT_TEXT_MAX], age[UNIT_TEXT_MAX];

	if (process->end == PROCESS_RUNS && !process->oom_killed)
		return;
	process__end_text(process, how);
	units_format_seconds(when, end_s);
	if (!process->ended_ns) {
		text__say(writer, "It %s.", how);
		return;
	}
	if (process->oom_killed)
		text__warn(writer, "It %s, %s after the trace began: this is its last state.", how,
			   when);
	else
		text__say(writer, "It %s, %s after the trace began: this is its state then.", how,
			  when);
	if (process->at_end.known && end_s - process->at_end.t_s > LATE_S)
		text__say(writer, "Resident figures were read %s before its end.",
			  units_format_seconds(age, end_s - process->at_end.t_s));
}

static void write_coverage(const struct text_writer *writer, const struct process *process)
{
	const struct trace_result *result = writer->result;
	double seen_s = trace_seconds(result->model, process->first_seen_ns);
	char from[UNIT_TEXT_MAX], to[UNIT_TEXT_MAX];

	if (!result->mallocs_counted)
		return;
	if (!process->counted) {
		text__say(writer, "Its allocator calls were not counted: no allocator was probed.");
		return;
	}
	if (process->estimate)
		text__warn(writer,
			   "Its allocator calls were seen in %u burst%s only: their "
			   "figures are estimates.",
			   process->estimate->bursts, process->estimate->bursts == 1 ? "" : "s");
	/* A probe takes some milliseconds to place: worth a line when it matters to a count. */
	if (process->covered_from_s > seen_s + LATE_S &&
	    process->covered_from_s - seen_s > LATE_SHARE * result->duration_s)
		text__warn(writer,
			   "Its allocator calls are counted from %s of the trace on; it was there "
			   "from %s on.",
			   units_format_seconds(from, process->covered_from_s),
			   units_format_seconds(to, seen_s));
	if (process->covered_to_s >= 0 &&
	    (!process->ended_ns ||
	     process->covered_to_s + LATE_S < trace_seconds(result->model, process->ended_ns)))
		text__warn(writer, "Its allocator calls are counted until %s of the trace.",
			   units_format_seconds(to, process->covered_to_s));
}

static void write_trust(const struct text_writer *writer, const struct process *process)
{
	if (process->needs_reread)
		text__warn(writer, "Its mappings may differ from the real ones: records were lost "
				   "or unclear, and they could not be read again.");
	if (!arenas__sources_agree(&process->arenas))
		text__warn(writer,
			   "The sources disagree on its new arenas: %u by mapping, %u by "
			   "arena_get2, %u by memory_arena_new.",
			   process->arenas.created_by_mapping, process->arenas.created_by_symbol,
			   process->arenas.created_by_usdt);
}

void text_answer__write(struct text_writer *writer, const struct process_result *process)
{
	char sentence[384];

	write_heading(writer, process->process);
	growth__sentence(&process->growth, process->is_go == 1, sentence, sizeof(sentence));
	text__say(writer, "%s", sentence);
	write_arenas(writer, process->process);
	write_heap_use(writer, process->process);
	write_large(writer, process);
	text_live__answer(writer, process->process);
	write_end(writer, process->process);
	write_coverage(writer, process->process);
	write_trust(writer, process->process);
}
