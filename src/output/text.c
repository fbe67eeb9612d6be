// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

size_t text_options__columns(const struct text_options *options)
{
	return options->columns ? options->columns : REPORT_COLUMNS;
}

size_t text__top(const struct text_writer *writer, size_t n, size_t limit)
{
	/* A list that is one longer than its limit is shown whole: "1 more" takes a line too. */
	return writer->options->all || n <= limit + 1 ? n : limit;
}

void text__more(const struct text_writer *writer, size_t n, size_t shown)
{
	char count[UNIT_TEXT_MAX];

	if (n > shown)
		fprintf(writer->out, "  … %s more\n", units_format_count(count, n - shown));
}

void text__table(struct text_writer *writer, struct table *table)
{
	int err = table__print(table, writer->out, text_options__columns(writer->options), true,
			       writer->options->colour);

	if (err && !writer->err)
		writer->err = err;
}

static void say(const struct text_writer *writer, const char *fmt, va_list args)
{
	char *text;

	if (vasprintf(&text, fmt, args) < 0)
		return;
	text_paragraph(writer->out, text_options__columns(writer->options), 2, text);
	free(text);
}

void text__say(const struct text_writer *writer, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(writer, fmt, args);
	va_end(args);
}

void text__warn(const struct text_writer *writer, const char *fmt, ...)
{
	va_list args;

	fputs(writer->options->colour ? COLOUR_YELLOW : "", writer->out);
	va_start(args, fmt);
	say(writer, fmt, args);
	va_end(args);
	fputs(writer->options->colour ? COLOUR_RESET : "", writer->out);
}

static void write_details(struct text_writer *writer, const struct process_result *process)
{
	text_arenas__write(writer, process);
	text_large__write(writer, process);
	text_live__write(writer, process);
	text_faults__write(writer, process);
	text_mapping__write(writer, process);
	text_buckets__write(writer, process);
	text_classes__write(writer, process);
	text_drift__write(writer, process);
}

/* Adds what is known of a process's calls; one whose upper end is unknown makes the sum so. */
static void add_calls(const struct trace_result *result, const struct process_result *process,
		      struct estimate_range *sum, bool *estimated)
{
	const struct alloc_estimate *estimate = process->process->estimate;
	double calls = (double)(process_result__calls(result, process, ROW_ALLOC) +
				process_result__calls(result, process, ROW_FREE));

	if (!estimate) {
		sum->low += calls;
		sum->best += calls;
		sum->high += calls;
		return;
	}
	*estimated = true;
	sum->low += fmax(estimate->calls.low, calls);
	sum->best += estimate->calls.best;
	sum->high += estimate->calls.high;
}

static void write_rates(const struct text_writer *writer, FILE *out)
{
	const struct trace_result *result = writer->result;
	struct estimate_range calls = {0};
	uint64_t mappings = 0;
	bool estimated = false;
	char text[96];

	for (size_t i = 0; i < result->process_count; i++) {
		add_calls(result, &result->processes[i], &calls, &estimated);
		mappings += result->processes[i].process->mapping.mmap_calls;
	}
	if (result->duration_s <= 0)
		return;
	if (result->mallocs_counted && (!estimated || !isnan(calls.best)))
		fprintf(out, ", %s%s allocator calls/s", estimated ? "about " : "",
			units_format_count(text, units_whole(calls.best / result->duration_s)));
	else if (result->mallocs_counted)
		fprintf(out, ", %s allocator calls/s",
			estimate__format(text, sizeof(text), &calls, 1 / result->duration_s,
					 units_format_count));
	fprintf(out, ", %.1f mappings/s", (double)mappings / result->duration_s);
}

/* "30.0 s, 1 process, 41,208 allocator calls/s, 3.1 mappings/s; nothing lost; cost ... 2.9 %" */
static void put_headline(const struct text_writer *writer, FILE *out)
{
	const struct trace_result *result = writer->result;
	const struct trace_overhead *overhead = &result->overhead;
	char text[UNIT_TEXT_MAX];
	uint64_t losses = trace_result__losses(result);
	bool colour = writer->options->colour;

	fprintf(out, "%s, ", units_format_seconds(text, result->duration_s));
	fprintf(out, "%s process%s", units_format_count(text, result->process_count),
		result->process_count == 1 ? "" : "es");
	write_rates(writer, out);
	if (losses)
		fprintf(out, "; %s%s event%s lost%s", colour ? COLOUR_YELLOW : "",
			units_format_count(text, losses), losses == 1 ? "" : "s",
			colour ? COLOUR_RESET : "");
	else
		fputs("; nothing lost", out);
	if (!isnan(overhead->cost_share))
		fprintf(out, "; cost to the target%s %.1f %%",
			result->process_count == 1 ? "" : "s", 100 * overhead->cost_share);
}

static void write_headline(struct text_writer *writer)
{
	char *line = NULL;
	size_t size;
	FILE *memory = open_memstream(&line, &size);

	if (!memory) {
		writer->err = -ENOMEM;
		return;
	}
	put_headline(writer, memory);
	if (fclose(memory))
		writer->err = -ENOMEM;
	else
		text_paragraph(writer->out, text_options__columns(writer->options), 0, line);
	free(line);
}

/* Answers first, for all that matter; then the tables of the first few. */
static void write_processes(struct text_writer *writer)
{
	const struct trace_result *result = writer->result;
	size_t matter = 0, answers, details;

	while (matter < result->process_count &&
	       process_result__matters(&result->processes[matter]))
		matter++;
	if (!matter && result->process_count)
		matter = 1;
	answers = text__top(writer, matter, TOP_ANSWERS);
	details = text__top(writer, answers, TOP_DETAILS);
	for (size_t i = 0; i < answers; i++) {
		fputc('\n', writer->out);
		text_answer__write(writer, &result->processes[i]);
	}
	for (size_t i = 0; i < details; i++) {
		char comm[COMM_TEXT_MAX];

		if (details > 1)
			fprintf(writer->out, "\n── %s (pid %u) ──\n",
				process__comm(result->processes[i].process, comm),
				result->processes[i].process->pid);
		write_details(writer, &result->processes[i]);
	}
	text_others__write(writer, details);
}

void text__plain(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x80)
			fputc(byte, out);
		else if (byte >= 0xc0)
			fputc(!strncmp(text, "…", strlen("…"))   ? '~'
			      : !strncmp(text, "─", strlen("─")) ? '-'
								 : '?',
			      out);
	}
}

static int write_report(FILE *out, const struct trace_result *result,
			const struct text_options *options)
{
	struct text_writer writer = {.out = out, .result = result, .options = options};

	write_headline(&writer);
	write_processes(&writer);
	text_cost__write(&writer);
	return writer.err;
}

int trace_text__write(FILE *out, const struct trace_result *result,
		      const struct text_options *options)
{
	char *text = NULL;
	FILE *memory;
	size_t size;
	int err;

	if (options->utf8) {
		err = write_report(out, result, options);
	} else {
		memory = open_memstream(&text, &size);
		if (!memory)
			return -ENOMEM;
		err = write_report(memory, result, options);
		if (fclose(memory) && !err)
			err = -ENOMEM;
		if (!err)
			text__plain(out, text);
		free(text);
	}
	if (err)
		return err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
