/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_TRACK_H
#define MEMDRIFT_DRIFT_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drift/grid.h"

/* 1008 hours in bins of 6; shorter series have smaller bins. */
#define TRACK_MAX 192
#define MIB       1048576.0

/*
 * One row of a grid as it is fitted: means over bins of a few hours that do not mix two lives,
 * known ones only, spikes of a single bin taken out. In MiB (counts as they are), so that numbers
 * stay near one.
 */
struct track {
	size_t count;
	double bin_h;
	double t_h[TRACK_MAX];     /* middle of the bin since the grid's start */
	double gap_h[TRACK_MAX];   /* since the one before; 0: the first of its life */
	double age_h[TRACK_MAX];   /* mean of its hours */
	double width_h[TRACK_MAX]; /* how many hours it is the mean of */
	double y[TRACK_MAX];
	uint16_t life[TRACK_MAX]; /* counted from 0 without holes */
	size_t lives;
	double span_h; /* from the first to the last */
};

/* unit: 1048576 for bytes, 1 for counts. row may be NULL: an empty track. */
void track__build(struct track *track, const struct grid *grid, const double *row, double unit);

/* The highest mean over a day, of days that end before until_h; -INFINITY: none. */
double track__highest_day(const struct track *track, double until_h);

/* The highest of the rows before the lowest; -INFINITY: it begins at its lowest. */
double track__highest_before_lowest(const struct track *track);

/* The level over the last day, or of what there is. */
double track__level(const struct track *track);
/* From its lowest to its highest. */
double track__range(const struct track *track);

#endif
