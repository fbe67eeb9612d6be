// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "output/diff_text.h"

/* The kernel's names have 15 bytes; escapes make them longer. */
#define COMM_COLUMN 17

static void add_bytes(struct table *table, bool known, int64_t bytes)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", known ? units_format_bytes(text, (uint64_t)bytes) : "unknown");
}

static void add_heads(struct table *table, const char *const *heads)
{
	for (; *heads; heads++)
		table__add(table, "%s", *heads);
	table__end_row(table);
}

static void add_pids(struct table *table, const struct diff_pair *pair)
{
	if (pair->a->pid == pair->b->pid)
		table__add(table, "%" PRId64, pair->a->pid);
	else
		table__add(table, "%" PRId64 " -> %" PRId64, pair->a->pid, pair->b->pid);
}

static void add_count(struct table *table, bool known, int64_t count)
{
	char text[UNIT_TEXT_MAX];

	table__add(table, "%s", known ? units_format_count(text, (uint64_t)count) : "unknown");
}

/* Begins a further row of the same process. */
static void add_row(struct table *table, const char *what)
{
	table__add(table, "%s", "");
	table__add(table, "%s", "");
	table__add(table, "%s", what);
}

static void add_live(struct table *table, const struct diff_pair *pair)
{
	const struct report_live *a = &pair->a->live, *b = &pair->b->live;
	bool known = pair->live_known;
	char text[DIFF_TEXT_MAX];

	if (!a->known && !b->known)
		return;
	add_row(table, "live");
	add_bytes(table, a->known, a->bytes);
	add_bytes(table, b->known, b->bytes);
	table__add(table, "%s", known ? diff_text__delta(text, &pair->live_bytes) : "unknown");
	table__add(table, "%s", known ? diff_text__mark(&pair->live_bytes) : "");
	add_row(table, "count");
	add_count(table, a->known, a->count);
	add_count(table, b->known, b->count);
	table__add(table, "%s",
		   known ? diff_text__count_delta(text, &pair->live_count) : "unknown");
	table__end_row(table);
}

static void add_pair(struct table *table, const struct diff_pair *pair)
{
	struct diff_change rss = diff_pair__rss(pair);
	char text[DIFF_TEXT_MAX], comm[COMM_COLUMN];

	table__add(table, "%s", diff_text__comm(comm, sizeof(comm), pair->b));
	add_pids(table, pair);
	table__add(table, "RSS");
	add_bytes(table, rss.a >= 0, rss.a);
	add_bytes(table, rss.b >= 0, rss.b);
	table__add(table, "%s",
		   diff_pair__rss_known(pair) ? diff_text__delta(text, &rss) : "unknown");
	table__end_row(table);
	add_live(table, pair);
}

/* Those of one evidence, which heads their table. */
static void write_matched(struct text_writer *writer, const struct report_diff *diff,
			  enum diff_match match)
{
	static const char *const how[DIFF_MATCHES] = {
		[DIFF_SAME_PROCESS] = "the same process",
		[DIFF_COMM_AND_EXE] = "by name and exe",
		[DIFF_EXE] = "by exe",
		[DIFF_COMM] = "by name alone",
	};
	const char *const heads[] = {how[match], "pid", "", "A", "B", "change", NULL};
	size_t n = 0, alike = 0, listed = 0, shown;
	struct table table;

	for (size_t i = 0; i < diff->totals.matched; i++) {
		const struct diff_pair *pair = &diff->pairs[i];

		n += pair->match == match;
		alike += pair->match == match && (pair->a_alike > 1 || pair->b_alike > 1);
	}
	if (!n)
		return;
	shown = text__top(writer, n, TOP_PROCESSES);
	fputc('\n', writer->out);
	table__init(&table, "lllrrrl");
	add_heads(&table, heads);
	for (size_t i = 0; i < diff->totals.matched && listed < shown; i++) {
		if (diff->pairs[i].match != match)
			continue;
		add_pair(&table, &diff->pairs[i]);
		listed++;
	}
	text__table(writer, &table);
	text__more(writer, n, shown);
	if (alike && match > DIFF_SAME_PROCESS)
		text__say(writer,
			  "%zu of them %s alike with others of the same report: such are matched "
			  "in the order of their start.",
			  alike, alike == 1 ? "is" : "are");
}

static void write_unmatched(struct text_writer *writer, const struct report_diff *diff, bool in_a)
{
	const char *const heads[] = {
		in_a ? "only in A" : "only in B", "pid", "RSS", "live", "live count", "exe", NULL};
	size_t n = in_a ? diff->totals.only_a : diff->totals.only_b, listed = 0;
	size_t shown = text__top(writer, n, TOP_PROCESSES);
	char count[UNIT_TEXT_MAX], comm[COMM_COLUMN];
	struct table table;

	if (!n)
		return;
	fputc('\n', writer->out);
	table__init(&table, "llrrrl");
	add_heads(&table, heads);
	for (size_t i = diff->totals.matched; i < diff->pair_count && listed < shown; i++) {
		const struct report_process *process = in_a ? diff->pairs[i].a : diff->pairs[i].b;

		if (!process)
			continue;
		table__add(&table, "%s", diff_text__comm(comm, sizeof(comm), process));
		table__add(&table, "%" PRId64, process->pid);
		add_bytes(&table, process->rss_bytes >= 0, process->rss_bytes);
		add_bytes(&table, process->live.known, process->live.bytes);
		table__add(&table, "%s",
			   process->live.known
				   ? units_format_count(count, (uint64_t)process->live.count)
				   : "unknown");
		table__add(&table, "%s", process->exe ? process->exe : "unknown");
		listed++;
	}
	text__table(writer, &table);
	text__more(writer, n, shown);
}

