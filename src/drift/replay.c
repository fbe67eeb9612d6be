// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/replay.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/judge.h"

struct replayer {
	struct outlook_work *work;
};

/* A look is each so many hours of a grid. */
#define LOOK_HOURS ((size_t)(DRIFT_LOOK_S / HOUR_S))

struct replayer *replayer__new(void)
{
	struct replayer *replayer = calloc(1, sizeof(*replayer));

	if (!replayer)
		return NULL;
	replayer->work = outlook_work__new();
	if (replayer->work)
		return replayer;
	free(replayer);
	return NULL;
}

void replayer__free(struct replayer *replayer)
{
	if (!replayer)
		return;
	outlook_work__free(replayer->work);
	free(replayer);
}

static int raise(struct replay *replay, double on_s)
{
	if (replay->alarm_count == replay->alarm_room) {
		size_t room = replay->alarm_room ? replay->alarm_room * 2 : 4;
		struct alarm_span *alarms =
			reallocarray(replay->alarms, room, sizeof(*replay->alarms));

		if (!alarms)
			return -ENOMEM;
		replay->alarms = alarms;
		replay->alarm_room = room;
	}
	replay->alarms[replay->alarm_count++] = (struct alarm_span){on_s, NAN};
	return 0;
}

/* A day of them. */
#define LOOKS_KEPT 4

/* What is kept from look to look. */
struct looks {
	struct alarm alarm;
	struct judgement drifting; /* the latest that said drift */
	double said[LOOKS_KEPT];   /* the latest confidences, in a ring */
	size_t count;
};

/* Growth that ends at a limit soon is sure, and no drift. */
static double said(const struct judgement *judgement)
{
	return judgement->ends ? 0 : judgement->confidence;
}

static int take(struct replay *replay, struct looks *looks, const struct judgement *judgement)
{
	if (judgement->drift)
		looks->drifting = *judgement;
	looks->said[looks->count++ % LOOKS_KEPT] = said(judgement);
	switch (alarm__update(&looks->alarm, judgement)) {
	case ALARM_RAISED:
		return raise(replay, judgement->t_s);
	case ALARM_CLEARED:
		replay->alarms[replay->alarm_count - 1].off_s = judgement->t_s;
		return 0;
	case ALARM_SAME:
		break;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the last judgement and the looks of the day before it. */
static double median_said(const struct replay *replay, const struct looks *looks)
{
	size_t count = looks->count < LOOKS_KEPT ? looks->count : LOOKS_KEPT;
	double sorted[LOOKS_KEPT + 1];

	memcpy(sorted, looks->said, count * sizeof(*sorted));
	sorted[count++] = said(&replay->last);
	qsort(sorted, count, sizeof(*sorted), compare);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/*
 * What is said at the end is what the last day says: one look that differs from those of the day
 * before it is mostly chance. An alarm that stands needs less than one that would be new.
 */
#define STANDING_SURE 0.75
#define NEW_SURE      0.85

static void settle(struct replay *replay, const struct looks *looks)
{
	double t_s = replay->last.t_s, sure = median_said(replay, looks);
	bool drift = sure >= (looks->alarm.on ? STANDING_SURE : NEW_SURE) && !replay->last.ends;

	if (drift && !replay->last.drift && looks->drifting.drift) {
		replay->last = looks->drifting;
		replay->last.t_s = t_s;
		replay->last.confidence = sure;
	} else if (!drift && replay->last.drift) {
		judgement__withdraw(&replay->last);
		replay->last.confidence = sure;
	}
}

/* One grid serves all looks: its first hours are what was known then. */
static int look_by_grid(struct replay *replay, struct replayer *replayer,
			const struct series *series, struct looks *looks)
{
	struct judgement judgement;
	struct grid grid;
	int err = grid__build(&grid, series, series->count);

	for (size_t hours = LOOK_HOURS; hours <= grid.hours && !err; hours += LOOK_HOURS) {
		struct grid cut = grid__cut(&grid, hours);

		judge__grid(replayer->work, series, &cut, &judgement);
		err = take(replay, looks, &judgement);
	}
	if (!err)
		judge__grid(replayer->work, series, &grid, &replay->last);
	grid__free(&grid);
	return err;
}

/* Longer series: what lies far back is no part of a look, so that each has a grid of its own. */
static int look_by_samples(struct replay *replay, struct replayer *replayer,
			   const struct series *series, struct looks *looks)
{
	double next_s = floor(series->samples[0].t_s / DRIFT_LOOK_S) * DRIFT_LOOK_S + DRIFT_LOOK_S;
	struct judgement judgement;
	struct grid grid;
	int err = 0;

	for (size_t i = 0; i <= series->count && !err; i++) {
		if (i < series->count && series->samples[i].t_s < next_s)
			continue;
		err = grid__build(&grid, series, i);
		if (!err)
			judge__grid(replayer->work, series, &grid, &judgement);
		grid__free(&grid);
		if (err || i == series->count)
			break;
		err = take(replay, looks, &judgement);
		next_s = floor(series->samples[i].t_s / DRIFT_LOOK_S) * DRIFT_LOOK_S + DRIFT_LOOK_S;
	}
	if (!err)
		replay->last = judgement;
	return err;
}

int replay__run(struct replay *replay, struct replayer *replayer, const struct series *series)
{
	struct looks looks = {0};
	double span_s;
	int err;

	*replay = (struct replay){0};
	if (!series->count)
		return drift__judge(replayer->work, series, 0, &replay->last);
	span_s = series->samples[series->count - 1].t_s - series->samples[0].t_s;
	if (span_s < (GRID_HOURS_MAX - 1) * HOUR_S)
		err = look_by_grid(replay, replayer, series, &looks);
	else
		err = look_by_samples(replay, replayer, series, &looks);
	if (!err)
		settle(replay, &looks);
	return err;
}

void replay__free(struct replay *replay)
{
	free(replay->alarms);
	*replay = (struct replay){0};
}
