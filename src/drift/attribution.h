/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_ATTRIBUTION_H
#define MEMDRIFT_DRIFT_ATTRIBUTION_H

#include "drift/grid.h"
#include "drift/judgement.h"
#include "drift/outlook.h"

/* How a component went since the onset; MiB, counts for arenas and threads. */
struct part {
	bool known;
	double slope, slope_sd; /* per hour */
	double then, now;       /* about the onset, and over the last day */
};

struct attribution {
	enum drift_verdict verdict;
	enum component component; /* COMPONENT_MAX: none tells */
	double share;             /* of the growth that it explains */
	struct part part[COMPONENT_MAX];
};

/* Which component the growth of slope (MiB/h) since onset_h (of the grid) belongs to. */
void attribution__find(struct attribution *out, struct outlook_work *work, const struct grid *grid,
		       double onset_h, double slope);

#endif
