// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/bar.h"
#include "output/explain_text.h"

#define BAR_COLUMNS   14
#define BAR_NARROW    8 /* where the line has no room for more */
#define SIDE_NAME_MAX 160
#define TOP_CHANGES   4
#define CHANGE_LEAST  4096 /* a page: less is not worth a word in the first lines */

struct explain_diff {
	const struct explain_side *then, *now;
};

/* "cal (pid 8212, Go 1.19.8, malloc of glibc) in a.json" */
static const char *name_side(char buf[SIDE_NAME_MAX], const struct explain_side *side)
{
	char comm[40], version[48] = "", owner[40] = "", file[SHORT_PATH_MAX] = "";
	int n;

	text_printable(comm, sizeof(comm), side->comm ? side->comm : "unnamed process");
	if (side->go_version)
		explain_text__go_version(version, sizeof(version), side->go_version);
	if (side->malloc_owner)
		text_printable(owner, 24, side->malloc_owner);
	n = snprintf(buf, SIDE_NAME_MAX, "%s (pid %lld%s%s%s%s)", comm, (long long)side->pid,
		     *version ? ", " : "", version, *owner ? ", malloc of " : "", owner);
	if (side->file && n > 0 && n < SIDE_NAME_MAX)
		snprintf(buf + n, SIDE_NAME_MAX - (size_t)n, " in %s",
			 explain_text__path(file, side->file));
	return buf;
}

static void write_side(struct text_writer *writer, const char *word,
		       const struct explain_side *side)
{
	char name[SIDE_NAME_MAX], rss[UNIT_TEXT_MAX];
	size_t used, columns = text_options__columns(writer->options);

	name_side(name, side);
	units_format_bytes(rss, (uint64_t)side->rss_bytes);
	used = strlen("then  RSS ") + text_columns(name) + text_columns(rss);
	if (used + 2 <= columns)
		fprintf(writer->out, "%-4s  %s%*sRSS %s\n", word, name, (int)(columns - used), "",
			rss);
	else
		fprintf(writer->out, "%-4s  %.70s\n%*sRSS %s\n", word, name,
			(int)(columns - 4 - text_columns(rss)), "", rss);
}

static int64_t change_of(const struct explain_diff *diff, enum ledger_component component)
{
	return diff->now->resident_bytes[component] - diff->then->resident_bytes[component];
}

/* The larger change first, then the larger component. */
static bool comes_before(const struct explain_diff *diff, enum ledger_component a,
			 enum ledger_component b)
{
	int64_t change_a = llabs(change_of(diff, a)), change_b = llabs(change_of(diff, b));

	if (change_a != change_b)
		return change_a > change_b;
	return diff->now->resident_bytes[a] > diff->now->resident_bytes[b];
}

/* Components with resident bytes on either side, in that order. */
static size_t order_changes(const struct explain_diff *diff,
			    enum ledger_component order[LEDGER_COMPONENTS])
{
	size_t n = 0;

