// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/bursts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/tracer.h"
#include "probe/bursts_internal.h"
#include "probe/coverage.h"

/*
 * Reading the accounts of processes that keep to the budget takes at most this share of one CPU:
 * with hundreds of them each is looked at less often.
 */
#define READ_SHARE 0.02
/*
 * Attaching takes at most this share of the time. It holds up whoever forks meanwhile, on the whole
 * host (the kernel keeps address spaces from being copied), and the looks at other processes.
 */
#define ATTACH_SHARE 0.1
/* After an attach that failed. */
#define RETRY_NS 200000000ull

static struct governor_reading sum_members(const struct unit *unit, uint64_t now_ns)
{
	struct governor_reading sum = {
		.now_ns = now_ns, .cpu_ns = unit->ended_cpu_ns, .cost_ns = unit->ended_cost_ns};

	for (const struct member *member = unit->members; member; member = member->next) {
		sum.cpu_ns += member->cpu_ns;
		sum.cost_ns += member->cost_ns;
	}
	return sum;
}

/* What each member has paid by now. */
static struct governor_reading read_unit(struct bursts *bursts, struct unit *unit)
{
	uint64_t start_ns = monotonic_ns();
	struct governor_reading sum;

	for (struct member *member = unit->members; member; member = member->next)
		member__read(bursts, member);
	sum = sum_members(unit, monotonic_ns());
	unit->read_ns = (double)(sum.now_ns - start_ns);
	return sum;
}

static void open_windows(struct unit *unit, uint64_t now_ns)
{
	struct burst_reading reading;

	for (struct member *member = unit->members; member; member = member->next) {
		reading = member__reading(member, now_ns);
		burst_log__open(&member->log, &reading);
	}
}

static void look_into_windows(struct unit *unit, uint64_t now_ns)
{
	struct burst_reading reading;

	for (struct member *member = unit->members; member; member = member->next) {
		reading = member__reading(member, now_ns);
		burst_log__look(&member->log, &reading);
	}
}

static void close_windows(struct unit *unit, uint64_t now_ns)
{
	struct burst_reading reading;

	for (struct member *member = unit->members; member; member = member->next) {
		reading = member__reading(member, now_ns);
		burst_log__close(&member->log, &reading);
	}
}

static void detach(struct bursts *bursts, struct unit *unit, const struct governor_reading *reading)
{
	struct bursts_totals *totals = &bursts->totals;

	close_windows(unit, reading->now_ns);
	coverage__pause(bursts->coverage, (pid_t)unit->pid);
	governor__detached(&unit->governor, reading);
	for (struct member *member = unit->members; member; member = member->next) {
		totals->detached += !member->detached_ns;
		if (!member->detached_ns)
			member->detached_ns = reading->now_ns;
	}
	if (!totals->detached_ns)
		totals->detached_ns = reading->now_ns;
	unit->edge_cost_ns = reading->cost_ns;
	totals->detach_ns += GOVERNOR_EDGE_NS / 2;
	unit->edges_ns += GOVERNOR_EDGE_NS / 2;
}

static void attach(struct bursts *bursts, struct unit *unit)
{
	struct governor_reading before = read_unit(bursts, unit), after;
	struct bursts_totals *totals = &bursts->totals;
	int err = coverage__resume(bursts->coverage, (pid_t)unit->pid);
	uint64_t end_ns = monotonic_ns();

	bursts->attach_at_ns =
		end_ns + (uint64_t)((double)(end_ns - before.now_ns) * (1 / ATTACH_SHARE - 1));
	unit->wants_since_ns = 0;
	if (err) {
		if (err != -ESRCH && !unit->failed)
			log_warning("cannot attach allocator probes again: %s; trying on",
				    strerror(-err));
		unit->failed = err != -ESRCH;
		unit->look_ns = end_ns + RETRY_NS;
		return;
	}
	after = read_unit(bursts, unit);
	open_windows(unit, after.now_ns);
	governor__attached(&unit->governor, &before, &after);
	totals->bursts++;
	unit->edges_ns += GOVERNOR_EDGE_NS / 2;
	totals->detach_ns += fmax(before.cost_ns - unit->edge_cost_ns, 0);
	totals->attach_ns += fmax(after.cost_ns - before.cost_ns, 0) + GOVERNOR_EDGE_NS / 2;
	unit->look_ns = governor__look_ns(&unit->governor);
}

/* Time of all reads that a look at every process that keeps its probes takes. */
static double reads_ns(const struct bursts *bursts)
{
	double sum = 0;

	for (struct unit *unit = bursts->units; unit; unit = unit->hh.next)
		if (unit->governor.calm)
			sum += unit->read_ns;
	return sum;
}

