// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>

#include "base/units.h"
#include "output/text.h"

void text_others__write(struct text_writer *writer, size_t first)
{
	const struct trace_result *result = writer->result;
	size_t n = result->process_count - first;
	size_t shown = text__top(writer, n, TOP_PROCESSES);
	struct table table;

	if (!n)
		return;
	fputc('\n', writer->out);
	table__init(&table, "lrrrrrl");
	table__add(&table, first ? "other process" : "process");
	table__add(&table, "pid");
	table__add(&table, "RSS");
	table__add(&table, "moved");
	table__add(&table, "mmap bytes");
	table__add(&table, "munmap bytes");
	table__add(&table, "ended");
	for (size_t i = first; i < first + shown; i++) {
		const struct process *process = result->processes[i].process;
		char text[UNIT_TEXT_MAX], comm[COMM_TEXT_MAX], end[END_TEXT_MAX];
		bool known = process__has_rss(process);

		table__add(&table, "%s", process__comm(process, comm));
		table__add(&table, "%u", process->pid);
		table__add(&table, "%s",
			   known ? units_format_bytes(text, process->rss_last.rss_bytes)
				 : "unknown");
		table__add(&table, "%s",
			   known ? units_format_delta(text, result->processes[i].growth.rss_bytes)
				 : "unknown");
		table__add(&table, "%s", units_format_bytes(text, process->mapping.mmap_bytes));
		table__add(&table, "%s", units_format_bytes(text, process->mapping.munmap_bytes));
		table__add(&table, "%s", process__end_text(process, end));
	}
	text__table(writer, &table);
	text__more(writer, n, shown);
}

static void write_losses(struct text_writer *writer)
{
	const struct trace_result *result = writer->result;
	struct table table;
	char text[UNIT_TEXT_MAX];

	fputc('\n', writer->out);
	if (!trace_result__losses(result)) {
		fputs("Lost: nothing.\n", writer->out);
		return;
	}
	table__init(&table, "lrl");
	table__add(&table, "lost");
	table__add(&table, "count");
	table__add(&table, "what");
	for (int i = 0; i < LOSS_MAX; i++) {
		if (!result->losses[i])
			continue;
		table__add(&table, "%s", loss__name(i));
		table__add(&table, "%s", units_format_count(text, result->losses[i]));
		table__add(&table, "%s", loss__text(i));
	}
	text__table(writer, &table);
}

static void write_bursts(const struct text_writer *writer)
{
	const struct trace_overhead *overhead = &writer->result->overhead;
	char when[UNIT_TEXT_MAX], count[UNIT_TEXT_MAX], processes[UNIT_TEXT_MAX];

	text__warn(writer,
		   "To keep the budget the allocator probes of %s process%s came and went from %s "
		   "on: %s burst%s. All in all they covered %.2g %% of the time.",
		   units_format_count(processes, overhead->detached),
		   overhead->detached == 1 ? "" : "es",
		   units_format_seconds(when, overhead->detached_at_s),
		   units_format_count(count, overhead->bursts), overhead->bursts == 1 ? "" : "s",
		   100 * overhead->covered);
	text__say(writer, "Their coming cost the targets %.1f ms of CPU time, their going %.1f ms.",
		  overhead->attach_ns / 1e6, overhead->detach_ns / 1e6);
	if (overhead->cost_share > overhead->budget)
		text__warn(writer, "The budget was not kept: the trace was too short for what a "
				   "look costs here.");
}

static void write_stacks(const struct text_writer *writer)
{
	const struct trace_overhead *overhead = &writer->result->overhead;
	char stacks[UNIT_TEXT_MAX];
	char cost[96] = "at an unknown cost";

	if (!isnan(overhead->stack_ns) && !isnan(overhead->frame_ns))
		snprintf(cost, sizeof(cost), "%.0f ns more for each and %.0f ns for a frame",
			 overhead->stack_ns, overhead->frame_ns);
	text__say(writer, "They walked %s call stacks of %.1f frames on average: %s.",
		  units_format_count(stacks, overhead->stacks),
		  (double)overhead->frames / (double)overhead->stacks, cost);
}

static void write_probes(const struct text_writer *writer)
{
	const struct trace_overhead *overhead = &writer->result->overhead;
	char hits[UNIT_TEXT_MAX], budget[64] = "", share[64] = "share of CPU time unknown";
	char hit[64] = "an unknown time";

	if (!isnan(overhead->cost_share))
		snprintf(share, sizeof(share), "%.1f %% of the targets' CPU time",
			 100 * overhead->cost_share);
	if (!isnan(overhead->hit_ns))
		snprintf(hit, sizeof(hit), "%.0f ns", overhead->hit_ns);
	if (!isnan(overhead->budget))
		snprintf(budget, sizeof(budget), " (budget %.1f %%)", 100 * overhead->budget);
	fprintf(writer->out, "Cost: %s hits of %s each: %s%s.\n",
		units_format_count(hits, overhead->hits), hit, share, budget);
	if (overhead->stacks)
		write_stacks(writer);
	if (overhead->detached_at_s >= 0)
		write_bursts(writer);
	else if (overhead->covered < 1)
		text__say(writer, "The allocator probes covered %.0f %% of the trace.",
			  100 * overhead->covered);
	if (overhead->bystander_hits)
		text__say(writer, "%s more hits were paid for by processes that are not targets.",
			  units_format_count(hits, overhead->bystander_hits));
}

void text_cost__write(struct text_writer *writer)
{
	const struct trace_result *result = writer->result;
	const struct trace_command *command = &result->command;
	char how[END_TEXT_MAX];

	write_losses(writer);
	if (result->mallocs_counted)
		write_probes(writer);
	else
		fputs("Cost: no allocator probes; mapping calls only.\n", writer->out);
	if (command->argv && command->ended)
		fprintf(writer->out, "The command %s.\n",
			wait_status_text(command->wait_status, how));
}
