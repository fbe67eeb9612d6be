/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_OUTLOOK_H
#define MEMDRIFT_DRIFT_OUTLOOK_H

#include <stdbool.h>

#include "drift/track.h"

/*
 * What a track will have grown by two weeks from now. Many explanations are weighed by how well
 * they account for the track, how many ways they have to, and how common they are: none, growth
 * from an onset on, growth that ended, warm-ups, steps; each under several kinds of noise. The
 * answer is their weighted mean, so that what the data cannot tell apart stays open.
 */
struct outlook {
	double drifts;          /* probability that the growth exceeds the threshold */
	double settled;         /* that it grew, but does not go on to */
	double slope, slope_sd; /* MiB/h, where it drifts */
	double any_slope;       /* MiB/h, of all explanations */
	double growth;          /* MiB in the next OUTLOOK_H, where it drifts */
	double onset_h;         /* on the track's hours */
	double level;           /* MiB, now */
	double threshold;       /* MiB of growth that is asked about */
	double noise_h;         /* correlation time of the best noise */
	double sigma;           /* MiB, its innovations */
};

/*
 * Some 540 kB that are used again and again. Freed and asked for at each look, aligned memory of
 * this size leaves holes in glibc's heap that the next does not fit in: 12 MB after 40 hours of
 * looks.
 */
struct outlook_work;

struct outlook_work *outlook_work__new(void);
void outlook_work__free(struct outlook_work *work);

/* level: of what the threshold is a share; MiB. The track has at least OUTLOOK_ROWS_MIN rows. */
#define OUTLOOK_ROWS_MIN 12
void outlook__compute(struct outlook_work *work, const struct track *track, double level,
		      struct outlook *out);
/* A straight line's slope from onset_h on, per hour of the track's unit, and its standard error. */
void outlook__line(struct outlook_work *work, const struct track *track, double onset_h,
		   double *slope, double *slope_sd);
/* What is asked about: growth over the next two weeks, in hours. */
#define OUTLOOK_H 336.0
/* Under a quarter of the threshold is no drift; the line is drawn half way (of factors). */
#define DRIFT_LINE 0.5
/* What makes a growth drift, in two weeks. */
double outlook__threshold(double level);
/* The probability that a normal variable is above a line; sd may be 0. */
double outlook__above(double mean, double sd, double line);

#endif
