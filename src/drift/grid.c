// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/grid.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * The most samples of an hour that its median is taken of: one each ten seconds. Of more the
 * first ones are taken.
 */
#define HOUR_SAMPLES_MAX 360

/* The samples of one hour and life. */
struct hour {
	const struct sample *samples;
	size_t count;
};

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median_of(double *values, size_t count)
{
	if (!count)
		return NAN;
	qsort(values, count, sizeof(*values), compare_doubles);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool is_known(int64_t value)
{
	return value >= 0;
}

static double known_or_0(int64_t value)
{
	return is_known(value) ? (double)value : 0;
}

/* What a sample holds of a row; NAN unknown. */
static double read_row(const struct sample *sample, int row)
{
	const int64_t *value = sample->value;

	if (row == GRID_TOTAL)
		return is_known(value[COMPONENT_RSS])
			       ? (double)value[COMPONENT_RSS] + known_or_0(value[COMPONENT_SWAP])
			       : NAN;
	if (row == GRID_PRIVATE)
		return is_known(value[COMPONENT_ANON])
			       ? (double)value[COMPONENT_ANON] +
					 known_or_0(value[COMPONENT_SHMEM]) +
					 known_or_0(value[COMPONENT_SWAP])
			       : NAN;
	return is_known(value[row]) ? (double)value[row] : NAN;
}

static double median_row(const struct hour *hour, int row)
{
	double values[HOUR_SAMPLES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < hour->count && count < HOUR_SAMPLES_MAX; i++) {
		double value = read_row(&hour->samples[i], row);

		if (!isnan(value))
			values[count++] = value;
	}
	return median_of(values, count);
}

static int set_value(struct grid *grid, int row, size_t index, double value)
{
	if (isnan(value))
		return 0;
	if (!grid->row[row]) {
		grid->row[row] = malloc(grid->hours * sizeof(double));
		if (!grid->row[row])
			return -ENOMEM;
		for (size_t i = 0; i < grid->hours; i++)
			grid->row[row][i] = NAN;
	}
	grid->row[row][index] = value;
	return 0;
}

static bool is_restart(const struct sample *before, const struct sample *after)
{
	return before->pid != after->pid || before->start_time != after->start_time;
}

static size_t hour_of(const struct grid *grid, double t_s)
{
	double hour = floor((t_s - grid->start_s) / HOUR_S);

	return hour <= 0 ? 0 : hour >= (double)grid->hours ? grid->hours - 1 : (size_t)hour;
}

static int put_hour(struct grid *grid, const struct hour *hour, size_t life, double born_s)
{
	size_t index = hour_of(grid, hour->samples[0].t_s);
	double age_s = (double)index * HOUR_S + HOUR_S / 2 + grid->start_s - born_s;
	int err = 0;

	for (int row = 0; row < GRID_ROWS && !err; row++)
		err = set_value(grid, row, index, median_row(hour, row));
	grid->life[index] = (uint16_t)(life < UINT16_MAX ? life : UINT16_MAX);
	grid->age_h[index] = (float)(fmax(age_s, 0) / HOUR_S);
	return err;
}

/* The first sample that is within GRID_HOURS_MAX of the last one. */
static size_t find_first(const struct series *series, size_t count)
{
	double from_s =
		(floor(series->samples[count - 1].t_s / HOUR_S) - GRID_HOURS_MAX + 1) * HOUR_S;
	size_t low = 0, high = count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (series->samples[middle].t_s < from_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * A start that was not seen: the process may be as old as the gap before its first sample. It is
 * taken to be that old, and what it does in as long a time again, at most half a day, is left out:
 * it may be a warm-up or not.
 */
#define UNSEEN_H      2.0
#define UNSEEN_SKIP_H 12.0

struct birth {
	double born_s, known_from_s;
};

static struct birth find_birth(const struct sample *before, const struct sample *first)
{
	double gap_s = first->t_s - before->t_s;

	if (gap_s <= UNSEEN_H * HOUR_S)
		return (struct birth){first->t_s, first->t_s};
	return (struct birth){before->t_s, first->t_s + fmin(gap_s, UNSEEN_SKIP_H * HOUR_S)};
}

static int fill(struct grid *grid, const struct series *series, size_t first, size_t count)
{
	const struct sample *samples = series->samples;
	struct birth birth = {samples[first].t_s, samples[first].t_s};
	size_t life = 0, end;
	int err = 0;

	for (size_t i = first; i < count && !err; i = end) {
		if (i > first && is_restart(&samples[i - 1], &samples[i])) {
			life++;
			birth = find_birth(&samples[i - 1], &samples[i]);
		}
		for (end = i + 1; end < count; end++)
			if (is_restart(&samples[end - 1], &samples[end]) ||
			    hour_of(grid, samples[end].t_s) != hour_of(grid, samples[i].t_s))
				break;
		/* Of two lives in one hour the later one stays. */
		if (samples[i].t_s >= birth.known_from_s)
			err = put_hour(grid, &(struct hour){samples + i, end - i}, life,
				       birth.born_s);
	}
	grid->lives = life + 1;
	return err;
}

int grid__build(struct grid *grid, const struct series *series, size_t count)
{
	size_t first;
	double span_s;

	*grid = (struct grid){0};
	if (!count)
		return 0;
	first = find_first(series, count);
	grid->last_s = series->samples[count - 1].t_s;
	grid->start_s = floor(series->samples[first].t_s / HOUR_S) * HOUR_S;
	span_s = grid->last_s - grid->start_s;
	grid->hours = (size_t)fmin(fmax(span_s / HOUR_S, 0), GRID_HOURS_MAX - 1) + 1;
	grid->life = calloc(grid->hours, sizeof(*grid->life));
	grid->age_h = calloc(grid->hours, sizeof(*grid->age_h));
	if (!grid->life || !grid->age_h)
		return -ENOMEM;
	return fill(grid, series, first, count);
}

struct grid grid__cut(const struct grid *grid, size_t hours)
{
	struct grid cut = *grid;

	if (hours >= grid->hours)
		return cut;
	cut.hours = hours;
	cut.lives = hours ? cut.life[hours - 1] + 1u : 0;
	cut.last_s = grid->start_s + (double)hours * HOUR_S;
	return cut;
}

void grid__free(struct grid *grid)
{
	for (int row = 0; row < GRID_ROWS; row++)
		free(grid->row[row]);
	free(grid->life);
	free(grid->age_h);
	*grid = (struct grid){0};
}
