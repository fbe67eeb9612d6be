// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A profile of what a trace found: who gives each weight, and what is left without a stack. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/record.h"
#include "output/derive.h"
#include "output/profile_make.h"
#include "output/weight_index.h"

/* One weight of one stack of the process at hand. */
struct entry {
	int32_t stack; /* STACK_NONE: without */
	enum profile_weight weight;
	uint64_t value;
};

struct building {
	const struct trace_result *result;
	struct profile_maker maker;
	struct weight_index mmap, alloc, fault;
	struct frame_name *frames; /* PROFILE_DEPTH_MAX */
	struct entry *entries;     /* of the process at hand */
	size_t entry_count, entry_room;
	uint64_t listed[WEIGHT_MAX];   /* their sums */
	uint64_t unlisted[WEIGHT_MAX]; /* kept out by a filter */
	int err;
};

static void add_entry(struct building *building, int32_t stack, enum profile_weight weight,
		      uint64_t value)
{
	if (!value || building->err)
		return;
	if (building->entry_count == building->entry_room) {
		size_t room = building->entry_room ? 2 * building->entry_room : 256;
		struct entry *bigger = reallocarray(building->entries, room, sizeof(*bigger));

		if (!bigger) {
			building->err = -ENOMEM;
			return;
		}
		building->entries = bigger;
		building->entry_room = room;
	}
	building->entries[building->entry_count++] = (struct entry){stack, weight, value};
	building->listed[weight] += value;
}

/* What had a stack; the rest of the total is found by the total. */
static void add_weights(struct building *building, const struct process *process,
			const struct weight_index *index, enum profile_weight bytes,
			enum profile_weight count)
{
	const struct stack_weight *weight;

	for (size_t i = weight_index__first(index, process);
	     (weight = weight_index__at(index, i, process)); i++) {
		if (weight->key.stack < 0)
			continue;
		add_entry(building, weight->key.stack, bytes, weight->bytes);
		add_entry(building, weight->key.stack, count, weight->count);
	}
}

/* The report has no other figure for these: their sum, with those that had no stack. */
static uint64_t add_faults(struct building *building, const struct process *process)
{
	uint64_t period_bytes = building->maker.profile->fault_period_bytes, sum = 0;
	const struct weight_index *index = &building->fault;
	const struct stack_weight *weight;

	for (size_t i = weight_index__first(index, process);
	     (weight = weight_index__at(index, i, process)); i++) {
		uint64_t bytes;

		/* More than 2^64 bytes did not fault: what says so is not kept. */
		if (__builtin_mul_overflow(weight->count, period_bytes, &bytes))
			continue;
		sum += bytes;
		if (weight->key.stack >= 0)
			add_entry(building, weight->key.stack, WEIGHT_FAULT_BYTES, bytes);
	}
	return sum;
}

static void add_unreleased(struct building *building, const struct process *process)
{
	const struct mapping *piece;

	if (!process->space)
		return;
	space__for_each (piece, process->space) {
		const struct origin *origin = piece->origin;

		if (origin->before_trace || origin->stack < 0)
			continue;
		add_entry(building, origin->stack, WEIGHT_UNRELEASED_BYTES,
			  piece->end - piece->start);
		/* As process__unreleased_count() has it. */
		if (piece->start == origin->address)
			add_entry(building, origin->stack, WEIGHT_UNRELEASED_COUNT, 1);
	}
}

/* Creations according to the source that the report takes. */
static void add_arenas(struct building *building, const struct process *process)
{
	const struct arenas *arenas = &process->arenas;
	enum arena_source source = arenas__source(arenas);

	for (uint32_t i = 0; i < arenas->event_count; i++) {
		const struct arena_event *event = &arenas->events[i];
		bool seen = source == ARENA_FROM_USDT     ? event->seen_by_usdt
			    : source == ARENA_FROM_SYMBOL ? event->seen_by_symbol
							  : event->seen_by_mapping;

		if (seen && event->stack >= 0)
			add_entry(building, event->stack, WEIGHT_ARENA_COUNT, 1);
	}
}

/*
 * Groups of a sample are estimates with fractions. Each is what the rounded sum up to it adds, so
 * that all together are the rounded total.
 */
struct rounding {
	double sum;
	uint64_t rounded;
};

static uint64_t round_next(struct rounding *rounding, double value)
{
	uint64_t before = rounding->rounded;

	rounding->sum += value > 0 ? value : 0;
	rounding->rounded = (uint64_t)llround(rounding->sum);
	return rounding->rounded - before;
}

/*
 * What no group holds, as the report's filters want it. The last unit of a sample's sum is
 * rounding: it goes to the stack that was added last.
 */
static void add_unlisted(struct building *building, const struct live_view *view,
			 enum profile_weight weight, double total, uint64_t rounded, int32_t last)
{
	uint64_t whole = (uint64_t)llround(total);

	if (view->sampled && view->groups && whole == rounded + 1)
		add_entry(building, last, weight, 1);
	else if (whole > rounded)
		building->unlisted[weight] = whole - rounded;
}

/* Groups without a stack are entries here: what is not in groups is another thing. */
static void add_live(struct building *building, const struct process *process)
{
	const struct live_view *view = process->live;
	struct rounding bytes = {0}, count = {0};
	int32_t stack = STACK_NONE;

	if (!process__live_known(process))
		return;
	for (const struct live_group *group = view->groups; group; group = group->hh.next) {
		stack = group->key.stack < 0 ? STACK_NONE : group->key.stack;
		add_entry(building, stack, WEIGHT_LIVE_BYTES, round_next(&bytes, group->now.bytes));
		add_entry(building, stack, WEIGHT_LIVE_COUNT, round_next(&count, group->now.count));
	}
	add_unlisted(building, view, WEIGHT_LIVE_BYTES, view->total.bytes, bytes.rounded, stack);
	add_unlisted(building, view, WEIGHT_LIVE_COUNT, view->total.count, count.rounded, stack);
}

