// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include "base/units.h"
#include "memdrift/record.h"
#include "output/text.h"

#define MAPPED_BY_COLUMNS 22
/* A resident figure older than this gets a word. */
#define STALE_S 2.0

/* Sums over the mappings of one kind. */
struct kind_sum {
	size_t count;
	size_t unread; /* whose resident bytes are unknown */
	uint64_t reserved, committed, resident;
	double oldest_s;
	bool before_attach;
	int32_t stack; /* of the largest that has one */
	uint64_t stack_reserved;
};

static void add_bytes(struct table *table, bool known, uint64_t bytes)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", known ? units_format_bytes(text, bytes) : "unknown");
}

/* A sum that lacks some is a lower bound. */
static void add_resident(struct table *table, const struct kind_sum *sum)
{
	char text[UNIT_TEXT_MAX];

	if (sum->unread == sum->count)
		table__add(table, "unknown");
	else
		table__add(table, "%s%s", sum->unread ? "> " : "",
			   units_format_bytes(text, sum->resident));
}

/* An older mapping was there before the trace: its age is only known to be more. */
static void add_age(struct table *table, double age_s, bool before_attach)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s%s", before_attach ? "> " : "", units_format_seconds(text, age_s));
}

static void sum_kinds(const struct process_result *process, struct kind_sum sums[LARGE_KIND_MAX])
{
	for (int kind = 0; kind < LARGE_KIND_MAX; kind++)
		sums[kind] = (struct kind_sum){.stack = STACK_NONE};
	for (size_t i = 0; i < process->large_count; i++) {
		const struct large_mapping *mapping = &process->large[i];
		struct kind_sum *sum = &sums[mapping->kind];

		sum->count++;
		sum->reserved += mapping->reserved_bytes;
		sum->committed += mapping->committed_bytes;
		if (mapping->resident_bytes < 0)
			sum->unread++;
		else
			sum->resident += (uint64_t)mapping->resident_bytes;
		sum->before_attach |= mapping->before_attach;
		if (mapping->age_s > sum->oldest_s)
			sum->oldest_s = mapping->age_s;
		if (mapping->stack >= 0 && mapping->reserved_bytes > sum->stack_reserved) {
			sum->stack = mapping->stack;
			sum->stack_reserved = mapping->reserved_bytes;
		}
	}
}

static void write_kinds(struct text_writer *writer, const struct process_result *process)
{
	struct kind_sum sums[LARGE_KIND_MAX];
	struct table table;
	char line[256];

	sum_kinds(process, sums);
	table__init(&table, "lrrrrrl");
	table__add(&table, "large mappings by kind");
	table__add(&table, "count");
	table__add(&table, "reserved");
	table__add(&table, "committed");
	table__add(&table, "resident");
	table__add(&table, "oldest");
	table__add(&table, "mapped by");
	for (int kind = 0; kind < LARGE_KIND_MAX; kind++) {
		const struct kind_sum *sum = &sums[kind];

		if (!sum->count)
			continue;
		table__add(&table, "%s", large_kind__name(kind));
		table__add(&table, "%zu", sum->count);
		add_bytes(&table, true, sum->reserved);
		add_bytes(&table, true, sum->committed);
		add_resident(&table, sum);
		add_age(&table, sum->oldest_s, sum->before_attach);
		table__add(&table, "%s",
			   stack_line(writer->result, process->process, sum->stack, line,
				      sizeof(line), MAPPED_BY_COLUMNS));
	}
	text__table(writer, &table);
}

static void add_mapping(const struct text_writer *writer, const struct process_result *process,
			const struct large_mapping *mapping, struct table *table)
{
	char line[256];

	table__add(table, "0x%llx", (unsigned long long)mapping->address);
	table__add(table, "%s", large_kind__name(mapping->kind));
	add_bytes(table, true, mapping->reserved_bytes);
	add_bytes(table, true, mapping->committed_bytes);
	add_bytes(table, mapping->resident_bytes >= 0, (uint64_t)mapping->resident_bytes);
	add_age(table, mapping->age_s, mapping->before_attach);
	if (mapping->tid)
		table__add(table, "%u", mapping->tid);
	else
		table__add(table, "unknown");
	table__add(table, "%s",
		   stack_line(writer->result, process->process, mapping->stack, line, sizeof(line),
			      MAPPED_BY_COLUMNS));
}

static int compare_resident(const void *left, const void *right)
{
	const struct large_mapping *a = *(const struct large_mapping *const *)left;
	const struct large_mapping *b = *(const struct large_mapping *const *)right;

	if (a->resident_bytes != b->resident_bytes)
		return a->resident_bytes > b->resident_bytes ? -1 : 1;
	if (a->reserved_bytes != b->reserved_bytes)
		return a->reserved_bytes > b->reserved_bytes ? -1 : 1;
	return a->address < b->address ? -1 : a->address > b->address;
}

static void write_list(struct text_writer *writer, const struct process_result *process)
{
	const struct large_mapping **order = calloc(process->large_count, sizeof(*order));
	size_t shown = text__top(writer, process->large_count, TOP_LARGE);
	double stale_s = 0;
	struct table table;
	char age[UNIT_TEXT_MAX];

	if (!order)
		return;
	for (size_t i = 0; i < process->large_count; i++) {
		order[i] = &process->large[i];
		if (order[i]->resident_age_s > stale_s)
			stale_s = order[i]->resident_age_s;
	}
	qsort(order, process->large_count, sizeof(*order), compare_resident);
	table__init(&table, "llrrrrrl");
	table__add(&table, "large mapping");
	table__add(&table, "kind");
	table__add(&table, "reserved");
	table__add(&table, "committed");
	table__add(&table, "resident");
	table__add(&table, "age");
	table__add(&table, "thread");
	table__add(&table, "mapped by");
	for (size_t i = 0; i < shown; i++)
		add_mapping(writer, process, order[i], &table);
	free(order);
	text__table(writer, &table);
	text__more(writer, process->large_count, shown);
	if (stale_s >= STALE_S)
		text__say(writer, "Resident figures are up to %s old.",
			  units_format_seconds(age, stale_s));
}

void text_large__write(struct text_writer *writer, const struct process_result *process)
{
	if (!process->large_count)
		return;
	fputc('\n', writer->out);
	if (process->large_count > 1) {
		write_kinds(writer, process);
		fputc('\n', writer->out);
	}
	write_list(writer, process);
}
