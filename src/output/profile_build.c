// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A profile of what a trace found: its samples, and what is left without a stack. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output/derive.h"
#include "output/profile_collect.h"

struct building {
	const struct trace_result *result;
	struct profile_maker maker;
	struct profile_collector collector;
	struct frame_name *frames; /* STACK_ENTRIES_MAX */
	int err;
};

static int compare_entries(const void *left, const void *right)
{
	const struct profile_entry *a = left, *b = right;

	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	return (a->weight > b->weight) - (a->weight < b->weight);
}

/* NULL of one that nobody can name. */
static struct profile_sample *add_stack(struct building *building, const struct process *process,
					int32_t stack)
{
	size_t depth = stack_namer__name(&building->result->namer, process->pid, process->start_ns,
					 stack, building->frames, STACK_ENTRIES_MAX);
	struct profile_sample *sample;

	if (!depth)
		return NULL;
	sample = profile_maker__add(&building->maker, PROFILE_STACK, building->frames, depth);
	if (!sample)
		building->err = -ENOMEM;
	return sample;
}

/* One sample a stack; entries without one, and stacks that nobody can read, add to `without`. */
static void make_samples(struct building *building, const struct process *process,
			 uint64_t without[WEIGHT_MAX])
{
	const struct profile_entry *entries = building->collector.entries;

	if (building->collector.entry_count)
		qsort(building->collector.entries, building->collector.entry_count,
		      sizeof(*entries), compare_entries);
	for (size_t i = 0, next; i < building->collector.entry_count && !building->err; i = next) {
		struct profile_sample *sample = add_stack(building, process, entries[i].stack);
		uint64_t *values = sample ? sample->values : without;

		for (next = i; next < building->collector.entry_count &&
			       entries[next].stack == entries[i].stack;
		     next++)
			values[entries[next].weight] += entries[next].value;
	}
}

static void add_rest(struct building *building, enum profile_kind kind,
		     const uint64_t values[WEIGHT_MAX])
{
	struct profile_sample *sample;
	uint64_t any = 0;

	for (int i = 0; i < WEIGHT_MAX; i++)
		any |= values[i];
	if (!any || building->err)
		return;
	sample = profile_maker__add(&building->maker, kind, NULL, 0);
	if (sample)
		memcpy(sample->values, values, sizeof(sample->values));
	else
		building->err = -ENOMEM;
}

static void add_process(struct building *building, const struct process *process)
{
	struct profile *profile = building->maker.profile;
	struct profile_collector *collector = &building->collector;
	struct profile_process *added = &profile->processes[profile->process_count++];
	uint64_t without[WEIGHT_MAX] = {0};

	added->pid = process->pid;
	added->exe = process->exe;
	process__comm(process, added->comm);
	profile_collector__take(collector, process, profile->known);
	building->err = collector->err;
	for (int i = 0; i < WEIGHT_MAX; i++) {
		uint64_t had = collector->listed[i] + collector->unlisted[i];

		if (!profile->known[i])
			continue;
		profile->totals[i] += collector->totals[i];
		if (collector->totals[i] > had)
			without[i] = collector->totals[i] - had;
	}
	make_samples(building, process, without);
	add_rest(building, PROFILE_NO_STACK, without);
	add_rest(building, PROFILE_NOT_LISTED, collector->unlisted);
}

static void find_known(const struct trace_result *result, bool known[WEIGHT_MAX])
{
	bool live = false;

	for (size_t i = 0; i < result->process_count; i++)
		live |= process__live_known(result->processes[i].process);
	known[WEIGHT_MMAP_BYTES] = known[WEIGHT_MMAP_COUNT] = result->mmap_weights;
	known[WEIGHT_UNRELEASED_BYTES] = known[WEIGHT_UNRELEASED_COUNT] = true;
	known[WEIGHT_ALLOC_BYTES] = known[WEIGHT_ALLOC_COUNT] =
		result->alloc_weights && result->mallocs_counted;
	known[WEIGHT_LIVE_BYTES] = known[WEIGHT_LIVE_COUNT] = live;
	known[WEIGHT_ARENA_COUNT] = true;
}

static int index_weights(struct building *building, const struct profile *profile)
{
	const struct trace_result *result = building->result;
	int err = weight_index__make(&building->collector.mmap, result->mmap_weights);

	if (!err && profile->known[WEIGHT_ALLOC_BYTES])
		err = weight_index__make(&building->collector.alloc, result->alloc_weights);
	if (!err && profile->known[WEIGHT_FAULT_BYTES])
		err = weight_index__make(&building->collector.fault, result->fault_weights);
	return err;
}

static int build(struct building *building)
{
	const struct trace_result *result = building->result;
	struct profile *profile = building->maker.profile;
	int err;

	profile->duration_s = result->duration_s;
	profile->started_unix_ns = result->started_unix_ns;
	if (__builtin_mul_overflow(result->fault_period, result->host.page_bytes,
				   &profile->fault_period_bytes))
		profile->fault_period_bytes = 0;
	building->collector.fault_period_bytes = profile->fault_period_bytes;
	find_known(result, profile->known);
	profile->known[WEIGHT_FAULT_BYTES] = result->fault_weights && profile->fault_period_bytes;
	profile->processes = calloc(result->process_count + 1, sizeof(*profile->processes));
	building->frames = calloc(STACK_ENTRIES_MAX, sizeof(*building->frames));
	if (!profile->processes || !building->frames)
		return -ENOMEM;
	err = index_weights(building, profile);
	for (size_t i = 0; i < result->process_count && !err; i++) {
		add_process(building, result->processes[i].process);
		err = building->err;
	}
	return err ? err : profile_maker__note_result(&building->maker, result);
}

int profile__build(const struct trace_result *result, struct profile **profile)
{
	struct building building = {.result = result};
	int err;

	*profile = building.maker.profile = calloc(1, sizeof(**profile));
	if (!*profile)
		return -ENOMEM;
	err = build(&building);
	profile_collector__free(&building.collector);
	free(building.frames);
	profile_maker__end(&building.maker);
	if (err) {
		profile__free(*profile);
		*profile = NULL;
	}
	return err;
}
