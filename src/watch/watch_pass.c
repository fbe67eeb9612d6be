// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A pass over /proc to the database. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/watch_impl.h"

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000ull + (uint64_t)used.tv_nsec;
}

static int remember_subject(void *ctx, const struct store_subject *subject)
{
	struct watch *watch = ctx;
	struct followed known = {.subject = subject->id};

	watch__load_state(watch, &known);
	if (subject->last_unix > watch->last_pass_unix)
		watch->last_pass_unix = subject->last_unix;
	return sampler__remember(watch->sampler, &subject->name, subject->pid, subject->start_time,
				 known.state.command_hash);
}

int watch__remember(struct watch *watch)
{
	int err = store__each_subject(watch->store, remember_subject, watch);

	if (err)
		log_error("cannot read who was followed before: %s", store__error(watch->store));
	return err;
}

static struct followed *begin_following(struct watch *watch, struct watched *watched)
{
	struct followed *followed = calloc(1, sizeof(*followed));
	int err;

	if (!followed || !watch__begin(watch)) {
		free(followed);
		return NULL;
	}
	err = store__subject(watch->store, &watched->name, &followed->subject);
	watch__store_error(watch, err, "keep a process's name");
	if (err) {
		free(followed);
		return NULL;
	}
	followed->watched = watched;
	watch__load_state(watch, followed);
	for (int i = 0; i < COMPONENT_MAX; i++)
		followed->latest[i] = SERIES_UNKNOWN;
	followed->arena_limit = SERIES_UNKNOWN;
	followed->limits_changed = true;
	if (followed->state.command_hash != watched->command_hash) {
		followed->state.command_hash = watched->command_hash;
		watch__save_state(watch, followed);
	}
	looks__begin(watch, followed);
	watched->user = followed;
	return followed;
}

static void keep_sample(struct watch *watch, struct followed *followed)
{
	struct sample sample = followed->watched->sample;
	bool fresh = followed->census_fresh;
	int err;

	for (int i = 0; i < COMPONENT_MAX; i++) {
		if (!component_is_census(i))
			followed->latest[i] = sample.value[i];
		else if (fresh)
			sample.value[i] = followed->latest[i];
	}
	if (followed->has_kept && !fresh && !sample__differs(&followed->kept, &sample))
		return;
	err = store__add_sample(watch->store, followed->subject, &sample);
	watch__store_error(watch, err, "keep a sample");
	if (err)
		return;
	followed->census_fresh = false;
	followed->has_kept = true;
	followed->kept = sample;
}

bool watch__covers(const char *cgroup, const struct subject_name *name)
{
	size_t size = cgroup ? strlen(cgroup) : 0;

	/* "/" ends with what the others are followed by. */
	return size < 2 || (!strncmp(name->cgroup, cgroup, size) &&
			    (name->cgroup[size] == '/' || !name->cgroup[size]));
}

static void take_sample(void *ctx, struct watched *watched)
{
	struct watch *watch = ctx;
	struct followed *followed = watched->user;

	if (!followed && watch__covers(watch->cgroup, &watched->name))
		followed = begin_following(watch, watched);
	if (!followed)
		return;
	if (!watch__begin(watch))
		return;
	keep_sample(watch, followed);
	if (followed->limits_changed || followed->limit_bytes != watched->limit_bytes ||
	    followed->cpus != watched->cpus) {
		followed->limits_changed = false;
		followed->limit_bytes = watched->limit_bytes;
		followed->cpus = watched->cpus;
		watch__store_error(watch,
				   store__set_limits(watch->store, followed->subject,
						     watched->limit_bytes, followed->arena_limit,
						     watched->cpus),
				   "keep a process's limits");
	}
}

static void end_following(void *ctx, struct watched *watched)
{
	struct watch *watch = ctx;
	struct followed *followed = watched->user;

	if (!followed)
		return;
	if (watch__begin(watch))
		watch__store_error(
			watch, store__gone(watch->store, followed->subject, watch->last_pass_unix),
			"keep a process's end");
	incident_oom__ended(watch, followed);
	/* What waited for evidence gets none any more. */
	if (followed->state.incident && !followed->state.told)
		incidents__tell_of(watch, followed);
	if (watch->census_of == followed)
		watch->census_of = NULL;
	free(followed);
	watched->user = NULL;
}

static void free_followed(void *ctx, struct watched *watched)
{
	free(watched->user);
	watched->user = NULL;
}

void watch__free_followed(struct watch *watch)
{
	if (watch->sampler)
		sampler__each(watch->sampler, free_followed, watch);
	watch->census_of = NULL;
}

static void rename_followed(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct watch *watch = ctx;

	if (!followed || !watch__begin(watch))
		return;
	watch__store_error(watch, store__subject(watch->store, &watched->name, &followed->subject),
			   "keep a process's name");
	watch__load_state(watch, followed);
	followed->limits_changed = true;
	/* Its last row may not be there. */
	followed->has_kept = false;
}

void watch__rename_followed(struct watch *watch)
{
	sampler__each(watch->sampler, rename_followed, watch);
	watch__commit(watch);
}

void watch__pass(struct watch *watch)
{
	struct sampler_handlers handlers = {take_sample, end_following, watch};
	uint64_t began_ns = cpu_ns();
	int err;

	watch->store_failed = false;
	watch->last_pass_unix = series_clock__now(&watch->clock);
	err = sampler__pass(watch->sampler, watch->last_pass_unix, &handlers);
	if (err)
		log_error("cannot read /proc: %s", strerror(-err));
	else if (watch__begin(watch))
		watch__store_error(watch, store__add_pass(watch->store, watch->last_pass_unix),
				   "keep a pass");
	incident_oom__counters(watch);
	watch->cost.passes++;
	watch->cost.pass_ns += cpu_ns() - began_ns;
	watch__start_census(watch);
}
