// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/analysis.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "base/units.h"
#include "output/table.h"
#include "output/text.h"

#define TIME_TEXT_MAX 32

int analysis_table__add(struct analysis_table *table, const struct series *series,
			const struct replay *replay, bool keep_silent)
{
	const struct judgement *last = &replay->last;
	struct analysis_row *rows;

	table->verdicts[last->verdict]++;
	table->settled += !last->drift && last->plateau;
	table->wrong_alarms += !last->drift && replay->alarm_count;
	if (!last->drift && !keep_silent)
		return 0;
	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 16;

		rows = reallocarray(table->rows, room, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		table->rows = rows;
		table->room = room;
	}
	table->rows[table->count] = (struct analysis_row){
		.name = text_printable_dup(series->name ? series->name : ""),
		.start_unix = series->start_unix,
		.judgement = *last,
		.alarms = replay->alarm_count,
	};
	return table->rows[table->count++].name ? 0 : -ENOMEM;
}

static int compare_rows(const void *a, const void *b)
{
	const struct judgement *left = &((const struct analysis_row *)a)->judgement;
	const struct judgement *right = &((const struct analysis_row *)b)->judgement;

	if (left->drift != right->drift)
		return right->drift - left->drift;
	return (left->slope_bytes_per_h < right->slope_bytes_per_h) -
	       (left->slope_bytes_per_h > right->slope_bytes_per_h);
}

/* "2026-03-01", or hours into the series when it does not say when that was. */
static const char *time_text(char *text, const struct analysis_row *row, double t_s)
{
	time_t when = (time_t)(row->start_unix + t_s);
	struct tm tm;

	if (!isfinite(t_s))
		return "-";
	/* Years of more than four digits are no dates that anyone reads. */
	if (row->start_unix + t_s > 2e11 || row->start_unix <= 0 || !gmtime_r(&when, &tm) ||
	    !strftime(text, TIME_TEXT_MAX, "%Y-%m-%d", &tm))
		snprintf(text, TIME_TEXT_MAX, "+%.0f h", t_s / 3600);
	return text;
}

static const char *rate_text(char *text, double bytes_per_h)
{
	if (!isfinite(bytes_per_h))
		return "unknown";
	return units_format_delta(text, units_whole_signed(bytes_per_h * 24));
}

static void add_row(struct table *table, const struct analysis_row *row)
{
	const struct judgement *judgement = &row->judgement;
	char text[UNIT_TEXT_MAX], other[UNIT_TEXT_MAX], when[TIME_TEXT_MAX];

	table__add(table, "%s", row->name);
	table__add(table, "%s", drift_verdict__text(judgement->verdict));
	table__add(table, "%s", rate_text(text, judgement->slope_bytes_per_h));
	if (isfinite(judgement->slope_low))
		table__add(table, "%s .. %s", rate_text(text, judgement->slope_low),
			   rate_text(other, judgement->slope_high));
	else
		table__add(table, "-");
	table__add(table, "%s", time_text(when, row, judgement->onset_s));
	table__add(table, "%s", time_text(when, row, judgement->reaches_limit_s));
	table__add(table, "%.2f", judgement->confidence);
}

static int write_rows(const struct analysis_table *rows, FILE *out,
		      const struct text_options *options)
{
	static const char *const head[] = {"series", "verdict",      "a day", "95 % interval",
					   "since",  "at its limit", "sure"};
	struct table table;

	table__init(&table, "llrlllr");
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		table__add(&table, "%s", head[i]);
	for (size_t i = 0; i < rows->count; i++)
		add_row(&table, &rows->rows[i]);
	return table__print(&table, out, text_options__columns(options), true, options->colour);
}

static void write_reasons(const struct analysis_table *rows, FILE *out,
			  const struct text_options *options)
{
	char text[JUDGEMENT_WHY_MAX + JUDGEMENT_DO_MAX + 8];

	for (size_t i = 0; i < rows->count; i++) {
		const struct judgement *judgement = &rows->rows[i].judgement;

		fprintf(out, "\n%s: %s\n", rows->rows[i].name,
			drift_verdict__text(judgement->verdict));
		snprintf(text, sizeof(text), "%s%s%s", judgement->why,
			 *judgement->todo ? " -> " : "", judgement->todo);
		text_paragraph(out, text_options__columns(options), 2, text);
	}
}

static void write_silent(const struct analysis_table *table, FILE *out)
{
	size_t none = table->verdicts[DRIFT_NONE];
	size_t unknown = table->verdicts[DRIFT_INSUFFICIENT_DATA];

	fprintf(out, "%zu do not drift", none);
	if (table->settled)
		fprintf(out, ", %zu of them grew and settled", table->settled);
	if (unknown)
		fprintf(out, "; of %zu there are not enough data to tell", unknown);
	if (table->wrong_alarms)
		fprintf(out, "; %zu of these had an alarm that ended", table->wrong_alarms);
	fputs(".\n", out);
}

int analysis_table__write(struct analysis_table *table, FILE *out,
			  const struct text_options *options)
{
	size_t drift = 0;
	int err = 0;

	for (int i = 0; i < DRIFT_NONE; i++)
		drift += table->verdicts[i];
	if (table->count)
		qsort(table->rows, table->count, sizeof(*table->rows), compare_rows);
	fprintf(out, "%zu series drift.\n", drift);
	if (table->count) {
		fputc('\n', out);
		err = write_rows(table, out, options);
		write_reasons(table, out, options);
		fputc('\n', out);
	}
	write_silent(table, out);
	return err ? err : ferror(out) ? -EIO : 0;
}

void analysis_table__free(struct analysis_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->rows[i].name);
	free(table->rows);
	*table = (struct analysis_table){0};
}
