// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/governor.h"

#include <math.h>
#include <string.h>

/* With probes in place: a program can turn hot at any moment, and is then slowed down so long. */
#define LOOK_MIN_NS 1e6
#define LOOK_MAX_NS 20e6
/* Without probes, or without a limit: nothing is at stake. */
#define REST_MAX_NS 100e6
/* The first look. */
#define FIRST_WINDOW_NS 20e6
/* The average cost is that of about so many windows. */
#define LEARN_WINDOWS 16
/* The probes of a program whose windows cost less than this share of the budget stay for good. */
#define CALM_SHARE 0.8
/* A shorter gap is not worth taking the probes off for. */
#define GAP_MIN_NS 5e6
/* Long against a tick of the CPU clock, short against a program's phases. */
#define CPUS_WINDOW_NS 50e6

/* xorshift64*; Vigna 2016. In [0, 1). */
static double next_random(struct governor *governor)
{
	governor->random ^= governor->random >> 12;
	governor->random ^= governor->random << 25;
	governor->random ^= governor->random >> 27;
	return (double)(governor->random * 0x2545f4914f6cdd1dull >> 11) / 9007199254740992.0;
}

/*
 * Of mean 1, at least a half, and no upper bound but one that 1 in 20,000 meets: after a few gaps
 * nothing is left of any rhythm of the program's own.
 */
static double next_stretch(struct governor *governor)
{
	return 0.5 + 0.5 * fmin(-log(1 - next_random(governor)), 10);
}

static double burst_ns(const struct governor *governor)
{
	return fmin(fmax(GOVERNOR_BURST_NS, 2 * governor->price_ns), GOVERNOR_BURST_MAX_NS);
}

/* Whatever attaching costs, some windows' worth can be saved up. */
static double credit_max_ns(const struct governor *governor)
{
	return fmax(governor->budget * GOVERNOR_KEPT_CPU_NS,
		    4 * (burst_ns(governor) + governor->price_ns));
}

void governor__init(struct governor *governor, double budget, uint64_t seed)
{
	memset(governor, 0, sizeof(*governor));
	governor->budget = budget;
	governor->random = seed ? seed : 1;
	governor->price_ns = GOVERNOR_EDGE_NS;
	governor->cpus = 1;
}

void governor__start(struct governor *governor, const struct governor_reading *reading)
{
	governor->last = governor->cpus_from = governor->begun = *reading;
	governor->attached = governor->calm = true;
	governor->credit_ns = GOVERNOR_FIRST_LOOK_NS;
	governor->window_ns = FIRST_WINDOW_NS;
}

static void count_cpus(struct governor *governor, const struct governor_reading *reading)
{
	double wall_ns = (double)(reading->now_ns - governor->cpus_from.now_ns);

	if (wall_ns < CPUS_WINDOW_NS)
		return;
	governor->cpus = fmax(reading->cpu_ns - governor->cpus_from.cpu_ns, 0) / wall_ns;
	governor->cpus_from = *reading;
}

/* Readings of several CPUs one after the other can seem to step back. */
static void account(struct governor *governor, const struct governor_reading *reading)
{
	double cpu_ns = fmax(reading->cpu_ns - governor->last.cpu_ns, 0);
	double cost_ns = fmax(reading->cost_ns - governor->last.cost_ns, 0) * GOVERNOR_HIT_FACTOR;

	if (governor->budget >= 0)
		governor->credit_ns =
			fmin(governor->credit_ns + governor->budget * cpu_ns - cost_ns,
			     credit_max_ns(governor));
	governor->last = *reading;
	count_cpus(governor, reading);
}

static double window_cost_ns(const struct governor *governor)
{
	return GOVERNOR_HIT_FACTOR * fmax(governor->last.cost_ns - governor->begun.cost_ns, 0);
}

/*
 * The window so far, as one of the sample. All of its CPU time may have been cost, and the clock
 * may be late: more than that it was not.
 */
static void learn_share(struct governor *governor)
{
	double cpu_ns = governor->last.cpu_ns - governor->begun.cpu_ns;
	double cost_ns = window_cost_ns(governor);
	double share = cost_ns <= 0 ? 0 : fmin(cost_ns / fmax(cpu_ns, cost_ns), 1);

	if (governor->windows < LEARN_WINDOWS)
		governor->windows++;
	governor->share += (share - governor->share) / governor->windows;
}

static double mean_window_ns(const struct governor *governor)
{
	return fmin(burst_ns(governor) / fmax(governor->share, 1e-6), GOVERNOR_WINDOW_MAX_NS);
}