/* What the report gives as this process's total. */
static void read_totals(const struct process *process, uint64_t totals[WEIGHT_MAX])
{
	bool live = process__live_known(process);

	totals[WEIGHT_MMAP_BYTES] = process->mapping.mmap_bytes;
	totals[WEIGHT_MMAP_COUNT] = process->mapping.mmap_calls;
	totals[WEIGHT_UNRELEASED_BYTES] = process__unreleased_bytes(process);
	totals[WEIGHT_UNRELEASED_COUNT] = process__unreleased_count(process);
	totals[WEIGHT_ALLOC_BYTES] = process__requested_bytes(process);
	totals[WEIGHT_ALLOC_COUNT] = process__requests(process);
	totals[WEIGHT_LIVE_BYTES] = live ? (uint64_t)llround(process->live->total.bytes) : 0;
	totals[WEIGHT_LIVE_COUNT] = live ? (uint64_t)llround(process->live->total.count) : 0;
	totals[WEIGHT_ARENA_COUNT] = arenas__created(&process->arenas);
}

/*
 * Calls that came while counters were read are weighed and not in the report: so few that the
 * heaviest stacks can lack them.
 */
static void take_back(struct building *building, enum profile_weight weight, uint64_t excess)
{
	while (excess) {
		struct entry *most = NULL;
		uint64_t taken;

		for (size_t i = 0; i < building->entry_count; i++) {
			struct entry *entry = &building->entries[i];

			if (entry->weight == weight && (!most || entry->value > most->value))
				most = entry;
		}
		if (!most || !most->value)
			return;
		taken = excess < most->value ? excess : most->value;
		most->value -= taken;
		excess -= taken;
	}
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	return (a->weight > b->weight) - (a->weight < b->weight);
}

/* NULL of one that nobody can name. */
static struct profile_sample *add_stack(struct building *building, const struct process *process,
					int32_t stack)
{
	size_t depth = stack_namer__name(&building->result->namer, process->pid, process->start_ns,
					 stack, building->frames, PROFILE_DEPTH_MAX);
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
	const struct entry *entries = building->entries;

	if (building->entry_count)
		qsort(building->entries, building->entry_count, sizeof(*entries), compare_entries);
	for (size_t i = 0, next; i < building->entry_count && !building->err; i = next) {
		struct profile_sample *sample = add_stack(building, process, entries[i].stack);
		uint64_t *values = sample ? sample->values : without;

		for (next = i;
		     next < building->entry_count && entries[next].stack == entries[i].stack;
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
	uint64_t totals[WEIGHT_MAX], without[WEIGHT_MAX] = {0};
	struct profile_process *added = &profile->processes[profile->process_count++];

	added->pid = process->pid;
	added->exe = process->exe;
	process__comm(process, added->comm);
	building->entry_count = 0;
	memset(building->listed, 0, sizeof(building->listed));
	memset(building->unlisted, 0, sizeof(building->unlisted));
	add_weights(building, process, &building->mmap, WEIGHT_MMAP_BYTES, WEIGHT_MMAP_COUNT);
	add_weights(building, process, &building->alloc, WEIGHT_ALLOC_BYTES, WEIGHT_ALLOC_COUNT);
	add_unreleased(building, process);
	add_arenas(building, process);
	add_live(building, process);
	read_totals(process, totals);
	totals[WEIGHT_FAULT_BYTES] = add_faults(building, process);
	for (int i = 0; i < WEIGHT_MAX; i++) {
		uint64_t had = building->listed[i] + building->unlisted[i];

		if (!profile->known[i])
			continue;
		profile->totals[i] += totals[i];
		if (totals[i] > had)
			without[i] = totals[i] - had;
		else
			take_back(building, (enum profile_weight)i, had - totals[i]);
	}
	make_samples(building, process, without);
	add_rest(building, PROFILE_NO_STACK, without);
	add_rest(building, PROFILE_NOT_LISTED, building->unlisted);
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
	known[WEIGHT_FAULT_BYTES] = result->fault_weights && result->fault_period;
}

static int index_weights(struct building *building, const struct profile *profile)
{
	const struct trace_result *result = building->result;
	int err = weight_index__make(&building->mmap, result->mmap_weights);

	if (!err && profile->known[WEIGHT_ALLOC_BYTES])
		err = weight_index__make(&building->alloc, result->alloc_weights);
	if (!err && profile->known[WEIGHT_FAULT_BYTES])
		err = weight_index__make(&building->fault, result->fault_weights);
	return err;
}

static int build(struct building *building)
{
	const struct trace_result *result = building->result;
	struct profile *profile = building->maker.profile;
	int err;

	profile->duration_s = result->duration_s;
	profile->started_unix_ns = result->started_unix_ns;
	profile->fault_period_bytes = result->fault_period * result->host.page_bytes;
	find_known(result, profile->known);
	profile->processes = calloc(result->process_count + 1, sizeof(*profile->processes));
	building->frames = calloc(PROFILE_DEPTH_MAX, sizeof(*building->frames));
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
	weight_index__free(&building.mmap);
	weight_index__free(&building.alloc);
	weight_index__free(&building.fault);
	free(building.frames);
	free(building.entries);
	profile_maker__end(&building.maker);
	if (err) {
		profile__free(*profile);
		*profile = NULL;
	}
	return err;
}
