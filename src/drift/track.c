// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/track.h"

#include <math.h>
#include <string.h>

/*
 * A process's first hour is its start-up, not its life: caches of code, first connections. Only
 * where the start was seen, and only of lives that go on.
 */
#define SETTLE_H 1.0

/* A bin is a spike when it alone is this many robust standard deviations off its neighbours. */
#define SPIKE_SIGMAS    4.0
#define SIGMA_OF_MEDIAN 1.4826

/* So many lives or more are short ones when they have fewer bins than this. */
#define LIVES_LEAST 8
#define LIFE_BINS   8

/*
 * Divisors of a day, so that a day has whole bins. Where lives are short they must have enough bins
 * to tell a warm-up from growth that goes on: then a track begins later, and still has many lives.
 */
static size_t choose_bin(const struct grid *grid)
{
	static const size_t sizes[] = {1, 2, 3, 4, 6};
	size_t best = sizes[0];

	for (size_t i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (grid->hours / best < TRACK_MAX - 1)
			break;
		if (grid->lives >= LIVES_LEAST && grid->hours / grid->lives < LIFE_BINS * sizes[i])
			break;
		best = sizes[i];
	}
	return best;
}

/* The hours [from, to) of the last life in them; false when none is known. */
static bool fill_bin(struct track *track, const struct grid *grid, const double *row, size_t from,
		     size_t to)
{
	double sum = 0, t = 0, age = 0;
	size_t count = 0, known = 0;
	uint16_t life = 0;

	for (size_t i = to; i-- > from;) {
		if (isnan(row[i]))
			continue;
		if (!known++)
			life = grid->life[i];
		if (grid->life[i] != life)
			break;
		if (life && grid->age_h[i] < SETTLE_H)
			continue;
		sum += row[i];
		t += (double)i + 0.5;
		age += grid->age_h[i];
		count++;
	}
	if (!count)
		return false;
	track->y[track->count] = sum / (double)count;
	track->t_h[track->count] = t / (double)count;
	track->age_h[track->count] = age / (double)count;
	track->width_h[track->count] = (double)count;
	track->life[track->count] = life;
	return true;
}

static void number_lives(struct track *track)
{
	uint16_t before = 0;

	track->lives = 0;
	for (size_t i = 0; i < track->count; i++) {
		uint16_t life = track->life[i];

		if (!i || life != before)
			track->lives++;
		track->gap_h[i] = !i || life != before ? 0 : track->t_h[i] - track->t_h[i - 1];
		before = life;
		track->life[i] = (uint16_t)(track->lives - 1);
	}
}

static double middle_of_3(double a, double b, double c)
{
	return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* The median by counting: the values are few and this needs no order. */
static double median(const double *values, size_t count)
{
	double sorted[TRACK_MAX];

	for (size_t i = 0; i < count; i++) {
		size_t j = i;

		for (; j && sorted[j - 1] > values[i]; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = values[i];
	}
	return count ? sorted[count / 2] : 0;
}

static void cut_spikes(struct track *track)
{
	double middle[TRACK_MAX], off[TRACK_MAX];
	double sigma;

	if (track->count < 8)
		return;
	for (size_t i = 0; i < track->count; i++) {
		bool inner =
			i && i + 1 < track->count && track->gap_h[i] > 0 && track->gap_h[i + 1] > 0;

		middle[i] = inner ? middle_of_3(track->y[i - 1], track->y[i], track->y[i + 1])
				  : track->y[i];
		off[i] = fabs(track->y[i] - middle[i]);
	}
	/* Half of a smooth series lies on its neighbours' middle: the sizes of steps count too. */
	for (size_t i = 1; i < track->count; i++)
		off[i - 1] = track->gap_h[i] > 0 ? fabs(track->y[i] - track->y[i - 1]) : 0;
	sigma = SIGMA_OF_MEDIAN * median(off, track->count - 1);
	for (size_t i = 0; i < track->count; i++)
		if (fabs(track->y[i] - middle[i]) > SPIKE_SIGMAS * sigma)
			track->y[i] = middle[i];
}

void track__build(struct track *track, const struct grid *grid, const double *row, double unit)
{
	size_t hours = grid->hours, bin = choose_bin(grid), from;

	track->count = 0;
	track->lives = 0;
	track->span_h = 0;
	track->bin_h = (double)bin;
	if (!row)
		return;
	from = hours / bin < TRACK_MAX - 1 ? 0 : (hours / bin - (TRACK_MAX - 1)) * bin;
	for (; from < hours && track->count < TRACK_MAX; from += bin)
		track->count +=
			fill_bin(track, grid, row, from, from + bin < hours ? from + bin : hours);
	for (size_t i = 0; i < track->count; i++)
		track->y[i] /= unit;
	number_lives(track);
	cut_spikes(track);
	if (track->count)
		track->span_h = track->t_h[track->count - 1] - track->t_h[0];
}

double track__highest_day(const struct track *track, double until_h)
{
	double highest = -INFINITY, sum = 0;
	size_t from = 0;

	for (size_t i = 0; i < track->count && track->t_h[i] < until_h; i++) {
		sum += track->y[i];
		while (track->t_h[i] - track->t_h[from] >= 24)
			sum -= track->y[from++];
		if (track->t_h[i] - track->t_h[0] >= 18)
			highest = fmax(highest, sum / (double)(i - from + 1));
	}
	return highest;
}

double track__highest_before_lowest(const struct track *track)
{
	double highest = -INFINITY, before = -INFINITY, low = INFINITY;

	for (size_t i = 0; i < track->count; i++) {
		if (track->y[i] < low) {
			low = track->y[i];
			before = highest;
		}
		highest = fmax(highest, track->y[i]);
	}
	return before;
}

double track__range(const struct track *track)
{
	double low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < track->count; i++) {
		low = fmin(low, track->y[i]);
		high = fmax(high, track->y[i]);
	}
	return track->count ? high - low : 0;
}

double track__level(const struct track *track)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = track->count; i-- > 0;) {
		if (track->t_h[track->count - 1] - track->t_h[i] >= 24)
			break;
		sum += track->y[i];
		count++;
	}
	return count ? sum / (double)count : 0;
}
