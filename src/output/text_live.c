// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What is outstanding: of what a process was given during the trace, what it has not freed. */
#include <math.h>
#include <stdlib.h>

#include "analysis/outstanding.h"
#include "base/units.h"
#include "output/text.h"

#define STACK_LINE_MAX 512
/* Of a stack in a sentence; a table cuts it to what is left. */
#define STACK_COLUMNS 92
#define TOP_TEMPORARY 5
/* Below this share of the fullest reading it is worth a word what that held. */
#define FULLEST_SHARE 0.9

static void format_error(char buf[UNIT_TEXT_MAX + 8], bool sampled, double variance)
{
	char bytes[UNIT_TEXT_MAX];

	buf[0] = '\0';
	if (sampled)
		snprintf(buf, UNIT_TEXT_MAX + 8, " ± %s",
			 units_format_bytes(bytes, (uint64_t)(1.96 * sqrt(variance))));
}

static void write_peak(const struct text_writer *writer, const struct live_view *view)
{
	char peak[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX], read[UNIT_TEXT_MAX], when[UNIT_TEXT_MAX];

	if (!isnan(view->peak_bytes))
		text__say(
			writer,
			"It held %s at most at one time (up to %s more is possible: each CPU adds "
			"up by itself).",
			units_format_bytes(peak, (uint64_t)view->peak_bytes),
			units_format_bytes(error, (uint64_t)view->peak_error_bytes));
	else
		text__say(writer, "The most that a reading found was %s, at %s.",
			  units_format_bytes(read, (uint64_t)view->peak_read_bytes),
			  units_format_seconds(when, view->peak_read_s));
}

static void write_usable(const struct text_writer *writer, const struct live_usable *usable)
{
	char set[UNIT_TEXT_MAX], asked[UNIT_TEXT_MAX], count[UNIT_TEXT_MAX];

	if (!usable->source || !usable->usable_bytes)
		return;
	text__say(writer,
		  "%s of it, for which %s were requested, can hold %s, by their %s: %.1f %% is "
		  "internal fragmentation.",
		  units_format_count(count, usable->count),
		  units_format_bytes(asked, usable->requested_bytes),
		  units_format_bytes(set, usable->usable_bytes),
		  !strcmp(usable->source, "chunk-headers") ? "chunk headers" : "size classes",
		  100 * (double)(usable->usable_bytes - usable->requested_bytes) /
			  (double)usable->usable_bytes);
}

/* What made the fullest reading full, where less is held by now. */
static void write_fullest(const struct text_writer *writer, const struct process *process)
{
	const struct live_view *view = process->live;
	const struct live_peak_group *most = NULL;
	char bytes[UNIT_TEXT_MAX], when[UNIT_TEXT_MAX], label[64], line[STACK_LINE_MAX] = "";

	for (size_t i = 0; i < view->peak_group_count; i++)
		if (!most || view->peak_groups[i].bytes > most->bytes)
			most = &view->peak_groups[i];
	if (!most || view->peak_unknown ||
	    view->total.bytes > FULLEST_SHARE * view->peak_read_bytes)
		return;
	text__bucket(label, sizeof(label), most->key.bucket);
	if (most->key.stack >= 0)
		stack_line(writer->result, process, most->key.stack, line, sizeof(line),
			   STACK_COLUMNS);
	text__say(writer, "At the fullest reading, at %s, %s of it were of %s%s%s.",
		  units_format_seconds(when, view->peak_read_s),
		  units_format_bytes(bytes, (uint64_t)most->bytes), label, *line ? ", by " : "",
		  line);
}

static void write_sum(const struct text_writer *writer, const struct process *process)
{
	const struct live_view *view = process->live;
	char bytes[UNIT_TEXT_MAX], count[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX + 8];
	char inherited[UNIT_TEXT_MAX], frees[UNIT_TEXT_MAX];
	uint64_t unknown = process__unknown_frees(process);

	format_error(error, view->sampled, view->total.bytes_variance);
	text__say(writer, "Outstanding: %s%s in %s%s allocations.",
		  units_format_bytes(bytes, (uint64_t)view->total.bytes), error,
		  view->sampled ? "about " : "",
		  units_format_count(count, (uint64_t)llround(view->total.count)));
	if (view->inherited.count > 0)
		text__say(writer, "%s of it was allocated by its parent before the fork.",
			  units_format_bytes(inherited, (uint64_t)view->inherited.bytes));
	if (view->sampled)
		text__warn(writer, "The live set was full: it holds a sample, and these figures "
				   "are estimates with their 95 %% error; --live-memory gives it "
				   "more room.");
	else if (unknown)
		text__say(writer,
			  "%s frees were of memory from before the trace, which is not counted "
			  "here.",
			  units_format_count(frees, unknown));
	write_peak(writer, view);
	write_fullest(writer, process);
	write_usable(writer, &view->usable);
}

