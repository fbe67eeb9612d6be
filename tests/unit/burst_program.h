/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TESTS_BURST_PROGRAM_H
#define TESTS_BURST_PROGRAM_H

/*
 * A program under probes that come and go, simulated in steps of 20 us, with what a real one does
 * to a tracer: it is slowed down by each hit, its CPU clock is as old as the last tick, attaching
 * and detaching take their time.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/burst_log.h"
#include "probe/governor.h"

#define STEP_NS 20e3
#define TICK_NS 4e6
#define HIT_NS  420 /* as calibrated */

struct phase {
	double own_cpu_ns;   /* how long it lasts, in CPU time without probes */
	double calls_per_s;  /* of that CPU time */
	unsigned int bucket; /* of its requests */
	double sleep_share;  /* of the wall time */
};

struct program {
	const struct phase *phases;
	size_t phase_count;
	double hit_factor; /* true cost of a hit / HIT_NS */
	double edge_ns;    /* lost at each attach */
	double attach_ns;  /* wall time that attaching takes; probes work in its last tenth */
	/* State. */
	size_t phase;
	double phase_left_ns, wall_ns, cpu_ns, own_cpu_ns, ticked_ns, debt_ns;
	double calls, hits; /* calls made; of them hits */
	bool probed;
	double truth[SIZE_BUCKETS];
	struct alloc_counts counts;
	double fractions[SIZE_BUCKETS];
};

static inline void program__start(struct program *program)
{
	program->phase_left_ns = program->phases[0].own_cpu_ns;
}

static inline void program__count(struct program *program, unsigned int bucket, double calls)
{
	double whole;

	program->calls += calls;
	program->truth[bucket] += calls;
	if (!program->probed)
		return;
	program->hits += calls;
	program->fractions[bucket] = modf(program->fractions[bucket] + calls, &whole);
	program->counts.calls[0] += (uint64_t)whole;
	program->counts.buckets[bucket].count += (uint64_t)whole;
	program->counts.buckets[bucket].bytes += (uint64_t)whole << bucket;
}

static inline void program__step(struct program *program)
{
	const struct phase *phase = &program->phases[program->phase];
	double cost_ns = program->probed ? HIT_NS * program->hit_factor : 0;
	double ran_ns = STEP_NS * (1 - phase->sleep_share), own_ns;

	program->wall_ns += STEP_NS;
	program->cpu_ns += ran_ns;
	if (floor(program->wall_ns / TICK_NS) != floor((program->wall_ns - STEP_NS) / TICK_NS) ||
	    phase->sleep_share > 0)
		program->ticked_ns = program->cpu_ns;
	if (program->debt_ns > 0) {
		program->debt_ns -= ran_ns;
		return;
	}
	own_ns = ran_ns / (1 + phase->calls_per_s / 1e9 * cost_ns);
	program->own_cpu_ns += own_ns;
	program__count(program, phase->bucket, own_ns * phase->calls_per_s / 1e9);
	program->phase_left_ns -= own_ns;
	if (program->phase_left_ns <= 0) {
		program->phase = (program->phase + 1) % program->phase_count;
		program->phase_left_ns += program->phases[program->phase].own_cpu_ns;
	}
}

static inline struct governor_reading program__read(const struct program *program)
{
	return (struct governor_reading){
		.now_ns = (uint64_t)program->wall_ns,
		.cpu_ns = program->ticked_ns,
		.cost_ns = program->hits * HIT_NS,
	};
}

static inline struct burst_reading program__burst(const struct program *program)
{
	struct governor_reading reading = program__read(program);

	return (struct burst_reading){
		.now_ns = reading.now_ns,
		.cpu_ns = reading.cpu_ns,
		.cost_ns = reading.cost_ns,
		.counts = &program->counts,
	};
}

static inline void program__attach(struct program *program, struct governor *governor,
				   struct burst_log *log)
{
	struct governor_reading before = program__read(program), reading;
	struct burst_reading burst;
	double end_ns = program->wall_ns + program->attach_ns;

	while (program->wall_ns < end_ns) {
		program->probed = program->wall_ns > end_ns - program->attach_ns / 10;
		program__step(program);
	}
	program->probed = true;
	program->debt_ns += program->edge_ns;
	reading = program__read(program);
	governor__attached(governor, &before, &reading);
	burst = program__burst(program);
	burst_log__open(log, &burst);
}

static inline void program__detach(struct program *program, struct governor *governor,
				   struct burst_log *log)
{
	struct governor_reading reading = program__read(program);
	struct burst_reading burst = program__burst(program);

	burst_log__close(log, &burst);
	governor__detached(governor, &reading);
	program->probed = false;
}

/* Under a governor for so long; the log is closed afterwards. */
static inline void program__run(struct program *program, struct governor *governor,
				struct burst_log *log, double seconds)
{
	struct governor_reading reading;
	struct burst_reading burst;

	program__start(program);
	program->probed = true;
	reading = program__read(program);
	governor__start(governor, &reading);
	burst = program__burst(program);
	burst_log__open(log, &burst);
	while (program->wall_ns < seconds * 1e9) {
		program__step(program);
		if ((uint64_t)program->wall_ns < governor__look_ns(governor))
			continue;
		reading = program__read(program);
		burst = program__burst(program);
		burst_log__look(log, &burst);
		switch (governor__update(governor, &reading)) {
		case GOVERNOR_ATTACH:
			program__attach(program, governor, log);
			break;
		case GOVERNOR_DETACH:
			program__detach(program, governor, log);
			break;
		case GOVERNOR_STAY:
			break;
		}
	}
	burst = program__burst(program);
	burst_log__close(log, &burst);
}

/* By how much the program's work took longer, as a share of the CPU time that it used. */
static inline double program__slowdown(const struct program *program)
{
	return 1 - program->own_cpu_ns / program->cpu_ns;
}

#endif
