// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "output/bar.h"
#include "output/text.h"

#define BAR_COLUMNS       24
#define SPARKLINE_COLUMNS 60

static void add_calls(struct table *table, const char *name, uint64_t calls)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", name);
	table__add(table, "%s", units_format_count(text, calls));
}

/* "41,208", and "0.4" where whole calls would say 0. */
static void add_rate(struct table *table, uint64_t calls, double seconds)
{
	double rate = seconds > 0 ? (double)calls / seconds : 0;
	char text[UNIT_TEXT_MAX];

	if (seconds <= 0)
		table__add(table, "unknown");
	else if (calls && rate < 10)
		table__add(table, "%.1f", rate);
	else
		table__add(table, "%s", units_format_count(text, units_whole(rate + 0.5)));
}

static void add_call_row(struct table *table, const char *name, uint64_t calls, double seconds)
{
	add_calls(table, name, calls);
	add_rate(table, calls, seconds);
}

/* Calls that change no size: a row only when there were any. */
static void add_optional_row(struct table *table, const char *name, uint64_t calls, double seconds)
{
	if (!calls)
		return;
	add_call_row(table, name, calls, seconds);
	table__end_row(table);
}

void text_mapping__write(struct text_writer *writer, const struct process_result *process)
{
	const struct process *p = process->process;
	const struct mapping_counts *counts = &p->mapping;
	double seconds = writer->result->duration_s;
	char text[UNIT_TEXT_MAX], failed[UNIT_TEXT_MAX];
	struct table table;

	fputc('\n', writer->out);
	table__init(&table, "lrrr");
	table__add(&table, "mapping activity");
	table__add(&table, "calls");
	table__add(&table, "calls/s");
	table__add(&table, "bytes");
	add_call_row(&table, "mmap", counts->mmap_calls, seconds);
	table__add(&table, "%s", units_format_bytes(text, counts->mmap_bytes));
	add_call_row(&table, "munmap", counts->munmap_calls, seconds);
	table__add(&table, "%s", units_format_bytes(text, counts->munmap_bytes));
	add_call_row(&table, "brk", counts->brk_calls, seconds);
	table__add(&table, "%s", units_format_delta(text, counts->brk_delta_bytes));
	add_optional_row(&table, "mremap", counts->mremap_calls, seconds);
	add_optional_row(&table, "mprotect", counts->mprotect_calls, seconds);
	add_optional_row(&table, "madvise", counts->madvise_calls, seconds);
	text__table(writer, &table);
	if (!p->space->seeded)
		text__say(writer,
			  "How much is mapped is unknown: what was mapped before could not be "
			  "read.");
	else
		text__say(writer, "Mapped at the end: %s; %s of it since the trace began.",
			  units_format_bytes(text, p->space->mapped_bytes),
			  units_format_bytes(failed, process__unreleased_bytes(p)));
	if (counts->failed_calls)
		text__say(writer, "%s call%s failed and %s in no figure above.",
			  units_format_count(failed, counts->failed_calls),
			  counts->failed_calls == 1 ? "" : "s",
			  counts->failed_calls == 1 ? "is" : "are");
}

void text__bucket(char *buf, size_t size, unsigned int bucket)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	unsigned int low, high;

	if (bucket <= 1) {
		snprintf(buf, size, "%u B", bucket);
		return;
	}
	if (bucket <= 10) {
		snprintf(buf, size, "%llu - %llu B", (unsigned long long)bucket__min_bytes(bucket),
			 (unsigned long long)bucket__max_bytes(bucket));
		return;
	}
	/* Powers of two: the upper end is the first size that is not in the bucket. */
	low = bucket - 1;
	high = bucket;
	if (low / 10 == high / 10)
		snprintf(buf, size, "%u - %u %s", 1u << low % 10, 1u << high % 10, units[low / 10]);
	else
		snprintf(buf, size, "%u %s - %u %s", 1u << low % 10, units[low / 10],
			 1u << high % 10, units[high / 10]);
}

/* Entry points that were probed and that nobody called: no row each, but named. */
static void write_uncalled(const struct text_writer *writer, const struct process_result *process)
{
	const struct trace_result *result = writer->result;
	char name[128], *text = NULL;
	size_t size, n = 0;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return;
	for (uint32_t i = 0; i < CALL_ROWS; i++) {
		if (!result->rows[i].name || !row_set__has(&process->probed_rows, i) ||
		    process->process->alloc.calls[i])
			continue;
		fprintf(memory, "%s%s", n++ ? ", " : "",
			text_printable(name, sizeof(name), result->rows[i].name));
	}
	if (!fclose(memory) && n)
		text__say(writer, "Never called: %s.", text);
	free(text);
}

