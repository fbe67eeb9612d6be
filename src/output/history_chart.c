// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "output/history_text.h"

#define CHART_COLUMNS 70
#define CHART_ROWS    10
#define CHART_EIGHTHS (8 * CHART_ROWS)
/* "1,018.3 MB", right of two blanks. */
#define LABEL_COLUMNS 12
/* When all of it lies above three quarters of the highest, an axis from 0 would show nothing. */
#define FROM_ZERO_SHARE 0.75

struct chart {
	double from_unix, to_unix;
	double mean[CHART_COLUMNS]; /* NAN: nothing is known */
	size_t count[CHART_COLUMNS];
	char mark[CHART_COLUMNS + 1];
	double low, high; /* of the axis */
	bool from_zero;
	bool restarts, onsets;
};

/* -1: beside the chart. */
static int column_of(const struct chart *chart, double t_unix)
{
	double share = (t_unix - chart->from_unix) / (chart->to_unix - chart->from_unix);

	if (!(share >= 0 && share <= 1))
		return -1;
	return share < 1 ? (int)(share * CHART_COLUMNS) : CHART_COLUMNS - 1;
}

static void add_samples(struct chart *chart, const struct series *series)
{
	const struct sample *last = NULL;

	for (size_t i = 0; i < series->count; i++) {
		const struct sample *sample = &series->samples[i];
		int column = column_of(chart, series->start_unix + sample->t_s);
		int64_t held = history__held(sample);

		if (column < 0 || held < 0)
			continue;
		if (!chart->count[column]++)
			chart->mean[column] = 0;
		chart->mean[column] +=
			((double)held - chart->mean[column]) / (double)chart->count[column];
		if (last && (last->pid != sample->pid || last->start_time != sample->start_time)) {
			chart->mark[column] = 'r';
			chart->restarts = true;
		}
		last = sample;
	}
}

static void add_onsets(struct chart *chart, const struct history *history, int64_t subject)
{
	for (size_t i = 0; i < history->incident_count; i++) {
		const struct incident *incident = &history->incidents[i].incident;
		int column =
			isnan(incident->onset_unix) ? -1 : column_of(chart, incident->onset_unix);

		if (incident->subject != subject || column < 0)
			continue;
		chart->mark[column] = '!';
		chart->onsets = true;
	}
}

/* The step of a scale that people count in, of at least so many bytes. */
static double round_step(double bytes)
{
	static const double steps[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};
	double unit = 1;
	size_t i = 0;

	/* Of the unit that it is written in. */
	while (unit * 1024 <= bytes && unit < 1e18)
		unit *= 1024;
	while (unit * 10 < bytes && unit < 1e18)
		unit *= 10;
	while (unit * steps[i] < bytes && i + 1 < sizeof(steps) / sizeof(*steps))
		i++;
	return unit * steps[i];
}

/* False: nothing is known. */
static bool choose_scale(struct chart *chart)
{
	double low = INFINITY, high = -INFINITY, step;

	for (int i = 0; i < CHART_COLUMNS; i++) {
		if (!chart->count[i])
			continue;
		low = fmin(low, chart->mean[i]);
		high = fmax(high, chart->mean[i]);
	}
	if (!(high >= low))
		return false;
	chart->from_zero = low < FROM_ZERO_SHARE * high;
	if (chart->from_zero)
		low = 0;
	step = round_step(fmax((high - low) / CHART_ROWS, 4096));
	chart->low = floor(low / step) * step;
	/* The beginning of the scale may lie a step below. */
	if (chart->low + step * CHART_ROWS < high) {
		step = round_step(step * 1.01);
		chart->low = floor(low / step) * step;
	}
	chart->high = chart->low + step * CHART_ROWS;
	return true;
}

static const char *cell_text(const struct text_writer *writer, int eighths)
{
	static const char *const blocks[] = {"", "▁", "▂", "▃", "▄", "▅", "▆", "▇"};

	if (eighths >= 8)
		return writer->options->utf8 ? "█" : "#";
	if (writer->options->utf8)
		return blocks[eighths];
	return eighths >= 4 ? "=" : "_";
}

