// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void series__init(struct series *series)
{
	*series = (struct series){.limit_bytes = SERIES_UNKNOWN, .arena_limit = SERIES_UNKNOWN};
}

void sample__init(struct sample *sample, double t_s)
{
	*sample = (struct sample){.t_s = t_s};
	for (int i = 0; i < COMPONENT_MAX; i++)
		sample->value[i] = SERIES_UNKNOWN;
}

int series__add(struct series *series, const struct sample *sample)
{
	size_t room = series->room ? 2 * series->room : 256;
	struct sample *grown;

	/* Also refuses a time that is no number. */
	if (series->count && !(sample->t_s > series->samples[series->count - 1].t_s))
		return -EINVAL;
	if (series->count == series->room) {
		grown = reallocarray(series->samples, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		series->samples = grown;
		series->room = room;
	}
	series->samples[series->count++] = *sample;
	return 0;
}

void series__free(struct series *series)
{
	free(series->name);
	free(series->samples);
	series__init(series);
}
