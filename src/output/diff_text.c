// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "output/diff.h"
#include "output/diff_text.h"
#include "output/text.h"

/* Of each direction, in the first lines. */
#define TOP_MOVES 3
/* A difference in length of the two traces from which on it is said. */
#define LENGTHS_DIFFER 0.1

struct move {
	const struct diff_pair *pair;
	const struct diff_group *group;
};

/* Groups that moved by more than their error, up or down; the largest changes first. */
static size_t find_moves(const struct report_diff *diff, bool up, struct move moves[TOP_MOVES])
{
	size_t n = 0;

	for (size_t i = 0; i < diff->pair_count; i++) {
		const struct diff_pair *pair = &diff->pairs[i];

		for (size_t j = 0; j < pair->group_count; j++) {
			struct move move = {pair, &pair->groups[j]};
			int64_t delta = diff_change__delta(&move.group->bytes);
			size_t at;

			if (!delta || (delta > 0) != up ||
			    diff_change__within_error(&move.group->bytes))
				continue;
			for (at = n; at; at--) {
				int64_t other = diff_change__delta(&moves[at - 1].group->bytes);

				if (up ? other >= delta : other <= delta)
					break;
				if (at < TOP_MOVES)
					moves[at] = moves[at - 1];
			}
			if (at < TOP_MOVES)
				moves[at] = move;
			n += n < TOP_MOVES;
		}
	}
	return n;
}

static void write_moves(const struct text_writer *writer, const struct report_diff *diff, bool up)
{
	struct move moves[TOP_MOVES];
	size_t n = find_moves(diff, up, moves);

	if (n)
		text__say(writer, "%s most:", up ? "Grew" : "Shrank");
	for (size_t i = 0; i < n; i++) {
		const struct diff_group *group = moves[i].group;
		char bytes[DIFF_TEXT_MAX], count[UNIT_TEXT_MAX + 1], size[DIFF_TEXT_MAX];
		char name[DIFF_NAME_MAX], stack[DIFF_STACK_MAX];
		char line[DIFF_STACK_MAX + 2 * DIFF_NAME_MAX + 2 * DIFF_TEXT_MAX];

		snprintf(line, sizeof(line), "%s (count %s) of %s in %s, by %s",
			 diff_text__delta(bytes, &group->bytes),
			 diff_text__count_delta(count, &group->count),
			 diff_text__size(size, group->min_bytes, group->max_bytes),
			 diff_text__pair(name, moves[i].pair),
			 diff_text__stack(stack, group->stack));
		text_paragraph(writer->out, text_options__columns(writer->options), 4, line);
	}
}

static const char *direction(const struct diff_change *change)
{
	int64_t delta = diff_change__delta(change);

	return !delta ? "did not change" : delta > 0 ? "grew" : "shrank";
}

static void write_live_total(const struct text_writer *writer, const struct diff_totals *totals)
{
	const struct diff_change *bytes = &totals->live_bytes, *count = &totals->live_count;
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX], delta[DIFF_TEXT_MAX];
	char a_count[UNIT_TEXT_MAX], b_count[UNIT_TEXT_MAX];

	text__say(writer, "Live bytes %s: %s in %s allocations -> %s in %s, %s%s%s.",
		  direction(bytes), units_format_bytes(a, (uint64_t)bytes->a),
		  units_format_count(a_count, (uint64_t)count->a),
		  units_format_bytes(b, (uint64_t)bytes->b),
		  units_format_count(b_count, (uint64_t)count->b), diff_text__delta(delta, bytes),
		  diff_change__within_error(bytes) ? ", " : "", diff_text__mark(bytes));
	if (totals->live_left_out)
		text__warn(writer,
			   "Not in it: %zu process%s whose live bytes only one of the reports "
			   "knows.",
			   totals->live_left_out, totals->live_left_out == 1 ? "" : "es");
}

static bool some_live(const struct report_diff *diff)
{
	for (size_t i = 0; i < diff->pair_count; i++)
		if (diff->pairs[i].live_known)
			return true;
	return false;
}

static void write_answer(const struct text_writer *writer, const struct report_diff *diff)
{
	const struct diff_totals *totals = &diff->totals;
	char a[UNIT_TEXT_MAX], b[UNIT_TEXT_MAX], delta[DIFF_TEXT_MAX];

	if (some_live(diff))
		write_live_total(writer, totals);
	else
		text__say(writer,
			  "What is outstanding cannot be compared: %s; see `memdrift trace "
			  "--live`.",
			  report__has_live(diff->a) || report__has_live(diff->b)
				  ? "only one of the reports has it"
				  : "neither report has it");
	write_moves(writer, diff, true);
	write_moves(writer, diff, false);
	text__say(writer, "RSS %s: %s -> %s, %s.", direction(&totals->rss),
		  units_format_bytes(a, (uint64_t)totals->rss.a),
		  units_format_bytes(b, (uint64_t)totals->rss.b),
		  diff_text__delta(delta, &totals->rss));
	if (totals->rss_left_out)
		text__warn(writer,
			   "Not in it: %zu process%s whose RSS only one of the reports knows.",
			   totals->rss_left_out, totals->rss_left_out == 1 ? "" : "es");
	if (totals->only_a || totals->only_b)
		text__say(writer,
			  "These sums are of all processes: %zu in both reports, %zu only in A, "
			  "%zu only in B.",
			  totals->matched, totals->only_a, totals->only_b);
}

static void write_source(const struct text_writer *writer, char side, const struct report *report)
{
	char time[UNIT_TEXT_MAX] = "of unknown length", lost[UNIT_TEXT_MAX];
	char losses[64] = "what was lost is unknown";

	if (isfinite(report->duration_s))
		units_format_seconds(time, report->duration_s);
	if (!report->losses)
		snprintf(losses, sizeof(losses), "nothing lost");
	else if (report->losses > 0)
		snprintf(losses, sizeof(losses), "%s losses",
			 units_format_count(lost, (uint64_t)report->losses));
	text__say(writer, "%c: %s, %s, %zu process%s, %s", side, report->file, time,
		  report->process_count, report->process_count == 1 ? "" : "es", losses);
}

/* What the figures cannot tell. */
static void write_limits(const struct text_writer *writer, const struct report_diff *diff)
{
	double a = diff->a->duration_s, b = diff->b->duration_s;

	if (some_live(diff))
		text__say(writer, "Live bytes are what was allocated during each trace and not "
				  "freed by its end.");
	if (some_live(diff) && fabs(a - b) > LENGTHS_DIFFER * fmax(a, b))
		text__warn(writer, "The traces differ in length: the longer one had more time to "
				   "gather live bytes.");
	if (diff->a->losses > 0 || diff->b->losses > 0)
		text__warn(writer, "Something was lost in %s: its figures may be short of it.",
			   !(diff->b->losses > 0)   ? "A"
			   : !(diff->a->losses > 0) ? "B"
						    : "both");
}

int diff_text__write(FILE *out, const struct report_diff *diff, const struct text_options *options)
{
	struct text_writer writer = {.out = out, .options = options};

	write_answer(&writer, diff);
	fputc('\n', out);
	write_source(&writer, 'A', diff->a);
	write_source(&writer, 'B', diff->b);
	write_limits(&writer, diff);
	diff_text__processes(&writer, diff);
	diff_text__details(&writer, diff);
	if (writer.err)
		return writer.err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
