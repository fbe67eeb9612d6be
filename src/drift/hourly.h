/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_HOURLY_H
#define MEMDRIFT_DRIFT_HOURLY_H

#include <stddef.h>

#include "drift/series.h"

/*
 * Folds samples into one per hour and life, each component its median of the hour: what a judgement
 * looks at, in a hundredth of the memory. Samples come in time order.
 */
struct hourly {
	struct sample *pending; /* of the hour that is not over; owned */
	size_t count, room;
};

/* A sample that ends an hour has the one before added to the series. 0, -ENOMEM, -EINVAL as
 * series__add. */
int hourly__add(struct hourly *hourly, struct series *series, const struct sample *sample);
/* What is pending goes to the series, too. */
int hourly__end(struct hourly *hourly, struct series *series);
void hourly__free(struct hourly *hourly);

#endif
