// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/design.h"

#include <math.h>
#include <string.h>

#define DAY_H  24.0
#define WEEK_H 168.0

/* Shorter tracks do not show a cycle; what looks like one is anything. */
#define DAILY_SPAN_H  36.0
#define WEEKLY_SPAN_H 72.0

/* Where a straight growth may have begun, in hours before the end: dense where it is news. */
static const double hinge_ages_h[] = {12,  18,  24,  36,  48,  60,  72,  96, 120,
				      156, 192, 240, 288, 348, 420, 504, 600};
/* No onset so near the start: it is no different from growth all along. */
#define HINGE_LEAST_BEFORE_H 12.0
/* Nor is growth known that is younger: after a longer calm a day is needed to tell it from a step
 * that took some hours, and from a mood of the load. */
#define HINGE_YOUNGEST_H 11.9
#define CALM_H           96.0
#define CALM_YOUNGEST_H  23.9

/* So many of the latest restarts are tried as onsets and ends, each as likely as so large a part of
 * the whole time. */
#define HINGE_RESTARTS 3
#define RESTART_WEIGHT 0.1

/* Time constants of warm-ups: hours to weeks. Beyond the last it is no different from a line. */
static const double warm_up_times_h[DESIGN_TIMES] = {1.5, 3, 6, 12, 24, 48, 96, 192};
static const double log_times_h[] = {2, 24};
static const double settling_times_h[] = {12, 48, 144};
static const double settling_ages_h[] = {48, 96, 168, 264, 384};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* Puts a column of range 1; one that has no range is left 0 and counts for nothing. */
static void add_column(struct design *design, const struct track *track, struct shape shape,
		       double prior)
{
	double low = INFINITY, high = -INFINITY, now;
	size_t column = design->columns, last = track->count - 1;

	if (column >= DESIGN_COLUMNS)
		return;
	for (size_t i = 0; i < track->count; i++) {
		double value = shape__value(&shape, track, i, 0);

		design->value[i][column] = value;
		low = fmin(low, value);
		high = fmax(high, value);
	}
	shape.range = high > low ? high - low : 1;
	for (size_t i = 0; i < track->count; i++)
		design->value[i][column] /= shape.range;
	now = shape__value(&shape, track, last, 0);
	shape.growth = (shape__value(&shape, track, last, OUTLOOK_H) - now) / shape.range;
	shape.rate = (shape__value(&shape, track, last, RATE_H) - now) / shape.range / RATE_H;
	design->shape[column] = shape;
	design->prior[column] = prior;
	design->columns++;
}

static void add_step(struct design *design, const struct track *track, size_t index, double prior)
{
	double tau_h = (track->t_h[index - 1] + track->t_h[index]) / 2;

	add_column(design, track,
		   (struct shape){.kind = SHAPE_STEP,
				  .tau_h = tau_h,
				  .row = index,
				  .up = track->y[index] > track->y[index - 1]},
		   prior);
}

static void add_cycle(struct design *design, const struct track *track, double period_h,
		      double prior)
{
	if (period_h < 2 * track->bin_h + 0.5 || design->columns + 2 > DESIGN_CYCLES_MAX)
		return;
	for (size_t i = 0; i < track->count; i++) {
		double phase = 2 * M_PI * track->t_h[i] / period_h;

		design->value[i][design->columns] = sin(phase);
		design->value[i][design->columns + 1] = cos(phase);
	}
	design->prior[design->columns] = design->prior[design->columns + 1] = prior;
	design->columns += 2;
}

/* A day is not a sine: harmonics, each half as large as the one before. */
static void add_cycles(struct design *design, const struct track *track,
		       const struct design_scale *scale)
{
	if (track->span_h >= DAILY_SPAN_H)
		for (int harmonic = 1; harmonic <= 4; harmonic++)
			add_cycle(design, track, DAY_H / harmonic, scale->daily_mib / harmonic);
	if (track->span_h >= WEEKLY_SPAN_H && scale->weekly_mib > 0)
		for (int harmonic = 1; harmonic <= 3; harmonic++)
			add_cycle(design, track, WEEK_H / harmonic, scale->weekly_mib / harmonic);
}

/* Ages of onsets, youngest first. */
struct ages {
	size_t count;
	double age_h[DESIGN_HINGES];
	bool restart[DESIGN_HINGES];
};

static void insert_age(struct ages *ages, const struct track *track, double age_h, bool restart)
{
	size_t i = ages->count;

	if (age_h < (track->span_h < CALM_H ? HINGE_YOUNGEST_H : CALM_YOUNGEST_H) ||
	    age_h > track->span_h - HINGE_LEAST_BEFORE_H || i == DESIGN_HINGES - 1)
		return;
	for (size_t k = 0; k < i; k++)
		if (fabs(ages->age_h[k] - age_h) < 0.4 * track->bin_h) {
			ages->restart[k] = ages->restart[k] || restart;
			return;
		}
	for (; i && ages->age_h[i - 1] > age_h; i--) {
		ages->age_h[i] = ages->age_h[i - 1];
		ages->restart[i] = ages->restart[i - 1];
	}
	ages->age_h[i] = age_h;
	ages->restart[i] = restart;
	ages->count++;
}

/* The latest restarts: what begins or ends with a version begins or ends there. */
static void insert_restarts(struct ages *ages, const struct track *track)
{
	double end_h = track->t_h[track->count - 1];
	size_t left = HINGE_RESTARTS;

	for (size_t i = track->count; i-- > 1 && left;) {
		if (track->gap_h[i] > 0)
			continue;
		insert_age(ages, track, end_h - (track->t_h[i - 1] + track->t_h[i]) / 2, true);
		left--;
	}
}

