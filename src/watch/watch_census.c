// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Censuses of those that move, by a child, as far as the budget goes. */
#include <errno.h>
#include <stddef.h>

#include "base/clock.h"
#include "watch/watch_impl.h"

static int64_t resident_and_swapped(const struct sample *sample)
{
	int64_t rss = sample->value[COMPONENT_RSS], swap = sample->value[COMPONENT_SWAP];

	return (rss > 0 ? rss : 0) + (swap > 0 ? swap : 0);
}

static bool is_suspect(const struct followed *followed)
{
	return followed->state.incident || followed->state.verdict < DRIFT_NONE;
}

static void offer(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct watch *watch = ctx;

	if (followed)
		movers__offer(&watch->movers, &followed->mover,
			      resident_and_swapped(&watched->sample), is_suspect(followed),
			      monotonic_ns());
}

static struct followed *owner_of(struct mover *mover)
{
	return (struct followed *)((char *)mover - offsetof(struct followed, mover));
}

void watch__start_census(struct watch *watch)
{
	struct followed *followed;
	struct mover *mover;
	int err;

	if (census_child__runs(&watch->census))
		return;
	movers__begin(&watch->movers, monotonic_ns());
	sampler__each(watch->sampler, offer, watch);
	mover = movers__next(&watch->movers);
	if (!mover)
		return;
	followed = owner_of(mover);
	err = census_child__start(&watch->census, followed->watched->pid,
				  followed->watched->start_time);
	if (err) {
		watch->cost.losses[WATCH_LOSS_censuses_failed]++;
		movers__done(&watch->movers, mover, 0, monotonic_ns());
		return;
	}
	watch->census_of = followed;
}

static void take_figures(struct watch *watch, struct followed *followed,
			 const struct census_figures *figures)
{
	struct sample sample;

	sample__init(&sample, 0);
	census_figures__into(figures, &sample);
	for (int i = 0; i < COMPONENT_MAX; i++)
		if (component_is_census(i))
			followed->latest[i] = sample.value[i];
	followed->census_fresh = true;
	if (followed->arena_limit != figures->arena_limit) {
		followed->arena_limit = figures->arena_limit;
		followed->limits_changed = true;
	}
}

void watch__finish_census(struct watch *watch)
{
	struct census_figures figures;
	struct followed *followed = watch->census_of;
	uint64_t used_ns = 0;
	int err;

	if (!census_child__runs(&watch->census))
		return;
	err = census_child__finish(&watch->census, monotonic_ns(), &figures, &used_ns);
	if (err == -EAGAIN)
		return;
	watch->cost.censuses++;
	watch->cost.census_ns += used_ns;
	if (err && err != -ESRCH)
		watch->cost.losses[WATCH_LOSS_censuses_failed]++;
	watch->census_of = NULL;
	movers__done(&watch->movers, followed ? &followed->mover : &watch->nobody, used_ns,
		     monotonic_ns());
	if (followed && !err)
		take_figures(watch, followed, &figures);
	/* The next one, if the budget has room for it: no need to wait for a pass. */
	watch__start_census(watch);
}
