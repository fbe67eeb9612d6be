// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Where resident memory grew: pages that faults brought in, by stack. */
#include <stdlib.h>

#include "base/units.h"
#include "output/faults.h"
#include "output/text.h"

#define STACK_LINE_MAX 512
/* A table cuts it to what is left. */
#define STACK_COLUMNS 92

static void write_sum(const struct text_writer *writer, const struct fault_figures *figures)
{
	const struct trace_result *result = writer->result;
	char bytes[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX], sampled[UNIT_TEXT_MAX];
	char counted[UNIT_TEXT_MAX], counted_bytes[UNIT_TEXT_MAX];

	units_format_bytes(bytes, figures->bytes);
	units_format_count(sampled, figures->sampled);
	if (result->fault_period == 1)
		text__say(writer, "Page faults brought in %s: %s, each as one page.", bytes,
			  sampled);
	else
		text__say(writer,
			  "Page faults brought in %s ± %s (95 %%): one of %u was sampled, %s in "
			  "all, each as one page.",
			  bytes, units_format_bytes(error, figures->error_bytes),
			  (unsigned int)result->fault_period, sampled);
	if (figures->counted_known)
		text__say(writer, "The kernel counted %s faults of it, %s.",
			  units_format_count(counted, figures->counted),
			  units_format_bytes(counted_bytes,
					     figures->counted * result->host.page_bytes));
	if (result->huge_pages)
		text__warn(writer, "Transparent huge pages are on (\"always\"): a fault may have "
				   "brought in 2 MB, and these figures be far too low.");
}

static void write_stacks(struct text_writer *writer, const struct process *process,
			 const struct fault_figures *figures)
{
	const struct trace_result *result = writer->result;
	char bytes[UNIT_TEXT_MAX], line[STACK_LINE_MAX];
	const struct stack_weight **list;
	size_t n = process__weights(process, result->fault_weights, &list);
	size_t shown = text__top(writer, n, writer->options->top);
	struct table table;

	table__init(&table, "rrl");
	table__add(&table, "faulted in");
	table__add(&table, "share");
	table__add(&table, "by");
	for (size_t i = 0; i < shown; i++) {
		table__add(&table, "%s",
			   units_format_bytes(bytes, faults__bytes(result, list[i]->count)));
		table__add(&table, "%.1f %%",
			   100 * (double)list[i]->count / (double)figures->sampled);
		table__add(&table, "%s",
			   list[i]->key.stack < 0 ? "no stack"
						  : stack_line(result, process, list[i]->key.stack,
							       line, sizeof(line), STACK_COLUMNS));
	}
	text__table(writer, &table);
	text__more(writer, n, shown);
	free(list);
}

void text_faults__write(struct text_writer *writer, const struct process_result *process)
{
	struct fault_figures figures;

	if (!writer->result->fault_weights)
		return;
	process__faults(writer->result, process->process, &figures);
	fputc('\n', writer->out);
	write_sum(writer, &figures);
	if (figures.sampled)
		write_stacks(writer, process->process, &figures);
}