/* CPU time without probes that the next window needs before it, on average; 0: none. */
static double plan_gap_ns(struct governor *governor)
{
	double goal_ns = burst_ns(governor) + governor->price_ns;
	double cost_ns = governor->share * mean_window_ns(governor);
	double stretch = 1 + (goal_ns - governor->balance_ns) / (2 * goal_ns);

	/* A program that has kept to the budget may go beyond it as long as there is credit. */
	if (governor->share <= CALM_SHARE * governor->budget)
		governor->calm = true;
	else if (governor->credit_ns <= 0)
		governor->calm = false;
	if (governor->calm)
		return 0;
	stretch = fmin(fmax(stretch, 0.5), 4);
	return fmax(stretch * (cost_ns + governor->price_ns) / governor->budget -
			    mean_window_ns(governor),
		    GAP_MIN_NS);
}

/* The window has ended. */
static enum governor_verdict plan(struct governor *governor)
{
	double gap_ns;

	/* The first look was cut: that is no passing moment. */
	if (!governor->windows && window_cost_ns(governor) >= GOVERNOR_FIRST_LOOK_NS)
		governor->calm = false;
	learn_share(governor);
	governor->balance_ns += (governor->credit_ns - governor->balance_ns) / LEARN_WINDOWS;
	governor->begun = governor->last;
	gap_ns = plan_gap_ns(governor);
	governor->window_ns = mean_window_ns(governor) * next_stretch(governor);
	if (gap_ns <= 0)
		return GOVERNOR_STAY;
	governor->begin_at_ns = governor->last.cpu_ns + gap_ns * next_stretch(governor);
	return GOVERNOR_DETACH;
}

enum governor_verdict governor__update(struct governor *governor,
				       const struct governor_reading *reading)
{
	double limit_ns = GOVERNOR_CUT_FACTOR * burst_ns(governor);
	double debt_ns = burst_ns(governor);

	account(governor, reading);
	if (governor->budget < 0)
		return GOVERNOR_STAY;
	if (!governor->attached)
		return reading->cpu_ns >= governor->begin_at_ns && governor->credit_ns > 0
			       ? GOVERNOR_ATTACH
			       : GOVERNOR_STAY;
	if (!governor->windows)
		limit_ns = GOVERNOR_FIRST_LOOK_NS;
	/* Of one that had its probes for good no window was planned that could run into debt. */
	if (governor->calm)
		debt_ns = 0;
	if (reading->cpu_ns - governor->begun.cpu_ns >= governor->window_ns ||
	    window_cost_ns(governor) >= limit_ns || governor->credit_ns <= -debt_ns)
		return plan(governor);
	return GOVERNOR_STAY;
}

void governor__attached(struct governor *governor, const struct governor_reading *before,
			const struct governor_reading *reading)
{
	/* Hits after the last window had ended, and before this one begins. */
	double paid_ns = fmax(before->cost_ns - governor->edge_ns, 0) +
			 fmax(reading->cost_ns - before->cost_ns, 0);

	account(governor, reading);
	paid_ns = GOVERNOR_EDGE_NS + GOVERNOR_HIT_FACTOR * paid_ns;
	governor->price_ns += (paid_ns - governor->price_ns) / (governor->paid ? 4 : 1);
	governor->paid = true;
	governor->credit_ns -= GOVERNOR_EDGE_NS;
	governor->attached = true;
	governor->begun = *reading;
}

void governor__detached(struct governor *governor, const struct governor_reading *reading)
{
	account(governor, reading);
	governor->attached = false;
	governor->was_detached = true;
	governor->edge_ns = reading->cost_ns;
}

uint64_t governor__look_ns(const struct governor *governor)
{
	double cpus = fmax(governor->cpus, 1), wait_ns = REST_MAX_NS;

	if (governor->budget >= 0 && governor->attached) {
		/* All of its CPU time may be cost from now on. */
		double limit_ns = !governor->windows ? GOVERNOR_FIRST_LOOK_NS
						     : GOVERNOR_CUT_FACTOR * burst_ns(governor);
		double to_end_ns =
			governor->begun.cpu_ns + governor->window_ns - governor->last.cpu_ns;

		wait_ns = fmin(limit_ns - window_cost_ns(governor), to_end_ns) / cpus;
		wait_ns = fmin(fmax(wait_ns, LOOK_MIN_NS), LOOK_MAX_NS);
	} else if (governor->budget >= 0) {
		wait_ns = (governor->begin_at_ns - governor->last.cpu_ns) / cpus;
		wait_ns = fmin(fmax(wait_ns, LOOK_MIN_NS), REST_MAX_NS);
	}
	return governor->last.now_ns + (uint64_t)wait_ns;
}
