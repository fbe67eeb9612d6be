/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_GRID_H
#define MEMDRIFT_DRIFT_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drift/series.h"

/*
 * A series on whole hours: each hour's median of every component, whatever the distance of the
 * samples was. Hours without samples are gaps. What lies more than GRID_HOURS_MAX before the last
 * sample is left out: six weeks show every cycle that is looked for, and what a process did before
 * does not say what it does now.
 */
#define GRID_HOURS_MAX 1008
#define HOUR_S         3600.0

/* Beyond the components: what a series is judged by. */
enum {
	GRID_TOTAL = COMPONENT_MAX, /* resident and swapped out */
	GRID_PRIVATE,               /* anonymous, shared and swapped out: no pages of files */
	GRID_ROWS
};

struct grid {
	size_t hours;
	double start_s; /* of hour 0; a multiple of HOUR_S */
	/* NAN: unknown. A row is NULL when all of it is unknown. Owned. */
	double *row[GRID_ROWS];
	uint16_t *life; /* which process it was, 0 first, counted at restarts; owned */
	float *age_h;   /* since the restart, or since the first sample */
	size_t lives;
	double last_s; /* the last sample's time */
};

/* Of the first count samples. 0 or -ENOMEM; to be freed in either case. */
int grid__build(struct grid *grid, const struct series *series, size_t count);
/* The first hours of another grid, which stays the owner. */
struct grid grid__cut(const struct grid *grid, size_t hours);
void grid__free(struct grid *grid);

#endif
