// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/hourly.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "drift/grid.h"

/* The most samples of an hour that are kept: one each ten seconds. More change no median. */
#define PENDING_MAX 360

static int compare_values(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int64_t median_value(const struct hourly *hourly, int component)
{
	int64_t values[PENDING_MAX];
	size_t count = 0;

	for (size_t i = 0; i < hourly->count; i++)
		if (hourly->pending[i].value[component] >= 0)
			values[count++] = hourly->pending[i].value[component];
	if (!count)
		return SERIES_UNKNOWN;
	qsort(values, count, sizeof(*values), compare_values);
	/* Both are below 2^62: their sum does not overflow. */
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

int hourly__end(struct hourly *hourly, struct series *series)
{
	struct sample folded;

	if (!hourly->count || !hourly->pending)
		return 0;
	folded = hourly->pending[hourly->count - 1];
	for (int i = 0; i < COMPONENT_MAX; i++)
		folded.value[i] = median_value(hourly, i);
	hourly->count = 0;
	return series__add(series, &folded);
}

static int keep(struct hourly *hourly, const struct sample *sample)
{
	if (hourly->count == PENDING_MAX)
		hourly->count--;
	if (!hourly->pending || hourly->count == hourly->room) {
		size_t room = hourly->room ? hourly->room * 2 : 4;
		struct sample *pending = reallocarray(hourly->pending, room, sizeof(*pending));

		if (!pending)
			return -ENOMEM;
		hourly->pending = pending;
		hourly->room = room;
	}
	hourly->pending[hourly->count++] = *sample;
	return 0;
}

int hourly__add(struct hourly *hourly, struct series *series, const struct sample *sample)
{
	const struct sample *last = hourly->count ? &hourly->pending[hourly->count - 1] : NULL;
	int err = 0;

	if (last && sample->t_s <= last->t_s)
		return -EINVAL;
	if (last && (floor(last->t_s / HOUR_S) != floor(sample->t_s / HOUR_S) ||
		     last->pid != sample->pid || last->start_time != sample->start_time))
		err = hourly__end(hourly, series);
	return err ? err : keep(hourly, sample);
}

void hourly__free(struct hourly *hourly)
{
	free(hourly->pending);
	*hourly = (struct hourly){0};
}
