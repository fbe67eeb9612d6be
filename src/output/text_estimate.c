// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Allocator calls of a process that was seen in bursts: what was seen, and what it stands for. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "output/bar.h"
#include "output/text.h"

#define BAR_COLUMNS 24

const char *estimate__format(char *buf, size_t size, const struct estimate_range *range,
			     double factor, estimate_format_fn format)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	if (!isnan(range->best * factor))
		snprintf(buf, size, "%s", format(low, units_whole(range->best * factor + 0.5)));
	else if (!isnan(range->high * factor))
		snprintf(buf, size, "%s - %s", format(low, units_whole(range->low * factor)),
			 format(high, units_whole(range->high * factor)));
	else if (range->low * factor >= 1)
		snprintf(buf, size, "> %s", format(low, units_whole(range->low * factor)));
	else
		snprintf(buf, size, "unknown");
	return buf;
}

/* "about 2,777,828 (2,688,686 to 2,888,492)", "2,688,686 to 2,888,492", "at least 85,939,789". */
static const char *format_total(char *buf, size_t size, const struct estimate_range *range)
{
	char low[UNIT_TEXT_MAX], best[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	units_format_count(low, units_whole(range->low));
	if (!isnan(range->best))
		snprintf(buf, size, "about %s (95 %% interval: %s to %s)",
			 units_format_count(best, units_whole(range->best)), low,
			 units_format_count(high, units_whole(range->high)));
	else if (!isnan(range->high))
		snprintf(buf, size, "%s to %s (95 %% interval)", low,
			 units_format_count(high, units_whole(range->high)));
	else
		snprintf(buf, size, "at least %s", low);
	return buf;
}

void text_estimate__say(struct text_writer *writer, const struct process_result *process)
{
	const struct alloc_estimate *estimate = process->process->estimate;
	char total[160], seen[UNIT_TEXT_MAX];
	uint64_t calls = process_result__calls(writer->result, process, ROW_ALLOC) +
			 process_result__calls(writer->result, process, ROW_FREE);

	text__warn(writer,
		   "Estimates: %u burst%s cover%s %.2g %% of the time and %.2g %% of its CPU time. "
		   "%s allocator calls were seen, there were %s.",
		   estimate->bursts, estimate->bursts == 1 ? "" : "s",
		   estimate->bursts == 1 ? "s" : "",
		   estimate->present_s > 0 ? 100 * estimate->covered_s / estimate->present_s : 0,
		   isnan(estimate->covered_cpu) ? 0 : 100 * estimate->covered_cpu,
		   units_format_count(seen, calls),
		   format_total(total, sizeof(total), &estimate->calls));
	if (isnan(estimate->calls.high))
		text__say(writer, "How many more is not known: %s.",
			  estimate->bursts < 5
				  ? "so few bursts do not tell"
				  : "in a burst nearly all of its time is the probes' cost");
}

static void write_calls(struct text_writer *writer, const struct process_result *process)
{
	const struct trace_result *result = writer->result;
	const struct process *p = process->process;
	const struct alloc_estimate *estimate = p->estimate;
	struct table table;
	char name[128], text[96];

	table__init(&table, "lrrr");
	table__add(&table, "allocator calls");
	table__add(&table, "seen");
	table__add(&table, "share");
	table__add(&table, "calls/s");
	for (int i = 0; i < CALL_ROWS; i++) {
		if (!result->rows[i].name || !row_set__has(&process->probed_rows, (uint32_t)i) ||
		    !p->alloc.calls[i])
			continue;
		table__add(&table, "%s", text_printable(name, sizeof(name), result->rows[i].name));
		table__add(&table, "%s", units_format_count(text, p->alloc.calls[i]));
		table__add(&table, "%.1f %%", 100 * estimate->row_share[i]);
		table__add(&table, "%s",
			   estimate__format(text, sizeof(text), &estimate->calls_per_s,
					    estimate->row_share[i], units_format_count));
	}
	text__table(writer, &table);
}

static void write_sizes(struct text_writer *writer, const struct process *process)
{
	const struct alloc_estimate *estimate = process->estimate;
	double most = 0;
	struct table table;

	for (int i = 0; i < SIZE_BUCKETS; i++)
		most = fmax(most, estimate->byte_share[i]);
	table__init(&table, "lrrrrl");
	table__add(&table, "request size");
	table__add(&table, "seen");
	table__add(&table, "share");
	table__add(&table, "calls/s");
	table__add(&table, "bytes/s");
	table__add(&table, "by bytes");
	for (unsigned int i = 0; i < SIZE_BUCKETS; i++) {
		char label[64], text[96], bar[BAR_TEXT_MAX(BAR_COLUMNS)];
		double requests = estimate->requests_per_call;

		if (!process->alloc.buckets[i].count)
			continue;
		text__bucket(label, sizeof(label), i);
		table__add(&table, "%s", label);
		table__add(&table, "%s", units_format_count(text, process->alloc.buckets[i].count));
		table__add(&table, "%.1f %%", 100 * estimate->request_share[i]);
		table__add(&table, "%s",
			   estimate__format(text, sizeof(text), &estimate->calls_per_s,
					    requests * estimate->request_share[i],
					    units_format_count));
		table__add(&table, "%s",
			   estimate__format(text, sizeof(text), &estimate->calls_per_s,
					    requests * estimate->bytes_per_request *
						    estimate->byte_share[i],
					    units_format_bytes));
		table__add(&table, "%s",
			   bar__draw(bar, units_whole(1e6 * estimate->byte_share[i]),
				     units_whole(1e6 * most), BAR_COLUMNS, writer->options->utf8));
	}
	text__table(writer, &table);
}

void text_estimate__write(struct text_writer *writer, const struct process_result *process)
{
	const struct process *p = process->process;
	char requests[UNIT_TEXT_MAX], bytes[UNIT_TEXT_MAX];

	text_estimate__say(writer, process);
	if (isnan(p->estimate->requests_per_call))
		return;
	fputc('\n', writer->out);
	write_calls(writer, process);
	if (!process__requests(p))
		return;
	fputc('\n', writer->out);
	write_sizes(writer, p);
	text__say(writer,
		  "\"seen\" and these %s requests for %s are exact; shares and rates are "
		  "estimates.",
		  units_format_count(requests, process__requests(p)),
		  units_format_bytes(bytes, process__requested_bytes(p)));
}
