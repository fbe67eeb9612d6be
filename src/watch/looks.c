// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/watch_impl.h"

/* Judged on whole hours of six weeks: what drift/grid.h takes of a series. */
#define HISTORY_S    (42 * 86400.0)
#define RESOLUTION_S 3600.0

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec;
}

int looks__judge(struct outlook_work *work, struct store *store, int64_t subject, double now_unix,
		 struct judgement *out)
{
	struct series series;
	int err;

	series__init(&series);
	err = store__read_series(store, subject, now_unix - HISTORY_S, RESOLUTION_S, &series);
	if (!err)
		err = drift__judge(work, &series, series.count, out);
	if (!err) {
		out->t_s += series.start_unix;
		out->onset_s += series.start_unix;
		out->reaches_limit_s += series.start_unix;
		out->ends_s += series.start_unix;
	}
	series__free(&series);
	return err;
}

/* Where in the distance of two looks those of a subject fall that has had none. */
static double stagger(int64_t subject)
{
	uint64_t mixed = (uint64_t)subject * 0x9e3779b97f4a7c15ull;

	return (double)(mixed >> 11) / (double)(1ull << 53);
}

void looks__begin(struct watch *watch, struct followed *followed)
{
	double last = followed->state.looked_unix;

	if (last <= 0)
		last = watch->last_pass_unix - DRIFT_LOOK_S * stagger(followed->subject);
	followed->next_look_unix = last + DRIFT_LOOK_S;
}

static void take_judgement(struct watch *watch, struct followed *followed,
			   const struct judgement *judgement)
{
	struct subject_state *state = &followed->state;
	enum alarm_change change = alarm__update(&state->alarm, judgement);

	state->looked_unix = watch->last_pass_unix;
	state->verdict = judgement->verdict;
	state->slope_bytes_per_h = judgement->slope_bytes_per_h;
	state->onset_unix = judgement->onset_s;
	state->reaches_limit_unix = judgement->reaches_limit_s;
	if (change == ALARM_RAISED)
		incidents__raise(watch, followed, judgement);
	else if (change == ALARM_CLEARED)
		incidents__clear(watch, followed);
	else if (state->incident && judgement->drift)
		incidents__update(watch, followed, judgement);
	watch__save_state(watch, followed);
	watch__store_error(watch,
			   store__put_state(watch->store, followed->subject, JUDGEMENT_KEY,
					    judgement, sizeof(*judgement)),
			   "keep a judgement");
}

static void look_at(struct watch *watch, struct followed *followed)
{
	uint64_t began_ns = cpu_ns();
	struct judgement judgement;
	int err;

	if (!watch__begin(watch))
		return;
	err = looks__judge(watch->work, watch->store, followed->subject, watch->last_pass_unix,
			   &judgement);
	watch__store_error(watch, err, "read a process's history");
	if (!err)
		take_judgement(watch, followed, &judgement);
	followed->next_look_unix = watch->last_pass_unix + DRIFT_LOOK_S;
	watch->cost.looks++;
	watch->cost.look_ns += cpu_ns() - began_ns;
	budget__spend(&watch->looks, cpu_ns() - began_ns);
}

static void find_due(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user, **due = ctx;

	if (followed && (!*due || followed->next_look_unix < (*due)->next_look_unix))
		*due = followed;
}

void looks__work(struct watch *watch)
{
	struct followed *due;

	for (;;) {
		due = NULL;
		sampler__each(watch->sampler, find_due, &due);
		watch->cost.look_overdue_s =
			due ? fmax(0, watch->last_pass_unix - due->next_look_unix) : 0;
		if (!due || due->next_look_unix > watch->last_pass_unix ||
		    !budget__has(&watch->looks, monotonic_ns()))
			return;
		look_at(watch, due);
		/* Nothing is gained by trying again at once. */
		if (watch->store_failed)
			return;
	}
}
