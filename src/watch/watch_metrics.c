// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <string.h>

#include "watch/watch_impl.h"

/* No pass for so many intervals, and a minute: something hangs. */
#define INTERVALS_MAX 6
#define SILENCE_S_MIN 60

static void add_subject(void *ctx, struct watched *watched)
{
	const struct followed *followed = watched->user;
	struct metrics *metrics = ctx;

	if (!followed)
		return;
	if (followed->state.incident)
		metrics->open_incidents[followed->state.verdict]++;
	metrics__add_subject(metrics,
			     &(struct metrics_subject){
				     .name = &watched->name,
				     .value = followed->latest,
				     .limit_bytes = watched->limit_bytes,
				     .drift = followed->state.incident != 0,
				     .verdict = followed->state.verdict,
				     .slope_bytes_per_h = followed->state.slope_bytes_per_h,
				     .onset_unix = followed->state.onset_unix,
				     .reaches_limit_unix = followed->state.reaches_limit_unix,
			     });
}

void watch__fill_metrics(void *ctx, struct metrics *metrics)
{
	struct watch *watch = ctx;

	own_cost__read(&watch->cost);
	metrics->cost = watch->cost;
	if (watch->store)
		store__size(watch->store, &metrics->store);
	if (watch->on_incident)
		on_incident__counts(watch->on_incident, &metrics->commands);
	metrics->start_unix = watch->start_unix;
	metrics->last_pass_unix = watch->cost.passes ? watch->last_pass_unix : NAN;
	metrics->interval_s = watch->options->interval_s;
	memcpy(metrics->incidents, watch->incidents, sizeof(metrics->incidents));
	sampler__each(watch->sampler, add_subject, metrics);
}

bool watch__healthy(void *ctx)
{
	struct watch *watch = ctx;
	double silence_s =
		(series_clock__now(&watch->clock) - watch->last_pass_unix) / watch->options->speed;

	return silence_s < fmax(SILENCE_S_MIN, INTERVALS_MAX * watch->options->interval_s);
}