static void look(struct bursts *bursts, struct unit *unit)
{
	struct governor_reading reading = read_unit(bursts, unit);
	uint64_t rest_ns;

	if (unit->governor.attached)
		look_into_windows(unit, reading.now_ns);
	switch (governor__update(&unit->governor, &reading)) {
	case GOVERNOR_DETACH:
		detach(bursts, unit, &reading);
		break;
	case GOVERNOR_ATTACH:
		if (!unit->wants_since_ns)
			unit->wants_since_ns = reading.now_ns;
		break;
	case GOVERNOR_STAY:
		break;
	}
	unit->look_ns = governor__look_ns(&unit->governor);
	if (!unit->governor.calm)
		return;
	rest_ns = reading.now_ns + (uint64_t)(reads_ns(bursts) / READ_SHARE);
	if (unit->governor.windows && rest_ns > unit->look_ns)
		unit->look_ns = rest_ns;
}

/* The one that has waited longest; NULL when it is nobody's turn. */
static struct unit *next_to_attach(struct bursts *bursts)
{
	struct unit *first = NULL;

	for (struct unit *unit = bursts->units; unit; unit = unit->hh.next)
		if (unit->wants_since_ns &&
		    (!first || unit->wants_since_ns < first->wants_since_ns))
			first = unit;
	return first;
}

/* All that is due now. When to come back, CLOCK_MONOTONIC. */
static uint64_t govern(struct bursts *bursts)
{
	uint64_t next_ns = monotonic_ns() + 1000000000;
	struct unit *unit;

	for (unit = bursts->units; unit; unit = unit->hh.next) {
		if (unit->look_ns <= monotonic_ns())
			look(bursts, unit);
		if (unit->look_ns < next_ns)
			next_ns = unit->look_ns;
	}
	/* One at a time: while it attaches nobody else is looked at. */
	unit = next_to_attach(bursts);
	if (!unit)
		return next_ns;
	if (monotonic_ns() < bursts->attach_at_ns)
		return next_ns < bursts->attach_at_ns ? next_ns : bursts->attach_at_ns;
	attach(bursts, unit);
	return 0;
}

static void *run(void *ctx)
{
	struct bursts *bursts = ctx;

	pthread_mutex_lock(&bursts->lock);
	while (!bursts->stopped) {
		uint64_t next_ns = govern(bursts);
		struct timespec at = {.tv_sec = (time_t)(next_ns / 1000000000),
				      .tv_nsec = (long)(next_ns % 1000000000)};

		pthread_cond_timedwait(&bursts->changed, &bursts->lock, &at);
	}
	pthread_mutex_unlock(&bursts->lock);
	return NULL;
}

/* Signals are for the thread that reads the ring. */
static int start_thread(struct bursts *bursts)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&bursts->thread, NULL, run, bursts);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	bursts->running = !err;
	return -err;
}

struct bursts *bursts__new(struct tracer *tracer, struct coverage *coverage, double budget)
{
	struct bursts *bursts = calloc(1, sizeof(*bursts));
	pthread_condattr_t attributes;

	if (!bursts)
		return NULL;
	bursts->tracer = tracer;
	bursts->coverage = coverage;
	bursts->budget = budget;
	pthread_mutex_init(&bursts->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&bursts->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (budget >= 0)
		coverage__allow_pauses(coverage);
	if (!start_thread(bursts))
		return bursts;
	bursts__free(bursts);
	return NULL;
}

static void end_thread(struct bursts *bursts)
{
	pthread_mutex_lock(&bursts->lock);
	bursts->stopped = true;
	pthread_cond_signal(&bursts->changed);
	pthread_mutex_unlock(&bursts->lock);
	if (bursts->running)
		pthread_join(bursts->thread, NULL);
	bursts->running = false;
}

void bursts__stop(struct bursts *bursts)
{
	if (!bursts)
		return;
	end_thread(bursts);
	pthread_mutex_lock(&bursts->lock);
	for (struct unit *unit = bursts->units; unit; unit = unit->hh.next) {
		struct governor_reading reading = read_unit(bursts, unit);

		close_windows(unit, reading.now_ns);
		bursts->stopped_ns = reading.now_ns;
	}
	pthread_mutex_unlock(&bursts->lock);
}

void bursts__free(struct bursts *bursts)
{
	struct member *member, *next;

	if (!bursts)
		return;
	end_thread(bursts);
	HASH_ITER (hh, bursts->members, member, next)
		member__remove(bursts, member);
	pthread_cond_destroy(&bursts->changed);
	pthread_mutex_destroy(&bursts->lock);
	free(bursts);
}