static void write_calls(struct text_writer *writer, const struct process_result *process)
{
	const struct trace_result *result = writer->result;
	double seconds = process__covered_s(process->process, result->duration_s);
	struct table table;
	char name[128];

	table__init(&table, "lrr");
	table__add(&table, "allocator calls");
	table__add(&table, "calls");
	table__add(&table, "calls/s");
	for (uint32_t i = 0; i < CALL_ROWS; i++) {
		if (!result->rows[i].name || !row_set__has(&process->probed_rows, i) ||
		    !process->process->alloc.calls[i])
			continue;
		text_printable(name, sizeof(name), result->rows[i].name);
		add_call_row(&table, name, process->process->alloc.calls[i], seconds);
	}
	text__table(writer, &table);
}

static void write_sizes(struct text_writer *writer, const struct process *process)
{
	double seconds = process__covered_s(process, writer->result->duration_s);
	uint64_t most = 0;
	struct table table;

	for (int i = 0; i < SIZE_BUCKETS; i++) {
		if (process->alloc.buckets[i].bytes > most)
			most = process->alloc.buckets[i].bytes;
	}
	table__init(&table, "lrrrrl");
	table__add(&table, "request size");
	table__add(&table, "calls");
	table__add(&table, "calls/s");
	table__add(&table, "bytes");
	table__add(&table, "bytes/s");
	table__add(&table, "by bytes");
	for (unsigned int i = 0; i < SIZE_BUCKETS; i++) {
		const struct size_count *bucket = &process->alloc.buckets[i];
		char label[64], text[UNIT_TEXT_MAX], bar[BAR_TEXT_MAX(BAR_COLUMNS)];

		if (!bucket->count)
			continue;
		text__bucket(label, sizeof(label), i);
		add_call_row(&table, label, bucket->count, seconds);
		table__add(&table, "%s", units_format_bytes(text, bucket->bytes));
		if (seconds > 0)
			table__add(&table, "%s/s",
				   units_format_bytes(
					   text, units_whole((double)bucket->bytes / seconds)));
		else
			table__add(&table, "unknown");
		table__add(&table, "%s",
			   bar__draw(bar, bucket->bytes, most, BAR_COLUMNS, writer->options->utf8));
	}
	text__table(writer, &table);
}

void text_buckets__write(struct text_writer *writer, const struct process_result *process)
{
	const struct process *p = process->process;
	char requests[UNIT_TEXT_MAX], bytes[UNIT_TEXT_MAX];

	if (!p->counted)
		return;
	fputc('\n', writer->out);
	if (p->estimate) {
		text_estimate__write(writer, process);
		return;
	}
	if (process_result__calls(writer->result, process, ROW_ALLOC) +
	    process_result__calls(writer->result, process, ROW_FREE))
		write_calls(writer, process);
	else
		text__say(writer, "No allocator call was seen.");
	write_uncalled(writer, process);
	if (process__requests(p)) {
		fputc('\n', writer->out);
		write_sizes(writer, p);
		text__say(writer, "%s requests for %s in all%s.",
			  units_format_count(requests, process__requests(p)),
			  units_format_bytes(bytes, process__requested_bytes(p)),
			  p->live ? "" : "; what of it is still in use is unknown (see --live)");
	}
	if (p->alloc.failed)
		text__say(writer, "%s of them failed.",
			  units_format_count(requests, p->alloc.failed));
	if (p->alloc.impossible)
		text__say(writer, "%s requests were for more than any allocator can give.",
			  units_format_count(requests, p->alloc.impossible));
}

void text_drift__write(struct text_writer *writer, const struct process_result *process)
{
	const struct process *p = process->process;
	/* As many values as the drawing has columns: older intervals are left out. */
	uint64_t values[SPARKLINE_COLUMNS];
	uint32_t first =
		p->intervals.count > SPARKLINE_COLUMNS ? p->intervals.count - SPARKLINE_COLUMNS : 0;
	char line[BAR_TEXT_MAX(SPARKLINE_COLUMNS)], least[UNIT_TEXT_MAX], most[UNIT_TEXT_MAX];
	char interval[UNIT_TEXT_MAX], at_least[UNIT_TEXT_MAX], at_most[UNIT_TEXT_MAX];
	size_t n = 0;

	for (uint32_t i = first; i < p->intervals.count; i++) {
		const struct interval *kept = ring__at(&p->intervals, i);

		if (kept)
			values[n++] = kept->rss_bytes;
	}
	if (!process__has_rss(p))
		return;
	fputc('\n', writer->out);
	if (n > 1)
		text__say(
			writer, "RSS %s  one column per %s",
			sparkline__draw(line, values, n, SPARKLINE_COLUMNS, writer->options->utf8),
			units_format_seconds(interval, writer->result->model->interval_s));
	text__say(writer, "RSS least %s at %s, most %s at %s.",
		  units_format_bytes(least, p->rss_min.rss_bytes),
		  units_format_seconds(at_least, p->rss_min.t_s),
		  units_format_bytes(most, p->rss_max.rss_bytes),
		  units_format_seconds(at_most, p->rss_max.t_s));
}
