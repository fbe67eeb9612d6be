// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include <bsd/string.h>

#include "analysis/size_class.h"
#include "base/units.h"
#include "output/text.h"

/* Past this a class is told in rounded units: nobody looks for a page among megabytes. */
#define EXACT_BELOW (1u << 20)

static uint64_t waste_of(const struct class_row *row)
{
	return row->class_bytes - row->requested_bytes;
}

/* "112 B", "1,296 - 1,536 B", "7.0 MB - 8.0 MB". */
static void format_class(char *buf, size_t size, const struct class_row *row)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	if (row->max_bytes == UINT64_MAX) {
		snprintf(buf, size, "from %s", units_format_bytes(low, row->min_bytes));
	} else if (row->max_bytes >= EXACT_BELOW) {
		units_format_bytes(low, row->min_bytes);
		units_format_bytes(high, row->max_bytes);
		if (row->min_bytes == row->max_bytes)
			snprintf(buf, size, "%s", low);
		else
			snprintf(buf, size, "%s - %s", low, high);
	} else if (row->min_bytes == row->max_bytes) {
		snprintf(buf, size, "%s B", units_format_count(low, row->min_bytes));
	} else {
		snprintf(buf, size, "%s - %s B", units_format_count(low, row->min_bytes),
			 units_format_count(high, row->max_bytes));
	}
}

static void add_row(struct table *table, const char *name, const struct class_row *row)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", name);
	table__add(table, "%s", units_format_count(text, row->count));
	table__add(table, "%s", units_format_bytes(text, row->requested_bytes));
	table__add(table, "%s", units_format_bytes(text, row->class_bytes));
	table__add(table, "%s", units_format_bytes(text, waste_of(row)));
	if (row->class_bytes)
		table__add(table, "%.1f %%",
			   100 * (double)waste_of(row) / (double)row->class_bytes);
	else
		table__add(table, "0.0 %%");
}

static int compare_waste(const void *left, const void *right)
{
	const struct class_row *a = left, *b = right;

	if (waste_of(a) != waste_of(b))
		return waste_of(a) > waste_of(b) ? -1 : 1;
	return a->min_bytes < b->min_bytes ? -1 : 1;
}

static void write_table(struct text_writer *writer, struct class_row *rows, size_t n,
			const struct class_row *sum)
{
	size_t shown = text__top(writer, n, TOP_CLASSES);
	struct table table;
	char name[96];

	qsort(rows, n, sizeof(*rows), compare_waste);
	table__init(&table, "lrrrrr");
	table__add(&table, "size class (%s)",
		   size_rules__name((enum size_rules)writer->result->classes->rules));
	table__add(&table, "calls");
	table__add(&table, "requested");
	table__add(&table, "set aside");
	table__add(&table, "waste");
	table__add(&table, "of set aside");
	for (size_t i = 0; i < shown; i++) {
		format_class(name, sizeof(name), &rows[i]);
		add_row(&table, name, &rows[i]);
	}
	if (n > shown) {
		struct class_row rest = {0};

		for (size_t i = shown; i < n; i++) {
			rest.count += rows[i].count;
			rest.requested_bytes += rows[i].requested_bytes;
			rest.class_bytes += rows[i].class_bytes;
		}
		snprintf(name, sizeof(name), "%zu more", n - shown);
		add_row(&table, name, &rest);
	}
	add_row(&table, "all", sum);
	text__table(writer, &table);
}

/* Which rules, and what they cannot tell. */
static void say_rules(const struct text_writer *writer, const struct class_counts *counts)
{
	char text[UNIT_TEXT_MAX];

	switch (writer->result->classes->rules) {
	case SIZE_RULES_GLIBC:
		text__say(writer,
			  "By glibc's rules: chunks in steps of 16 bytes, 8 of them its own. Pages "
			  "of chunks from mmap and what alignment takes are not in it.");
		break;
	case SIZE_RULES_JEMALLOC:
		text__say(writer, "By the rules of jemalloc 5: four classes to each doubling. What "
				  "alignment takes is not in it.");
		break;
	default:
		text__say(
			writer,
			"By the rules of Go 1.17 and later, for the requests to runtime.mallocgc. "
			"Below 16 bytes, objects without pointers share blocks: there it is an "
			"estimate.");
		if (counts->header_unknown)
			text__say(writer,
				  "Whether a header of 8 bytes came with them is unknown of %s "
				  "requests.",
				  units_format_count(text, counts->header_unknown));
	}
}

static void say_match(const struct text_writer *writer, const struct process *process)
{
	const struct trace_result *result = writer->result;
	const char *rules = size_rules__name((enum size_rules)result->classes->rules);
	char allocators[128] = "";
	const char *name;

	for (unsigned int i = 0; (name = result->allocator_name(process, i)); i++) {
		strlcat(allocators, i ? ", " : "", sizeof(allocators));
		strlcat(allocators, name, sizeof(allocators));
	}
	switch (result->rules_match(result->classes, process)) {
	case RULES_MATCH:
		break;
	case RULES_MIXED:
		text__say(writer,
			  "It has several allocators mapped (%s): all requests are counted by "
			  "%s's rules.",
			  allocators, rules);
		break;
	case RULES_DIFFER:
		text__warn(writer,
			   "These are not the rules of its allocator: it has %s mapped, and %s was "
			   "asked for.",
			   allocators, rules);
		break;
	default:
		text__say(writer, "Which allocator it has is not known: it was not seen mapped.");
	}
}

void text_classes__write(struct text_writer *writer, const struct process_result *process)
{
	const struct class_table *table = writer->result->classes;
	const struct process *p = process->process;
	struct class_row rows[CLASS_ROWS], sum;
	size_t n = 0;

	if (!table || !p->counted || !p->classes)
		return;
	fputc('\n', writer->out);
	for (uint32_t i = 0; i < CLASS_ROWS; i++) {
		size_class__read_row(table, p->classes, i, &rows[n]);
		n += rows[n].count != 0;
	}
	size_class__sum(table, p->classes, &sum);
	if (n)
		write_table(writer, rows, n, &sum);
	else
		text__say(writer, "No request was counted by size class.");
	say_rules(writer, p->classes);
	say_match(writer, p);
}
