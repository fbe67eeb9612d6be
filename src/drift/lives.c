// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/lives.h"

#include <math.h>
#include <stdlib.h>

#define DAY_H 24.0
/* Of a day's hours that must be known for its mean to stand for it. */
#define DAY_LEAST_H 12.0
/* A life's first day is its warm-up. */
#define LIFE_LEAST_H (3 * DAY_H)

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
