// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/lives.h"

#include <math.h>
#include <stdlib.h>

#define DAY_H 24.0
/* Of a day's hours that must be known for its mean to stand for it. */
#define DAY_LEAST_H 12.0
/* A life's first day is its warm-up. */
#define LIFE_LEAST_H (3 * DAY_H)
/* Fewer lives do not tell how far they differ, fewer rows no slope. */
#define HALVES_LEAST    3
#define HALF_ROWS_LEAST 3

/* The mean of one life's bins that end in (from, until], up to its bin `end`. NAN: too few. */
static double mean_between(const struct track *track, size_t end, double from_h, double until_h)
{
	double sum = 0, width = 0;

	for (size_t i = end + 1; i-- > 0 && track->life[i] == track->life[end];) {
		if (track->t_h[i] <= from_h)
			break;
		if (track->t_h[i] > until_h)
			continue;
		sum += track->y[i] * track->width_h[i];
		width += track->width_h[i];
	}
	return width >= DAY_LEAST_H ? sum / width : NAN;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double lives__late_slope(const struct track *track, double since_h)
{
	double gain[TRACK_MAX], end_h, value;
	size_t count = 0;

	for (size_t i = 0; i < track->count; i++) {
		if (i + 1 < track->count && track->life[i + 1] == track->life[i])
			continue;
		end_h = track->t_h[i];
		if (track->age_h[i] < LIFE_LEAST_H || end_h < since_h)
			continue;
		value = mean_between(track, i, end_h - DAY_H, end_h) -
			mean_between(track, i, end_h - 2 * DAY_H, end_h - DAY_H);
		if (!isnan(value))
			gain[count++] = value;
	}
	if (!count)
		return NAN;
	qsort(gain, count, sizeof(*gain), compare);
	return (gain[(count - 1) / 2] + gain[count / 2]) / 2 / DAY_H;
}

/* Sums of products about their means, over lives. */
struct sums {
	size_t count;
	double xy[TRACK_MAX], xx[TRACK_MAX];
};

static void add_rows(struct sums *sums, const struct track *track, size_t from, size_t until)
{
	double t = 0, y = 0, xy = 0, xx = 0;

	for (size_t i = from; i < until; i++) {
		t += track->t_h[i] / (double)(until - from);
		y += track->y[i] / (double)(until - from);
	}
	for (size_t i = from; i < until; i++) {
		xy += (track->t_h[i] - t) * (track->y[i] - y);
		xx += (track->t_h[i] - t) * (track->t_h[i] - t);
	}
	sums->xy[sums->count] = xy;
	sums->xx[sums->count++] = xx;
}

/* One slope for all lives, and its error by how far each life is off it. */
static double common_slope(const struct sums *sums, double *error)
{
	double xy = 0, xx = 0, squares = 0, slope;

	for (size_t i = 0; i < sums->count; i++) {
		xy += sums->xy[i];
		xx += sums->xx[i];
	}
	slope = xy / xx;
	for (size_t i = 0; i < sums->count; i++)
		squares +=
			(sums->xy[i] - slope * sums->xx[i]) * (sums->xy[i] - slope * sums->xx[i]);
	*error = sqrt(squares) / xx;
	return slope;
}

void lives__growth(const struct track *track, double since_h, struct lives_growth *out)
{
	struct sums early = {0}, late = {0}, whole = {0};
	size_t rows = 0, telling = 0;
	double unused;

	*out = (struct lives_growth){.slope = NAN, .error = NAN, .early = NAN, .whole = NAN};
	for (size_t from = 0, half, end; from < track->count; from = end) {
		for (end = from; end < track->count && track->life[end] == track->life[from];)
			end++;
		for (half = from; track->age_h[half] < track->age_h[end - 1] / 2;)
			half++;
		if (track->t_h[end - 1] < since_h)
			continue;
		rows += end - from;
		if (end - half < HALF_ROWS_LEAST || half - from < HALF_ROWS_LEAST)
			continue;
		telling += end - from;
		add_rows(&early, track, from, half);
		add_rows(&late, track, half, end);
		add_rows(&whole, track, from, end);
	}
	out->lives = late.count;
	out->share = rows ? (double)telling / (double)rows : 0;
	if (late.count < HALVES_LEAST)
		return;
	out->slope = common_slope(&late, &out->error);
	out->early = common_slope(&early, &unused);
	out->whole = common_slope(&whole, &unused);
}
