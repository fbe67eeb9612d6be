// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "output/bar.h"
#include "output/explain_text.h"

#define BAR_COLUMNS 30 /* where the line is long enough */
#define BAR_LEAST   4
/* What comes before the bar: names, and three figures. */
#define BEFORE_BAR   62
#define SWAP_COLUMNS 12

static const char *const labels[LEDGER_COMPONENTS] = {
	[LEDGER_MAIN_STACK] = "main stack",
	[LEDGER_THREAD_STACKS] = "thread stacks",
	[LEDGER_GO_HEAP] = "Go heap",
	[LEDGER_GO_RUNTIME] = "Go runtime",
	[LEDGER_PYMALLOC] = "pymalloc",
	[LEDGER_V8] = "V8",
	[LEDGER_JEMALLOC] = "jemalloc",
	[LEDGER_TCMALLOC] = "tcmalloc",
	[LEDGER_MIMALLOC] = "mimalloc",
	[LEDGER_MUSL] = "musl malloc",
	[LEDGER_PARTITION_ALLOC] = "PartitionAlloc",
	[LEDGER_MALLOC_ARENAS] = "malloc arenas",
	[LEDGER_MALLOC_MMAPPED] = "malloc, own mappings",
	[LEDGER_BRK_HEAP] = "brk heap",
	[LEDGER_BINARY] = "binaries",
	[LEDGER_FILE] = "files",
	[LEDGER_SHMEM] = "shared memory",
	[LEDGER_LARGE_ANONYMOUS] = "large anonymous",
	[LEDGER_OTHER_ANONYMOUS] = "other anonymous",
	[LEDGER_UNKNOWN] = "unknown",
};

const char *component__label(enum ledger_component component)
{
	return labels[component];
}

/* How many there are of what the row holds; 0: not worth a word. */
static uint64_t count_of(const struct explanation *explanation, enum ledger_component component)
{
	const struct glibc_census *glibc = &explanation->glibc;

	switch (component) {
	case LEDGER_MALLOC_ARENAS:
		if (!explanation->has_glibc || !glibc->arena_count)
			return 0;
		return glibc->arena_count - glibc->arenas[0].is_main;
	case LEDGER_MALLOC_MMAPPED:
		return explanation->has_glibc ? glibc->mmapped_chunks : 0;
	case LEDGER_THREAD_STACKS:
		return explanation->thread_stacks_live + explanation->thread_stacks_cached;
	case LEDGER_LARGE_ANONYMOUS:
		return explanation->ledger.rows[component].regions;
	default:
		return 0;
	}
}

/* Rows with resident bytes, the largest first; "unknown" is always there, and last. */
static size_t order_rows(const struct ledger *ledger,
			 enum ledger_component order[LEDGER_COMPONENTS])
{
	size_t n = 0;

	for (int component = 0; component < LEDGER_UNKNOWN; component++) {
		uint64_t bytes = ledger->rows[component].resident_bytes;
		size_t at;

		if (!bytes && !ledger->rows[component].swapped_bytes)
			continue;
		for (at = n++; at; at--) {
			if (ledger->rows[order[at - 1]].resident_bytes >= bytes)
				break;
			order[at] = order[at - 1];
		}
		order[at] = (enum ledger_component)component;
	}
	order[n++] = LEDGER_UNKNOWN;
	return n;
}

static unsigned int bar_columns(const struct text_options *options, bool has_swap)
{
	size_t before = BEFORE_BAR + (has_swap ? SWAP_COLUMNS : 0);
	size_t columns = text_options__columns(options);
	size_t left = columns > before + BAR_LEAST ? columns - before : BAR_LEAST;

	return left < BAR_COLUMNS ? (unsigned int)left : BAR_COLUMNS;
}

static void add_row(struct table *table, const struct explanation *explanation,
		    enum ledger_component component, uint64_t most, bool has_swap,
		    const struct text_options *options)
{
	const struct ledger *ledger = &explanation->ledger;
	const struct ledger_row *row = &ledger->rows[component];
	uint64_t count = count_of(explanation, component);
	char text[UNIT_TEXT_MAX], bar[BAR_TEXT_MAX(BAR_COLUMNS)];

	if (count)
		table__add(table, "%s (%s)", labels[component], units_format_count(text, count));
	else
		table__add(table, "%s", labels[component]);
	table__add(table, "%s", units_format_bytes(text, row->resident_bytes));
	if (ledger->resident_bytes)
		table__add(table, "%.1f %%",
			   100 * (double)row->resident_bytes / (double)ledger->resident_bytes);
	else
		table__add(table, "%s", "");
	table__add(table, "%s", units_format_bytes(text, row->reserved_bytes));
	if (has_swap)
		table__add(table, "%s", units_format_bytes(text, row->swapped_bytes));
	table__add(table, "%s",
		   bar__draw(bar, row->resident_bytes, most, bar_columns(options, has_swap),
			     options->utf8));
}

