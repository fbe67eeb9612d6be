// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/design.h"

#include <math.h>

#include "drift/outlook.h"

/* Growth expected beforehand where there is any: a few times what is asked about, or what the track
 * spans: a narrow expectation would pull large growth down to itself. */
#define GROWTH_PRIOR 4.0

#define STRAY_CYCLE 0.2
/* A week is seen when it is over; until then it is expected to be this share of the daily cycle,
 * and afterwards as large, or this share of what is no cycle. */
#define WEEK_SEEN_H   192.0
#define WEEK_OF_DAY   0.2
#define WEEK_OF_NOISE 0.3

/* How far the track strays from each life's mean; root of the mean of squares. */
static double stray_in_lives(const struct track *track)
{
	double squares = 0;

	for (size_t from = 0, to; from < track->count; from = to) {
		double mean = 0;

		for (to = from; to < track->count && track->life[to] == track->life[from]; to++)
			mean += track->y[to];
		mean /= (double)(to - from);
		for (size_t i = from; i < to; i++)
			squares += (track->y[i] - mean) * (track->y[i] - mean);
	}
	return sqrt(squares / (double)track->count);
}

/* How a row differs from those half a day before and after; NAN where they are not in its life. */
static double half_day_off(const struct track *track, size_t row, size_t half)
{
	if (row < half || row + half >= track->count ||
	    track->life[row - half] != track->life[row + half])
		return NAN;
	return track->y[row] - (track->y[row - half] + track->y[row + half]) / 2;
}

/*
 * How large a track's cycles may be. What differs half a day apart may all be a daily cycle. How a
 * week goes is not seen before it is over, and looks like growth until then: days that are like
 * each other tell how large it could be. Where lives are too short for that, a part of what they do
 * within may be a cycle: all of it would be as good an explanation of a leak that is gone with each
 * life.
 */
struct design_scale design_scale__guess(const struct track *track, double level)
{
	double squares = 0, count = 0, products = 0, pairs = 0, daily, alike;
	double least = 0.001 * outlook__threshold(level);
	size_t half = (size_t)(12 / track->bin_h);
	bool is_week = track->span_h >= WEEK_SEEN_H;

	for (size_t i = 0; i < track->count; i++) {
		double off = half_day_off(track, i, half);
		double next = half_day_off(track, i + 2 * half, half);

		if (isnan(off))
			continue;
		squares += off * off;
		count++;
		if (isnan(next))
			continue;
		products += off * next;
		pairs++;
	}
	if (4 * count > (double)track->count)
		daily = sqrt(squares / count);
	else
		daily = STRAY_CYCLE * stray_in_lives(track);
	alike = pairs > 0 ? sqrt(fmax(products / pairs, 0)) : daily;
	return (struct design_scale){
		.daily_mib = fmax(daily, least),
		.weekly_mib = fmax(
			is_week ? fmax(alike, WEEK_OF_NOISE * daily) : WEEK_OF_DAY * alike, least),
		.growth_mib = fmax(GROWTH_PRIOR * outlook__threshold(level), track__range(track)),
	};
}
