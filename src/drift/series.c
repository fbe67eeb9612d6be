// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/series.h"

#include <errno.h>
#include <math.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

void series__init(struct series *series)
{
	*series = (struct series){.limit_bytes = SERIES_UNKNOWN, .arena_limit = SERIES_UNKNOWN};
}

static int make_room(struct series *series)
{
	size_t room = series->room ? series->room * 2 : ROOM_FIRST;
	struct sample *samples;

	if (series->count < series->room)
		return 0;
	samples = reallocarray(series->samples, room, sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	series->samples = samples;
	series->room = room;
	return 0;
}

int series__add(struct series *series, const struct sample *sample)
{
	int err;

	if (!isfinite(sample->t_s) ||
	    (series->count && sample->t_s <= series->samples[series->count - 1].t_s))
		return -EINVAL;
	err = make_room(series);
	if (err)
		return err;
	series->samples[series->count++] = *sample;
	return 0;
}

void sample__init(struct sample *sample, double t_s)
{
	*sample = (struct sample){.t_s = t_s};
	for (int i = 0; i < COMPONENT_MAX; i++)
		sample->value[i] = SERIES_UNKNOWN;
}

double series__arena_limit(const struct series *series)
{
	if (series->arena_limit >= 1)
		return (double)series->arena_limit;
	return series->cpus > 0 ? 8 * series->cpus : NAN;
}

void series__free(struct series *series)
{
	free(series->name);
	free(series->samples);
	series__init(series);
}