	for (int i = 0; i < LEDGER_COMPONENTS; i++) {
		enum ledger_component component = (enum ledger_component)i;
		size_t at;

		if (!diff->then->resident_bytes[i] && !diff->now->resident_bytes[i])
			continue;
		for (at = n++; at && comes_before(diff, component, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = component;
	}
	return n;
}

/* "RSS is 616.3 MB more: malloc arenas +560.0 MB, brk heap +44.0 MB." */
static void write_answer(struct text_writer *writer, const struct explain_diff *diff,
			 const enum ledger_component *order, size_t n)
{
	int64_t delta = diff->now->rss_bytes - diff->then->rss_bytes;
	char text[UNIT_TEXT_MAX + 1], line[TOP_CHANGES * 96 + 96];
	size_t used, said = 0;

	if (!explain_side__same_process(diff->then, diff->now))
		text__say(writer, "These are two processes: what follows compares them.");
	if (delta)
		used = (size_t)snprintf(line, sizeof(line), "RSS is %s %s",
					units_format_bytes(text, (uint64_t)llabs(delta)),
					delta > 0 ? "more" : "less");
	else
		used = (size_t)snprintf(line, sizeof(line), "RSS is the same");
	for (size_t i = 0; i < n && said < TOP_CHANGES; i++) {
		int64_t change = change_of(diff, order[i]);

		if (llabs(change) < CHANGE_LEAST)
			break;
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s %s",
					 said++ ? ", " : ": ", component__label(order[i]),
					 units_format_delta(text, change));
	}
	text__say(writer, "%s.", line);
}

static void write_ledger(struct text_writer *writer, const struct explain_diff *diff,
			 const enum ledger_component *order, size_t n)
{
	static const char *const heads[] = {"resident", "then", "now", "change", "then", "now"};
	char text[UNIT_TEXT_MAX + 1], bar[BAR_TEXT_MAX(BAR_COLUMNS)];
	unsigned int width =
		text_options__columns(writer->options) < REPORT_COLUMNS ? BAR_NARROW : BAR_COLUMNS;
	bool utf8 = writer->options->utf8;
	struct table table;
	int64_t most = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t a = diff->then->resident_bytes[order[i]];
		int64_t b = diff->now->resident_bytes[order[i]];

		most = a > most ? a : most;
		most = b > most ? b : most;
	}
	table__init(&table, "lrrrll");
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		table__add(&table, "%s", heads[i]);
	for (size_t i = 0; i < n; i++) {
		uint64_t a = (uint64_t)diff->then->resident_bytes[order[i]];
		uint64_t b = (uint64_t)diff->now->resident_bytes[order[i]];

		table__add(&table, "%s", component__label(order[i]));
		table__add(&table, "%s", units_format_bytes(text, a));
		table__add(&table, "%s", units_format_bytes(text, b));
		table__add(&table, "%s", units_format_delta(text, change_of(diff, order[i])));
		table__add(&table, "%s", bar__draw(bar, a, (uint64_t)most, width, utf8));
		table__add(&table, "%s", bar__draw(bar, b, (uint64_t)most, width, utf8));
	}
	fputc('\n', writer->out);
	text__table(writer, &table);
}

static void add_value(struct table *table, const struct explain_figure *figure, int64_t value)
{
	char text[UNIT_TEXT_MAX];

	if (value < 0)
		table__add(table, value == EXPLAIN_NONE ? "none" : "unknown");
	else if (figure->is_count)
		table__add(table, "%s", units_format_count(text, (uint64_t)value));
	else
		table__add(table, "%s", units_format_bytes(text, (uint64_t)value));
}

static void add_change(struct table *table, const struct explain_figure *figure, int64_t a,
		       int64_t b)
{
	char text[UNIT_TEXT_MAX + 1];

	if (a == EXPLAIN_NONE || b == EXPLAIN_NONE)
		table__add(table, "%s", "");
	else if (a < 0 || b < 0)
		table__add(table, "unknown");
	else if (!figure->is_count)
		table__add(table, "%s", units_format_delta(text, b - a));
	else
		table__add(table, "%s%s",
			   b > a   ? "+"
			   : b < a ? "-"
				   : "",
			   units_format_count(text, (uint64_t)llabs(b - a)));
}

/* What neither knows, and what is nothing on both sides, has no row. */
static void write_figures(struct text_writer *writer, const struct explain_diff *diff)
{
	static const char *const heads[] = {"figure", "", "then", "now", "change"};
	const char *section = NULL;
	struct table table;

	table__init(&table, "llrrr");
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		table__add(&table, "%s", heads[i]);
	for (size_t i = 0; i < EXPLAIN_FIGURES; i++) {
		const struct explain_figure *figure = &explain_figures[i];
		const char *name = figure->section ? figure->section : "process";
		int64_t a = diff->then->figures[i], b = diff->now->figures[i];

		if (a <= 0 && b <= 0)
			continue;
		table__add(&table, "%s", section && !strcmp(section, name) ? "" : name);
		section = name;
		table__add(&table, "%s", figure->label);
		add_value(&table, figure, a);
		add_value(&table, figure, b);
		add_change(&table, figure, a, b);
	}
	fputc('\n', writer->out);
	text__table(writer, &table);
}

static void write_diff(struct text_writer *writer, const void *what)
{
	const struct explain_diff *diff = what;
	enum ledger_component order[LEDGER_COMPONENTS];
	size_t n = order_changes(diff, order);

	write_side(writer, "then", diff->then);
	write_side(writer, "now", diff->now);
	write_answer(writer, diff, order, n);
	write_ledger(writer, diff, order, n);
	write_figures(writer, diff);
}

int explain_diff_text__write(FILE *out, const struct explain_side *then,
			     const struct explain_side *now, const struct text_options *options)
{
	const struct explain_diff diff = {.then = then, .now = now};

	return explain_text__emit(out, options, write_diff, &diff);
}