static void add_head(struct table *table, bool has_swap)
{
	table__init(table, has_swap ? "lrrrrl" : "lrrrl");
	table__add(table, "where");
	table__add(table, "resident");
	table__add(table, "%s", "");
	table__add(table, "reserved");
	if (has_swap)
		table__add(table, "swapped");
	table__end_row(table);
}

static void write_how(struct text_writer *writer, const struct ledger *ledger,
		      const enum ledger_component *order, size_t n)
{
	struct table table;

	table__init(&table, "ll");
	table__add(&table, "where");
	table__add(&table, "how it is known");
	for (size_t i = 0; i < n; i++) {
		const char *how = ledger->rows[order[i]].how;

		table__add(&table, "%s", labels[order[i]]);
		table__add(&table, "%s", how ? how : "its kind of mapping");
	}
	fputc('\n', writer->out);
	text__table(writer, &table);
}

static void describe_check(FILE *out, const struct explain_check *check)
{
	char found[UNIT_TEXT_MAX], expected[UNIT_TEXT_MAX];

	if (!strcmp(check->name, "glibc_walked") && check->check.ok)
		fprintf(out, "%s = %s in all arenas", check->found, check->against);
	else if (check->check.ok)
		fprintf(out, "%s = %s", check->found, check->against);
	else
		fprintf(out, "%s %s, %s %s", check->found,
			units_format_bytes(found, check->check.found), check->against,
			units_format_bytes(expected, check->check.expected));
}

/* "Checked: a = b; c = d." with one word before it. */
static bool put_checks(FILE *out, const struct explain_check *checks, size_t n, const char *word,
		       bool done, bool ok)
{
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		if (checks[i].check.done != done || (done && checks[i].check.ok != ok))
			continue;
		fputs(first ? word : "; ", out);
		first = false;
		if (done)
			describe_check(out, &checks[i]);
		else
			fprintf(out, "%s against %s", checks[i].found, checks[i].against);
	}
	return !first;
}

static void write_checks(struct text_writer *writer, const struct explanation *explanation)
{
	static const struct {
		const char *word;
		bool done, ok;
	} kinds[] = {{"Checked: ", true, true},
		     {"Not consistent: ", true, false},
		     {"Could not be checked: ", false, false}};
	struct explain_check checks[EXPLAIN_CHECKS_MAX];
	size_t n = explain_checks__list(explanation, checks), size;

	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
		char *line = NULL;
		FILE *memory = open_memstream(&line, &size);
		bool some;

		if (!memory) {
			writer->err = -ENOMEM;
			return;
		}
		some = put_checks(memory, checks, n, kinds[kind].word, kinds[kind].done,
				  kinds[kind].ok);
		if (fclose(memory))
			writer->err = -ENOMEM;
		else if (some && kinds[kind].ok)
			text__say(writer, "%s.", line);
		else if (some)
			text__warn(writer, "%s.", line);
		free(line);
	}
}

void explain_text__ledger(struct text_writer *writer, const struct explanation *explanation)
{
	const struct ledger *ledger = &explanation->ledger;
	enum ledger_component order[LEDGER_COMPONENTS];
	size_t n = order_rows(ledger, order);
	bool has_swap = false;
	struct table table;
	char text[UNIT_TEXT_MAX];

	for (int component = 0; component < LEDGER_COMPONENTS; component++)
		has_swap = has_swap || ledger->rows[component].swapped_bytes;
	add_head(&table, has_swap);
	for (size_t i = 0; i < n; i++)
		add_row(&table, explanation, order[i], ledger->rows[order[0]].resident_bytes,
			has_swap, writer->options);
	table__add(&table, "%s", "");
	table__add(&table, "%s", units_format_bytes(text, ledger->resident_bytes));
	table__end_row(&table);
	fputc('\n', writer->out);
	text__table(writer, &table);
	write_checks(writer, explanation);
	if (writer->options->all)
		write_how(writer, ledger, order, n);
}
