/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_STEPS_H
#define MEMDRIFT_DRIFT_STEPS_H

#include "drift/design.h"
#include "drift/noise.h"

/*
 * Finds where a track's level leaps: a changed configuration, a data set loaded. whitened is of a
 * noise that remembers for days, with the track in column y; a leap stands out of it.
 *
 * plain: leaps that are so large and so few that they are no growth, whatever else there is.
 * maybe: those that may be steps or not.
 */
void steps__find(const struct track *track, const struct whitened *whitened, size_t y, double sigma,
		 struct step_list *plain, struct step_list *maybe);

/* Whether the fall before a row takes back what the track had climbed in its life: a flush. */
bool steps__is_flush(const struct track *track, size_t row);

/*
 * The height that growth has to pass before it is any: where the last life was flushed once, by at
 * least so much, what it had reached by then. After more flushes their floors tell; -INFINITY then,
 * and where there was none.
 */
double steps__height_before_flush(const struct track *track, double least);

#endif
