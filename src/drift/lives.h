/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_LIVES_H
#define MEMDRIFT_DRIFT_LIVES_H

#include "drift/track.h"

/*
 * What lives that lasted for days gained in the last of them, per hour: the median over the lives
 * that end after since_h of what their last day has more than the day before it. Whole days, so
 * that a day's cycle does not count. NAN: no life lasted that long.
 */
double lives__late_slope(const struct track *track, double since_h);

/* How lives grow, per hour, once their start is over. NAN: fewer than 3 lives tell. */
struct lives_growth {
	size_t lives;        /* that tell, having rows enough in both halves */
	double share;        /* of the rows, in lives that tell */
	double slope, error; /* of later halves; the error is by how far the lives differ */
	double early, whole; /* of earlier halves, and over both: equal where growth is straight */
};

/* Of the lives that end after since_h, on the track's hours. */
void lives__growth(const struct track *track, double since_h, struct lives_growth *out);

#endif
