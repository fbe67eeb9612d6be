// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/steps.h"

#include <math.h>

/* Robust standard deviations by which a leap stands out: certainly, and perhaps. */
#define PLAIN_SIGMAS 8.0
#define MAYBE_SIGMAS 4.0
#define MAYBE_MAX    3

/*
 * So many leaps up are a habit: memory that grows in steps. Fewer are changes that somebody made.
 */
#define PLAIN_UP_MAX 3

/* A fall that takes back what grew since the leap before is a flush, and no change of level. */
#define REFILLED_SHARE 0.3

/* Of a leap that is a step the rows after keep so much. */
#define STAYS_SHARE 0.5

struct leap {
	size_t row;
	double size; /* whitened */
};

/* Rows of which a level is the mean. */
#define LEVEL_ROWS 3

static double mean_of(const struct track *track, size_t from)
{
	double sum = 0;

	for (size_t i = from; i < from + LEVEL_ROWS; i++)
		sum += track->y[i];
	return sum / LEVEL_ROWS;
}

static size_t life_start(const struct track *track, size_t row)
{
	while (row && track->gap_h[row] > 0)
		row--;
	return row;
}

bool steps__is_flush(const struct track *track, size_t row)
{
	size_t start = life_start(track, row - 1);
	double lowest = INFINITY, before, fell = track->y[row - 1] - track->y[row];

	if (row < start + LEVEL_ROWS)
		return false;
	before = mean_of(track, row - LEVEL_ROWS);
	for (size_t i = start; i + LEVEL_ROWS <= row; i++)
		lowest = fmin(lowest, mean_of(track, i));
	return fell > 0 && before - lowest > REFILLED_SHARE * fell;
}

/* Those of at least so many sigmas, in order; at most max, else all of them are too many. */
static size_t collect(const struct track *track, const struct whitened *whitened, size_t y,
		      double least, struct leap *leaps, size_t max)
{
	size_t count = 0;

	for (size_t i = 1; i < track->count; i++) {
		double size = whitened->value[i][y];

		if (track->gap_h[i] <= 0 || fabs(size) < least)
			continue;
		if (count < max)
			leaps[count] = (struct leap){i, size};
		count++;
	}
	return count;
}

static void find_plain(const struct track *track, const struct leap *leaps, size_t count,
		       struct step_list *plain)
{
	size_t ups = 0, last = 0;

	plain->count = 0;
	for (size_t i = 0; i < count; i++) {
		size_t row = leaps[i].row;
		bool up = leaps[i].size > 0;
		/* A change that takes hours leaps in two rows. */
		bool goes_on = last && row - last <= 2;

		ups += up && !goes_on;
		if (up || !steps__is_flush(track, row))
			plain->row[plain->count++] = row;
		last = row;
	}
	if (ups > PLAIN_UP_MAX)
		plain->count = 0;
}

/* A change that takes some hours leaps in two rows, in each by half. */
static double leap_size(const struct track *track, const struct whitened *whitened, size_t y,
			size_t row)
{
	double size = fabs(whitened->value[row][y]);
	bool goes_on = row + 1 < track->count && track->gap_h[row + 1] > 0;

	if (!goes_on)
		return size;
	return fmax(size, fabs(whitened->value[row][y] + whitened->value[row + 1][y]) * M_SQRT1_2);
}

/* Whether the level stays where a leap took it: spikes would leave no room for steps. */
static bool stays(const struct track *track, size_t row)
{
	double before = 0, after = 0, leap;
	size_t from = row, to = row + 1;

	while (from && row - from < LEVEL_ROWS && (from == row || track->gap_h[from] > 0))
		before += track->y[--from];
	while (to < track->count && to - row <= LEVEL_ROWS && track->gap_h[to] > 0)
		after += track->y[to++];
	/* Nothing tells yet. */
	if (to == row + 1)
		return true;
	leap = track->y[row] - track->y[row - 1];
	return (after / (double)(to - row - 1) - before / (double)(row - from)) / leap >=
	       STAYS_SHARE;
}

static void find_maybe(const struct track *track, const struct whitened *whitened, size_t y,
		       double least, const struct step_list *plain, struct step_list *maybe)
{
	maybe->count = 0;
	while (maybe->count < MAYBE_MAX) {
		double most = least;
		size_t at = 0;

		for (size_t i = 1; i < track->count; i++) {
			double size = leap_size(track, whitened, y, i);
			bool taken = track->gap_h[i] <= 0 || size <= most || !stays(track, i);

			for (size_t k = 0; k < plain->count; k++)
				taken = taken || plain->row[k] == i;
			for (size_t k = 0; k < maybe->count; k++)
				taken = taken || maybe->row[k] == i;
			if (taken)
				continue;
			most = size;
			at = i;
		}
		if (!at)
			return;
		maybe->row[maybe->count++] = at;
	}
}

void steps__find(const struct track *track, const struct whitened *whitened, size_t y, double sigma,
		 struct step_list *plain, struct step_list *maybe)
{
	struct leap leaps[DESIGN_STEPS_MAX];
	size_t count = collect(track, whitened, y, PLAIN_SIGMAS * sigma, leaps, DESIGN_STEPS_MAX);

	/* More leaps than that are the way it moves. */
	find_plain(track, leaps, count <= DESIGN_STEPS_MAX ? count : 0, plain);
	find_maybe(track, whitened, y, MAYBE_SIGMAS * sigma, plain, maybe);
}

double steps__height_before_flush(const struct track *track, double least)
{
	size_t start = track->count ? life_start(track, track->count - 1) : 0, flushes = 0;
	double height = -INFINITY;

	for (size_t i = start + 1; i < track->count; i++) {
		if (track->y[i - 1] - track->y[i] < least || !steps__is_flush(track, i))
			continue;
		flushes++;
		height = track->y[i - 1];
	}
	return flushes == 1 ? height : -INFINITY;
}