static void add_hinges(struct design *design, const struct track *track,
		       const struct onset_list *onsets, double prior)
{
	double start_h = track->t_h[0], end_h = track->t_h[track->count - 1], before_h = 0;
	struct ages ages = {0};
	size_t first = design->columns;

	insert_restarts(&ages, track);
	for (size_t i = 0; onsets && i < onsets->count; i++)
		insert_age(&ages, track, end_h - onsets->tau_h[i], false);
	for (size_t i = 0; i < ARRAY_SIZE(hinge_ages_h); i++)
		insert_age(&ages, track, hinge_ages_h[i], false);
	for (size_t i = 0; i < ages.count; i++) {
		double age_h = ages.age_h[i];
		double next_h = i + 1 < ages.count ? ages.age_h[i + 1] : track->span_h;
		double weight = (next_h - before_h) / 2;

		/* An onset is as likely at one hour as at another, but for restarts. */
		if (ages.restart[i])
			weight += RESTART_WEIGHT * track->span_h;
		add_column(design, track,
			   (struct shape){
				   .kind = SHAPE_HINGE, .tau_h = end_h - age_h, .weight = weight},
			   prior);
		before_h = age_h;
	}
	/* As many begin before the track as in the whole of it. */
	add_column(design, track,
		   (struct shape){.kind = SHAPE_HINGE, .tau_h = start_h, .weight = track->span_h},
		   prior);
	design->hinges = design->columns - first;
}

static void add_pair(struct design *design, const struct track *track, enum shape_kind first,
		     enum shape_kind later, double time_h, double prior)
{
	add_column(design, track, (struct shape){.kind = first, .time_h = time_h}, prior);
	if (track->lives > 1)
		add_column(design, track, (struct shape){.kind = later, .time_h = time_h}, prior);
}

void design__usual_times(const struct track *track, struct time_list *times)
{
	double longest_h = 0;

	for (size_t i = 0; i < track->count; i++)
		longest_h = fmax(longest_h, track->age_h[i]);
	/* After restarts longer ones are no different from a line in what there is of each life. */
	if (track->lives > 1)
		longest_h /= 2;
	*times = (struct time_list){.count = 1};
	while (times->count < DESIGN_TIMES && warm_up_times_h[times->count] <= longest_h)
		times->count++;
	memcpy(times->time_h, warm_up_times_h, sizeof(times->time_h));
}

static void add_settlings(struct design *design, const struct track *track, double prior)
{
	double start_h = track->t_h[0], end_h = track->t_h[track->count - 1];

	design->first_settling = design->columns;
	/* What outlives restarts (files, shared memory) settles over all lives. */
	for (size_t k = 0; track->lives > 1 && k < ARRAY_SIZE(settling_times_h); k++)
		add_column(design, track,
			   (struct shape){.kind = SHAPE_SETTLING,
					  .tau_h = start_h,
					  .time_h = settling_times_h[k]},
			   prior);
	for (size_t i = 0; i < ARRAY_SIZE(settling_ages_h); i++) {
		double tau_h = end_h - settling_ages_h[i];

		if (tau_h < start_h + HINGE_LEAST_BEFORE_H)
			break;
		for (size_t k = 0; k < ARRAY_SIZE(settling_times_h); k++)
			add_column(design, track,
				   (struct shape){.kind = SHAPE_SETTLING,
						  .tau_h = tau_h,
						  .time_h = settling_times_h[k]},
				   prior);
	}
	design->settlings = design->columns - design->first_settling;
}

static void start(struct design *design, const struct track *track,
		  const struct design_scale *scale, const struct step_list *steps)
{
	memset(design, 0, offsetof(struct design, value));
	memset(design->value, 0, track->count * sizeof(design->value[0]));
	design->rows = track->count;
	add_cycles(design, track, scale);
	for (size_t i = 0; steps && i < steps->count; i++)
		add_step(design, track, steps->row[i], scale->growth_mib);
	design->base = design->columns;
	for (size_t i = 0; i < track->count; i++)
		design->value[i][design->columns] = track->y[i];
	design->columns++;
}

void design__build_line(struct design *design, const struct track *track,
			const struct design_scale *scale, double tau_h)
{
	start(design, track, scale, NULL);
	add_column(design, track, (struct shape){.kind = SHAPE_HINGE, .tau_h = tau_h, .weight = 1},
		   scale->growth_mib);
	design->hinges = 1;
}

void design__build(struct design *design, const struct track *track,
		   const struct design_scale *scale, const struct step_list *steps,
		   const struct onset_list *onsets, const struct time_list *times)
{
	double prior = scale->growth_mib;

	start(design, track, scale, steps);
	add_hinges(design, track, onsets, prior);
	design->first_age = design->columns;
	design->ages = times->count;
	design->each_age = track->lives > 1 ? 2 : 1;
	for (size_t i = 0; i < design->ages; i++)
		add_pair(design, track, SHAPE_AGE_FIRST, SHAPE_AGE_LATER, times->time_h[i], prior);
	design->first_log = design->columns;
	design->logs = ARRAY_SIZE(log_times_h);
	for (size_t i = 0; i < ARRAY_SIZE(log_times_h); i++)
		add_pair(design, track, SHAPE_LOG_FIRST, SHAPE_LOG_LATER, log_times_h[i], prior);
	add_settlings(design, track, prior);
	design->first_step = design->columns;
}

void design__add_step(struct design *design, const struct track *track, size_t index, double prior)
{
	size_t before = design->columns;

	add_step(design, track, index, prior);
	design->steps += design->columns - before;
}
