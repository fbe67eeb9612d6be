// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/text_cgroup.h"

#include "base/text.h"
#include "base/units.h"
#include "output/bar.h"
#include "output/table.h"

#define TOP_ROWS    20 /* processes; the rest is one line */
#define BAR_COLUMNS 30
/* What comes before the bars; what comes before and after them in the table of parts, whose notes
 * are worth more than bars. */
#define BEFORE_BAR 60
#define AROUND_BAR 80

static unsigned int bar_columns(const struct cgroup_writer *writer, size_t around)
{
	size_t columns = text_options__columns(writer->options);
	size_t left = columns > around ? columns - around : 0;

	return left < BAR_COLUMNS ? (unsigned int)left : BAR_COLUMNS;
}

static void add_row(const struct cgroup_writer *writer, struct table *table, const char *name,
		    int64_t bytes, const char *note)
{
	char text[UNIT_TEXT_MAX], bar[BAR_TEXT_MAX(BAR_COLUMNS)];

	table__add(table, "%s", name);
	table__add(table, "%s", units_format_bytes(text, (uint64_t)bytes));
	table__add(table, "%.1f %%", cgroup_writer__share(writer, bytes));
	table__add(table, "%s",
		   bar__draw(bar, (uint64_t)bytes, (uint64_t)writer->whole,
			     bar_columns(writer, AROUND_BAR), writer->options->utf8));
	table__add(table, "%s", note);
}

/* Known parts only; those that are rarely there, when they are. */
static void add_parts(const struct cgroup_writer *writer, struct table *table)
{
	const struct cgroup_memory *memory = writer->memory;
	const struct cgroup_stat *stat = &memory->stat;
	char note[96], text[UNIT_TEXT_MAX];

	snprintf(note, sizeof(note), "%zu, by PSS; RSS adds up to %s", memory->process_count,
		 units_format_bytes(text, memory->rss_sum));
	add_row(writer, table, "processes", (int64_t)memory->pss_sum, note);
	if (memory->cache >= 0) {
		snprintf(note, sizeof(note), "not mapped; %s of all is inactive",
			 stat->inactive_file < 0
				 ? "unknown"
				 : units_format_bytes(text, (uint64_t)stat->inactive_file));
		add_row(writer, table, "page cache", memory->cache, note);
		add_row(writer, table, "tmpfs, shared", memory->tmpfs, "not mapped");
	}
	if (stat->kernel >= 0)
		add_row(writer, table, "kernel", stat->kernel, "page tables, stacks, slabs");
	if (stat->sockets > 0)
		add_row(writer, table, "sockets", stat->sockets, "buffers");
	if (stat->hugetlb > 0)
		add_row(writer, table, "hugetlb", stat->hugetlb, "");
}

void cgroup_writer__parts(struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	struct table table;
	char text[UNIT_TEXT_MAX];
	int err;

	fputc('\n', writer->out);
	table__init(&table, "lrrll");
	table__add(&table, "what");
	table__add(&table, "bytes");
	table__add(&table, "share");
	table__end_row(&table);
	add_parts(writer, &table);
	table__add(&table, "difference");
	if (memory->has_difference) {
		table__add(&table, "%s", units_format_delta(text, memory->difference));
		table__add(&table, "%.1f %%", cgroup_writer__share(writer, memory->difference));
	} else {
		table__add(&table, "unknown");
	}
	table__end_row(&table);
	if (memory->stat.usage >= 0) {
		table__add(&table, "usage");
		table__add(&table, "%s", units_format_bytes(text, (uint64_t)memory->stat.usage));
		table__end_row(&table);
	}
	err = table__print(&table, writer->out, text_options__columns(writer->options), true,
			   writer->options->colour);
	writer->err = writer->err ? writer->err : err;
}

static void add_process(const struct cgroup_writer *writer, struct table *table,
			const struct cgroup_process *process)
{
	char text[UNIT_TEXT_MAX], comm[4 * PROC_COMM_MAX], bar[BAR_TEXT_MAX(BAR_COLUMNS)];

	table__add(table, "%u", process->pid);
	table__add(table, "%s", text_printable(comm, sizeof(comm), process->comm));
	if (process->shares_with) {
		table__add(table, "shared");
		table__add(table, "%s", "");
		table__add(table, "%s", "");
		table__add(table, "runs in the memory of pid %u", process->shares_with);
		return;
	}
	table__add(table, "%s", units_format_bytes(text, process->pss));
	table__add(table, "%s", units_format_bytes(text, process->rss));
	table__add(table, "%s", units_format_bytes(text, process->swap));
	table__add(table, "%s",
		   bar__draw(bar, process->pss, writer->memory->pss_sum,
			     bar_columns(writer, BEFORE_BAR), writer->options->utf8));
}

void cgroup_writer__processes(struct cgroup_writer *writer)
{
	const struct cgroup_memory *memory = writer->memory;
	size_t shown = memory->process_count < TOP_ROWS ? memory->process_count : TOP_ROWS;
	uint64_t left = memory->pss_sum;
	struct table table;
	char text[UNIT_TEXT_MAX];
	int err;

	if (!shown)
		return;
	fputc('\n', writer->out);
	table__init(&table, "rlrrrl");
	table__add(&table, "pid");
	table__add(&table, "process");
	table__add(&table, "PSS");
	table__add(&table, "RSS");
	table__add(&table, "swap");
	table__end_row(&table);
	for (size_t i = 0; i < shown; i++) {
		add_process(writer, &table, &memory->processes[i]);
		left -= memory->processes[i].shares_with ? 0 : memory->processes[i].pss;
	}
	err = table__print(&table, writer->out, text_options__columns(writer->options), true,
			   writer->options->colour);
	writer->err = writer->err ? writer->err : err;
	if (shown < memory->process_count)
		fprintf(writer->out, "  … %zu more, PSS %s\n", memory->process_count - shown,
			units_format_bytes(text, left));
}
