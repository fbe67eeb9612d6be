// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/bar.h"
#include "output/explain_text.h"

#define BAR_COLUMNS 20
#define BAR_NARROW  10 /* where the line has no room for more */
/* Of the resident bytes, from which on a part is shown in detail. */
#define MUCH_PARTS 20

static const char *bytes_or_unknown(char buf[UNIT_TEXT_MAX], int64_t bytes)
{
	if (bytes < 0)
		return "unknown";
	return units_format_bytes(buf, (uint64_t)bytes);
}

int64_t go_facts__fragmentation_bytes(const struct go_facts *go)
{
	if (!go->known || go->heap_inuse_bytes < 0 || go->heap_alloc_bytes < 0 ||
	    go->heap_alloc_bytes > go->heap_inuse_bytes)
		return -1;
	return go->heap_inuse_bytes - go->heap_alloc_bytes;
}

static void put_settings(FILE *out, const struct go_facts *go)
{
	char text[UNIT_TEXT_MAX];

	if (go->gogc_off)
		fputs("; GOGC off", out);
	else if (go->gogc_percent >= 0)
		fprintf(out, "; GOGC %lld", (long long)go->gogc_percent);
	else
		fputs("; GOGC unknown", out);
	if (go->gomemlimit_bytes == INT64_MAX)
		fputs(", GOMEMLIMIT not set", out);
	else
		fprintf(out, ", GOMEMLIMIT %s", bytes_or_unknown(text, go->gomemlimit_bytes));
	if (go->num_gc >= 0)
		fprintf(out, "; %s collection%s", units_format_count(text, (uint64_t)go->num_gc),
			go->num_gc == 1 ? "" : "s");
}

static void put_heap(FILE *out, const struct go_facts *go)
{
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX], c[UNIT_TEXT_MAX];
	int64_t fragmentation = go_facts__fragmentation_bytes(go);

	fprintf(out, "heap in use %s, allocated %s, so fragmentation %s; ",
		bytes_or_unknown(a, go->heap_inuse_bytes),
		bytes_or_unknown(b, go->heap_alloc_bytes), bytes_or_unknown(c, fragmentation));
	if (go->num_gc)
		fprintf(out, "live at the last collection %s, ",
			bytes_or_unknown(a, go->heap_live_bytes));
	fprintf(out, "goal %s; ", bytes_or_unknown(b, go->heap_goal_bytes));
	fprintf(out, "idle %s, of it given back %s; ", bytes_or_unknown(a, go->heap_idle_bytes),
		bytes_or_unknown(b, go->heap_released_bytes));
	fprintf(out, "goroutine stacks %s; from the system %s",
		bytes_or_unknown(a, go->stacks_inuse_bytes), bytes_or_unknown(b, go->sys_bytes));
}

static void write_summary(struct text_writer *writer, const struct go_facts *go)
{
	char *line = NULL, version[80];
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out) {
		writer->err = -ENOMEM;
		return;
	}
	put_heap(out, go);
	put_settings(out, go);
	if (fclose(out))
		writer->err = -ENOMEM;
	else
		text__say(writer, "%s: %s. Known from %s.",
			  explain_text__go_version(version, sizeof(version), go->version), line,
			  go->source ? go->source : "an unknown source");
	free(line);
}

static void write_residency(struct text_writer *writer, const struct go_facts *go)
{
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX], c[UNIT_TEXT_MAX];

	if (go->span_objects_resident_bytes < 0 && go->span_stacks_resident_bytes < 0 &&
	    go->span_idle_resident_bytes < 0)
		return;
	text__say(writer, "Resident of its spans: objects %s, goroutine stacks %s, idle %s.",
		  bytes_or_unknown(a, go->span_objects_resident_bytes),
		  bytes_or_unknown(b, go->span_stacks_resident_bytes),
		  bytes_or_unknown(c, go->span_idle_resident_bytes));
}

static uint64_t waste_of(const struct go_class *size_class)
{
	return size_class->span_bytes > size_class->object_bytes
		       ? size_class->span_bytes - size_class->object_bytes
		       : 0;
}

static int compare_waste(const void *left, const void *right)
{
	uint64_t a = waste_of(*(const struct go_class *const *)left);
	uint64_t b = waste_of(*(const struct go_class *const *)right);

	return a < b ? 1 : a > b ? -1 : 0;
}

static void add_class(struct table *table, const struct go_class *size_class, uint64_t most,
		      const struct text_options *options)
{
	bool is_narrow = text_options__columns(options) < REPORT_COLUMNS;
	char text[UNIT_TEXT_MAX], bar[BAR_TEXT_MAX(BAR_COLUMNS)];
	uint64_t waste = waste_of(size_class);

	if (size_class->size_bytes)
		table__add(table, "%s B", units_format_count(text, size_class->size_bytes));
	else
		table__add(table, "large");
	table__add(table, "%s", units_format_count(text, size_class->spans));
	table__add(table, "%s", units_format_bytes(text, size_class->span_bytes));
	table__add(table, "%s", units_format_count(text, size_class->objects));
	table__add(table, "%s", units_format_bytes(text, size_class->object_bytes));
	table__add(table, "%s", units_format_bytes(text, waste));
	table__add(
		table, "%s",
		bar__draw(bar, waste, most, is_narrow ? BAR_NARROW : BAR_COLUMNS, options->utf8));
}

static void write_classes(struct text_writer *writer, const struct go_facts *go)
{
	static const char *const heads[] = {"objects of", "spans",  "in use", "objects",
					    "allocated",  "unused", ""};
	const struct go_class *order[GO_CLASSES_MAX];
	size_t n = 0, shown;
	struct table table;

	for (uint32_t i = 0; i < go->class_count && i < GO_CLASSES_MAX; i++)
		if (go->classes[i].spans)
			order[n++] = &go->classes[i];
	if (!n)
		return;
	qsort(order, n, sizeof(*order), compare_waste);
	shown = text__top(writer, n, TOP_EXPLAIN_CLASSES);
	table__init(&table, "rrrrrrl");
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		table__add(&table, "%s", heads[i]);
	for (size_t i = 0; i < shown; i++)
		add_class(&table, order[i], waste_of(order[0]), writer->options);
	text__table(writer, &table);
	if (n > shown)
		fprintf(writer->out, "  … %zu more (--all)\n", n - shown);
}

/* Whether its size classes are worth lines of a screen that is about something else. */
static bool is_much(const struct explanation *explanation)
{
	const struct ledger *ledger = &explanation->ledger;

	return ledger->rows[LEDGER_GO_HEAP].resident_bytes >= ledger->resident_bytes / MUCH_PARTS;
}

void explain_text__go(struct text_writer *writer, const struct explanation *explanation)
{
	const struct go_facts *go = &explanation->go;
	char version[80], why[256];

	if (!explanation->has_go)
		return;
	fputc('\n', writer->out);
	if (!go->known) {
		text__say(writer, "%s: its own figures are unknown: %s.",
			  explain_text__go_version(version, sizeof(version), go->version),
			  go->why_unknown ? text_printable(why, sizeof(why), go->why_unknown)
					  : "they could not be found");
		return;
	}
	write_summary(writer, go);
	if (!writer->options->all && !is_much(explanation))
		return;
	write_residency(writer, go);
	write_classes(writer, go);
}
