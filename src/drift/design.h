/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_DESIGN_H
#define MEMDRIFT_DRIFT_DESIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "drift/outlook.h"

/*
 * The columns that a track is explained by: first cycles and plain level shifts, which every
 * explanation has, then the track itself, then shapes of growth, of which an explanation has a few.
 * Each life has a level of its own besides (noise.c takes it out).
 */
#define DESIGN_COLUMNS    100 /* a multiple of four: columns are worked on four at a time */
#define DESIGN_CYCLES_MAX 14
#define DESIGN_STEPS_MAX  6 /* that every explanation has */
#define DESIGN_HINGES     36

/* What its slope is told over: long enough for the warm-up of a start to be over. */
#define RATE_H 168.0

enum shape_kind {
	SHAPE_HINGE,     /* a straight line from tau_h on, at all ages */
	SHAPE_AGE_FIRST, /* 1 - exp(-age / time_h) in the first life, whose start was not seen */
	SHAPE_AGE_LATER, /* the same in all later ones */
	SHAPE_LOG_FIRST, /* log(1 + age / time_h) */
	SHAPE_LOG_LATER,
	SHAPE_SETTLING, /* 1 - exp(-(t - tau_h) / time_h) from tau_h on */
	SHAPE_STEP,     /* up or down at tau_h */
};

struct shape {
	enum shape_kind kind;
	double tau_h, time_h;
	double range;  /* of the raw shape over the track: the column has range 1 */
	double growth; /* of the column over the next OUTLOOK_H */
	double rate;   /* of the column per hour, over the next RATE_H */
	double weight; /* prior share among its kind */
	bool up;       /* of a step */
	size_t row;    /* that it lies before */
};

/* Of a row, or of what comes so many hours after it in the same life. */
double shape__value(const struct shape *shape, const struct track *track, size_t row,
		    double ahead_h);

struct design {
	size_t rows;
	size_t base;                  /* columns before the track's own */
	size_t columns;               /* all; the rest up to the multiple of four is 0 */
	double prior[DESIGN_COLUMNS]; /* MiB: standard deviation of the coefficient beforehand */
	struct shape shape[DESIGN_COLUMNS];
	size_t hinges, settlings, steps; /* how many of them; hinges come first */
	size_t first_age, first_log, first_settling, first_step; /* columns; 0 none */
	/* Time constants of each; a column, or two, of FIRST and LATER, where there are later
	 * lives.
	 */
	size_t ages, logs, each_age;
	double value[TRACK_MAX][DESIGN_COLUMNS] __attribute__((aligned(32)));
};

/* Rows before which the level leaps, ascending. */
struct step_list {
	size_t count;
	size_t row[DESIGN_STEPS_MAX];
};

/* Time constants of warm-ups, ascending. */
#define DESIGN_TIMES 8
struct time_list {
	size_t count;
	double time_h[DESIGN_TIMES];
};

/* Onsets that are tried beside the usual ones. */
#define DESIGN_ONSETS_MAX 14
struct onset_list {
	size_t count;
	double tau_h[DESIGN_ONSETS_MAX];
};

struct design_scale {
	double daily_mib, weekly_mib; /* how large cycles may be */
	double growth_mib;            /* how large growth may be, before the track was seen */
};
/* By what the track does; level: MiB. */
struct design_scale design_scale__guess(const struct track *track, double level);

void design__build(struct design *design, const struct track *track,
		   const struct design_scale *scale, const struct step_list *steps,
		   const struct onset_list *onsets, const struct time_list *times);
/* The usual ones, that the track can tell from each other and from a line. */
void design__usual_times(const struct track *track, struct time_list *times);
/* Only cycles, the track and one straight line from tau_h on. */
void design__build_line(struct design *design, const struct track *track,
			const struct design_scale *scale, double tau_h);
/* Adds a step between rows index - 1 and index as a candidate. */
void design__add_step(struct design *design, const struct track *track, size_t index, double prior);

#endif