/* How much of a cell is filled; what is known is seen, however little. */
static int cell_eighths(const struct chart *chart, int column, int row)
{
	double share = (chart->mean[column] - chart->low) / (chart->high - chart->low);
	int eighths = chart->count[column] ? (int)lround(share * CHART_EIGHTHS) - 8 * row : 0;

	return chart->count[column] && row == 0 && eighths < 1 ? 1 : eighths;
}

static void put_row(const struct text_writer *writer, const struct chart *chart, int row)
{
	double step = (chart->high - chart->low) / CHART_ROWS;
	char label[UNIT_TEXT_MAX] = "";
	int blanks = 0;

	/* Every second row, at its upper edge. */
	if (row % 2 == 1)
		units_format_bytes(label, units_whole(chart->low + step * (row + 1)));
	fprintf(writer->out, "%*s |", LABEL_COLUMNS, label);
	for (int i = 0; i < CHART_COLUMNS; i++) {
		int eighths = cell_eighths(chart, i, row);

		if (eighths > 0)
			fprintf(writer->out, "%*s%s", blanks, "", cell_text(writer, eighths));
		blanks = eighths > 0 ? 0 : blanks + 1;
	}
	fputc('\n', writer->out);
}

static int mark_columns(const struct chart *chart)
{
	int columns = CHART_COLUMNS;

	while (columns && chart->mark[columns - 1] == ' ')
		columns--;
	return columns;
}

static void put_axis(const struct text_writer *writer, const struct chart *chart)
{
	char label[UNIT_TEXT_MAX];

	fprintf(writer->out, "%*s +", LABEL_COLUMNS,
		units_format_bytes(label, units_whole(chart->low)));
	for (int i = 0; i < CHART_COLUMNS; i++)
		fputc(i == CHART_COLUMNS / 2 || i == CHART_COLUMNS - 1 ? '+' : '-', writer->out);
	fputc('\n', writer->out);
	if (chart->restarts || chart->onsets)
		fprintf(writer->out, "%*s  %.*s\n", LABEL_COLUMNS, "", mark_columns(chart),
			chart->mark);
}

/* The year is in the headline; of less than two days the hour matters. */
static void put_times(const struct text_writer *writer, const struct chart *chart)
{
	char text[3][HISTORY_TIME_MAX];
	double at[3] = {chart->from_unix, (chart->from_unix + chart->to_unix) / 2, chart->to_unix};
	int middle, end;

	for (int i = 0; i < 3; i++)
		history_text__time(text[i], at[i]);
	middle = CHART_COLUMNS / 2 - (int)strlen(text[1]) / 2;
	end = CHART_COLUMNS - (int)strlen(text[2]);
	fprintf(writer->out, "%*s  %-*s%-*s%s\n", LABEL_COLUMNS, "", middle, text[0], end - middle,
		text[1], text[2]);
}

static void put_notes(const struct text_writer *writer, const struct chart *chart)
{
	char label[UNIT_TEXT_MAX];

	if (!chart->from_zero)
		text__say(writer, "The axis begins at %s, not at 0.",
			  units_format_bytes(label, units_whole(chart->low)));
	if (chart->restarts || chart->onsets)
		text__say(writer, "%s%s%s", chart->restarts ? "r: restarted" : "",
			  chart->restarts && chart->onsets ? "; " : "",
			  chart->onsets ? "!: onset of an incident" : "");
}

void history_chart__write(const struct text_writer *writer, const struct history *history,
			  const struct history_subject *subject)
{
	struct chart chart = {.from_unix = history->since_unix, .to_unix = history->last_unix};

	if (!(chart.to_unix > chart.from_unix))
		return;
	memset(chart.mark, ' ', CHART_COLUMNS);
	add_samples(&chart, &subject->series);
	add_onsets(&chart, history, subject->subject.id);
	if (!choose_scale(&chart))
		return;
	fputc('\n', writer->out);
	for (int row = CHART_ROWS - 1; row >= 0; row--)
		put_row(writer, &chart, row);
	put_axis(writer, &chart);
	put_times(writer, &chart);
	put_notes(writer, &chart);
}
