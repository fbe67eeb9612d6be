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

#endif
