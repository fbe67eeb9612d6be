// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "output/derive.h"
#include "output/profile_make.h"

static int note_losses(struct profile_maker *maker, const struct trace_result *result)
{
	int err = 0;

	if (!trace_result__losses(result))
		return profile_maker__note(maker, "Lost: nothing.");
	for (int i = 0; i < LOSS_MAX && !err; i++) {
		if (result->losses[i])
			err = profile_maker__note(maker, "Lost: %" PRIu64 " %s.", result->losses[i],
						  loss__text((enum loss)i));
	}
	return err;
}

/* Stacks that found no room in tables of weights: their weight is among what has no stack. */
static int note_folded(struct profile_maker *maker, const struct stack_weights *weights,
		       const char *what)
{
	if (!weights || !weights->folded)
		return 0;
	return profile_maker__note(maker,
				   "%" PRIu64 " %s lost their stack: too many distinct ones.",
				   weights->folded, what);
}

static int note_live(struct profile_maker *maker, const struct trace_result *result)
{
	uint64_t unknown = 0, sampled = 0;
	double variance = 0;
	char bytes[UNIT_TEXT_MAX];
	int err = 0;

	for (size_t i = 0; i < result->process_count; i++) {
		const struct process *process = result->processes[i].process;

		if (!process->live)
			continue;
		if (!process__live_known(process)) {
			unknown++;
		} else if (process->live->sampled) {
			sampled++;
			variance += process->live->total.bytes_variance;
		}
	}
	if (sampled)
		err = profile_maker__note(
			maker,
			"What is in use is estimated from a sample in %" PRIu64
			" processes: +- %s (95 %%) in all.",
			sampled, units_format_bytes(bytes, (uint64_t)(1.96 * sqrt(variance))));
	if (!err && unknown)
		err = profile_maker__note(
			maker, "What is in use is not known of %" PRIu64 " processes.", unknown);
	return err;
}

int profile_maker__note_result(struct profile_maker *maker, const struct trace_result *result)
{
	const bool *known = maker->profile->known;
	char after[UNIT_TEXT_MAX];
	int err = profile_maker__note(maker, "memdrift %s, Linux %s, traced for %s.",
				      MEMDRIFT_VERSION, result->host.kernel,
				      units_format_seconds(after, result->duration_s));

	if (!err)
		err = note_losses(maker, result);
	if (!err && known[WEIGHT_ALLOC_BYTES] && result->overhead.detached)
		err = profile_maker__note(
			maker, "Allocator calls are those that bursts saw, %.2g %% of the time.",
			100 * result->overhead.covered);
	if (!err && known[WEIGHT_LIVE_BYTES])
		err = note_live(maker, result);
	if (!err && known[WEIGHT_FAULT_BYTES])
		err = profile_maker__note(
			maker,
			"Faulted bytes are estimates: each sampled page fault stands for %" PRIu64
			" bytes.",
			maker->profile->fault_period_bytes);
	if (!err)
		err = note_folded(maker, result->mmap_weights, "mappings");
	if (!err && known[WEIGHT_ALLOC_BYTES])
		err = note_folded(maker, result->alloc_weights, "sums of allocator calls");
	return err;
}