static void add_age(struct table *table, double age_s)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", isfinite(age_s) ? units_format_seconds(text, age_s) : "unknown");
}

static void add_growth(struct table *table, const struct live_growth *growth)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	if (!isfinite(growth->low))
		table__add(table, "?");
	else
		table__add(table, "%s to %s", units_format_delta(low, (int64_t)growth->low),
			   units_format_delta(high, (int64_t)growth->high));
}

static void add_row(const struct text_writer *writer, struct table *table,
		    const struct process *process, const struct outstanding *outstanding)
{
	const struct live_group *group = outstanding->group;
	double now_s = process->live->read_s;
	char label[64], bytes[UNIT_TEXT_MAX], count[UNIT_TEXT_MAX], line[STACK_LINE_MAX];

	text__bucket(label, sizeof(label), group->key.bucket);
	table__add(table, "%s", label);
	table__add(table, "%s", units_format_bytes(bytes, (uint64_t)group->now.bytes));
	table__add(table, "%s", units_format_count(count, (uint64_t)llround(group->now.count)));
	add_growth(table, &outstanding->growth);
	add_age(table, now_s - group->oldest_s);
	add_age(table, now_s - group->median_s);
	table__add(table, "%s",
		   group->key.stack < 0 ? ""
					: stack_line(writer->result, process, group->key.stack,
						     line, sizeof(line), STACK_COLUMNS));
}

/* The most frequent one is what a reader can act on; JSON has them all. */
static void write_temporary(const struct text_writer *writer, const struct process *process)
{
	const struct trace_result *result = writer->result;
	const struct stack_weight **list;
	char text[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX], line[STACK_LINE_MAX];
	uint64_t count = 0;
	size_t n;

	if (!result->temporary_weights)
		return;
	n = process__weights(process, result->temporary_weights, &list);
	for (size_t i = 0; i < n; i++)
		count += list[i]->count;
	text__say(writer, "%s allocations were freed before the next one of their thread%s",
		  units_format_count(text, count), n ? ":" : ".");
	for (size_t i = 0; i < text__top(writer, n, TOP_TEMPORARY); i++)
		text__say(writer, "  %s by %s", units_format_count(most, list[i]->count),
			  stack_line(result, process, list[i]->key.stack, line, sizeof(line),
				     STACK_COLUMNS));
	free(list);
}

static void write_unknown(const struct text_writer *writer, const struct live_view *view)
{
	char since[UNIT_TEXT_MAX];

	if (view->stopped_s >= 0)
		text__warn(
			writer,
			"What it has not freed cannot be observed at this budget: from %s on its "
			"probes come and go, and what is freed in between is not seen. --budget "
			"none keeps them.",
			units_format_seconds(since, view->stopped_s));
	else
		text__say(writer, "What it has not freed is unknown: %s.",
			  view->incomplete ? "what it had before its fork could not be kept"
					   : "it was not covered");
}

void text_live__write(struct text_writer *writer, const struct process_result *process)
{
	const struct process *p = process->process;
	struct outstanding *list;
	struct table table;
	size_t count, shown;

	if (!p->live)
		return;
	fputc('\n', writer->out);
	if (!process__live_known(p) || outstanding__list(p->live, &list, &count)) {
		write_unknown(writer, p->live);
		return;
	}
	write_sum(writer, p);
	shown = text__top(writer, count, writer->options->top);
	table__init(&table, "lrrrrrl");
	table__add(&table, "outstanding");
	table__add(&table, "bytes");
	table__add(&table, "count");
	table__add(&table, "growth/s");
	table__add(&table, "oldest");
	table__add(&table, "median");
	table__add(&table, "allocated by");
	for (size_t i = 0; i < shown; i++)
		add_row(writer, &table, p, &list[i]);
	if (shown)
		text__table(writer, &table);
	else
		table__free(&table);
	text__more(writer, count, shown);
	write_temporary(writer, p);
	free(list);
}

/* The fastest growth that is certain, for the first lines of a report. */
void text_live__answer(const struct text_writer *writer, const struct process *process)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX], label[64], line[STACK_LINE_MAX] = "";
	struct outstanding *list;
	size_t count;

	if (!process__live_known(process) || outstanding__list(process->live, &list, &count))
		return;
	if (count && list[0].growth.certain) {
		text__bucket(label, sizeof(label), list[0].group->key.bucket);
		if (list[0].group->key.stack >= 0)
			stack_line(writer->result, process, list[0].group->key.stack, line,
				   sizeof(line), STACK_COLUMNS);
		text__warn(writer,
			   "It keeps allocations of %s that it does not free: %s to %s a "
			   "second%s%s.",
			   label, units_format_delta(low, (int64_t)list[0].growth.low),
			   units_format_delta(high, (int64_t)list[0].growth.high),
			   *line ? ", by " : "", line);
	}
	free(list);
}