void diff_text__processes(struct text_writer *writer, const struct report_diff *diff)
{
	for (int match = DIFF_SAME_PROCESS; match < DIFF_MATCHES; match++)
		write_matched(writer, diff, (enum diff_match)match);
	write_unmatched(writer, diff, true);
	write_unmatched(writer, diff, false);
}

static void add_group(struct table *table, const struct diff_group *group, bool sampled)
{
	char text[DIFF_TEXT_MAX], count[UNIT_TEXT_MAX + 1], stack[DIFF_STACK_MAX];

	table__add(table, "%s", diff_text__size(text, group->min_bytes, group->max_bytes));
	add_bytes(table, true, group->bytes.a);
	add_bytes(table, true, group->bytes.b);
	table__add(table, "%s", diff_text__delta(text, &group->bytes));
	table__add(table, "%s", diff_text__count_delta(count, &group->count));
	if (sampled)
		table__add(table, "%s", diff_text__mark(&group->bytes));
	table__add(table, "%s", group->stack ? diff_text__stack(stack, group->stack) : "");
}

/* Groups that moved come first: those that did not are left out. */
static size_t count_moved(const struct diff_pair *pair)
{
	size_t n = 0;

	while (n < pair->group_count && (diff_change__delta(&pair->groups[n].bytes) ||
					 diff_change__delta(&pair->groups[n].count)))
		n++;
	return n;
}

static void write_notes(const struct text_writer *writer, const struct diff_pair *pair)
{
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX];

	if (pair->unlisted.a || pair->unlisted.b)
		text__warn(writer,
			   "%s of A's and %s of B's live bytes are in no group of their report "
			   "(--older, --min-size, --max-size): their stacks cannot be compared.",
			   units_format_bytes(a, (uint64_t)pair->unlisted.a),
			   units_format_bytes(b, (uint64_t)pair->unlisted.b));
	if (pair->nameless.a || pair->nameless.b)
		text__warn(writer,
			   "%s of A's and %s of B's live bytes have a caller that is known by its "
			   "address only, which is another one in another process: such callers "
			   "are not told apart here.",
			   units_format_bytes(a, (uint64_t)pair->nameless.a),
			   units_format_bytes(b, (uint64_t)pair->nameless.b));
}

static void write_groups(struct text_writer *writer, const struct diff_pair *pair)
{
	static const char *const exact[] = {"size",  "live A",       "live B", "change",
					    "count", "allocated by", NULL};
	static const char *const estimated[] = {"size",  "live A", "live B",       "change",
						"count", "",       "allocated by", NULL};
	bool sampled = pair->a->live.sampled || pair->b->live.sampled;
	size_t n = count_moved(pair), shown = text__top(writer, n, writer->options->top);
	struct table table;

	table__init(&table, sampled ? "lrrrrll" : "lrrrrl");
	add_heads(&table, sampled ? estimated : exact);
	for (size_t i = 0; i < shown; i++)
		add_group(&table, &pair->groups[i], sampled);
	text__table(writer, &table);
	text__more(writer, n, shown);
}

static void write_detail(struct text_writer *writer, const struct diff_pair *pair)
{
	const struct diff_change *bytes = &pair->live_bytes;
	char name[DIFF_NAME_MAX], text[DIFF_TEXT_MAX];

	fprintf(writer->out, "\n%s: live bytes %s%s%s\n", diff_text__pair(name, pair),
		diff_text__delta(text, bytes), diff_change__within_error(bytes) ? ", " : "",
		diff_text__mark(bytes));
	if (pair->a->live.sampled || pair->b->live.sampled)
		text__say(writer, "%s a sample: figures are estimates with their 95 %% error.",
			  !pair->b->live.sampled   ? "A is"
			  : !pair->a->live.sampled ? "B is"
						   : "Both are");
	if (count_moved(pair))
		write_groups(writer, pair);
	write_notes(writer, pair);
}

static bool has_details(const struct diff_pair *pair)
{
	return pair->match && pair->live_known &&
	       (count_moved(pair) || pair->unlisted.a || pair->unlisted.b);
}

void diff_text__details(struct text_writer *writer, const struct report_diff *diff)
{
	size_t n = 0, shown, written = 0;

	for (size_t i = 0; i < diff->pair_count; i++)
		n += has_details(&diff->pairs[i]);
	shown = text__top(writer, n, TOP_DETAILS);
	for (size_t i = 0; i < diff->pair_count && written < shown; i++) {
		if (!has_details(&diff->pairs[i]))
			continue;
		write_detail(writer, &diff->pairs[i]);
		written++;
	}
	if (n > shown)
		text__say(writer, "Groups of %zu more processes are left out; --all shows them.",
			  n - shown);
}
