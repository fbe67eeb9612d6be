// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who gives each weight of a profile. */
#include "output/profile_collect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/record.h"
#include "output/derive.h"

static void add_entry(struct profile_collector *collector, int32_t stack,
		      enum profile_weight weight, uint64_t value)
{
	if (!value || collector->err)
		return;
	if (collector->entry_count == collector->entry_room) {
		size_t room = collector->entry_room ? 2 * collector->entry_room : 256;
		struct profile_entry *bigger =
			reallocarray(collector->entries, room, sizeof(*bigger));

		if (!bigger) {
			collector->err = -ENOMEM;
			return;
		}
		collector->entries = bigger;
		collector->entry_room = room;
	}
	collector->entries[collector->entry_count++] = (struct profile_entry){stack, weight, value};
	collector->listed[weight] += value;
}

/* What had a stack; the rest of the total is found by the total. */
static void add_weights(struct profile_collector *collector, const struct process *process,
			const struct weight_index *index, enum profile_weight bytes,
			enum profile_weight count)
{
	const struct stack_weight *weight;

	for (size_t i = weight_index__first(index, process);
	     (weight = weight_index__at(index, i, process)); i++) {
		if (weight->key.stack < 0)
			continue;
		add_entry(collector, weight->key.stack, bytes, weight->bytes);
		add_entry(collector, weight->key.stack, count, weight->count);
	}
}

/* The report has no other figure for these: their sum, with those that had no stack. */
static uint64_t add_faults(struct profile_collector *collector, const struct process *process)
{
	uint64_t period_bytes = collector->fault_period_bytes, sum = 0;
	const struct weight_index *index = &collector->fault;
	const struct stack_weight *weight;

	for (size_t i = weight_index__first(index, process);
	     (weight = weight_index__at(index, i, process)); i++) {
		uint64_t bytes;

		/* More than 2^64 bytes did not fault: what says so is not kept. */
		if (__builtin_mul_overflow(weight->count, period_bytes, &bytes))
			continue;
		sum += bytes;
		if (weight->key.stack >= 0)
			add_entry(collector, weight->key.stack, WEIGHT_FAULT_BYTES, bytes);
	}
	return sum;
}

static void add_unreleased(struct profile_collector *collector, const struct process *process)
{
	const struct mapping *piece;

	if (!process->space)
		return;
	space__for_each (piece, process->space) {
		const struct origin *origin = piece->origin;

		if (origin->before_trace || origin->stack < 0)
			continue;
		add_entry(collector, origin->stack, WEIGHT_UNRELEASED_BYTES,
			  piece->end - piece->start);
		/* As process__unreleased_count() has it. */
		if (piece->start == origin->address)
			add_entry(collector, origin->stack, WEIGHT_UNRELEASED_COUNT, 1);
	}
}

/* Creations according to the source that the report takes. */
static void add_arenas(struct profile_collector *collector, const struct process *process)
{
	const struct arenas *arenas = &process->arenas;
	enum arena_source source = arenas__source(arenas);

	for (uint32_t i = 0; i < arenas->event_count; i++) {
		const struct arena_event *event = &arenas->events[i];
		bool seen = source == ARENA_FROM_USDT     ? event->seen_by_usdt
			    : source == ARENA_FROM_SYMBOL ? event->seen_by_symbol
							  : event->seen_by_mapping;

		if (seen && event->stack >= 0)
			add_entry(collector, event->stack, WEIGHT_ARENA_COUNT, 1);
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
static void add_unlisted(struct profile_collector *collector, const struct live_view *view,
			 enum profile_weight weight, double total, uint64_t rounded, int32_t last)
{
	uint64_t whole = (uint64_t)llround(total);

	if (view->sampled && view->groups && whole == rounded + 1)
		add_entry(collector, last, weight, 1);
	else if (whole > rounded)
		collector->unlisted[weight] = whole - rounded;
}

/* Groups without a stack are entries here: what is not in groups is another thing. */
static void add_live(struct profile_collector *collector, const struct process *process)
{
	const struct live_view *view = process->live;
	struct rounding bytes = {0}, count = {0};
	int32_t stack = STACK_NONE;

	if (!process__live_known(process))
		return;
	for (const struct live_group *group = view->groups; group; group = group->hh.next) {
		stack = group->key.stack < 0 ? STACK_NONE : group->key.stack;
		add_entry(collector, stack, WEIGHT_LIVE_BYTES,
			  round_next(&bytes, group->now.bytes));
		add_entry(collector, stack, WEIGHT_LIVE_COUNT,
			  round_next(&count, group->now.count));
	}
	add_unlisted(collector, view, WEIGHT_LIVE_BYTES, view->total.bytes, bytes.rounded, stack);
	add_unlisted(collector, view, WEIGHT_LIVE_COUNT, view->total.count, count.rounded, stack);
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
 * Calls that came between the reading of the report's counters and that of the stacks' are weighed
 * and not in the report. Which stacks they belong to is not known: each lacks its share.
 */
static void take_back(struct profile_collector *collector, enum profile_weight weight,
		      uint64_t excess)
{
	double share;

	if (!collector->listed[weight])
		return;
	share = fmin((double)excess / (double)collector->listed[weight], 1);
	for (size_t i = 0; i < collector->entry_count; i++) {
		struct profile_entry *entry = &collector->entries[i];
		uint64_t taken = (uint64_t)((double)entry->value * share);

		if (entry->weight != weight)
			continue;
		if (taken > excess)
			taken = excess;
		entry->value -= taken;
		excess -= taken;
	}
	/* Rounding down left less than one a stack. */
	for (size_t i = 0; i < collector->entry_count && excess; i++) {
		struct profile_entry *entry = &collector->entries[i];

		if (entry->weight == weight && entry->value) {
			entry->value--;
			excess--;
		}
	}
}

void profile_collector__take(struct profile_collector *collector, const struct process *process,
			     const bool known[WEIGHT_MAX])
{
	collector->entry_count = 0;
	memset(collector->listed, 0, sizeof(collector->listed));
	memset(collector->unlisted, 0, sizeof(collector->unlisted));
	add_weights(collector, process, &collector->mmap, WEIGHT_MMAP_BYTES, WEIGHT_MMAP_COUNT);
	add_weights(collector, process, &collector->alloc, WEIGHT_ALLOC_BYTES, WEIGHT_ALLOC_COUNT);
	add_unreleased(collector, process);
	add_arenas(collector, process);
	add_live(collector, process);
	read_totals(process, collector->totals);
	collector->totals[WEIGHT_FAULT_BYTES] = add_faults(collector, process);
	for (int i = 0; i < WEIGHT_MAX; i++) {
		uint64_t had = collector->listed[i] + collector->unlisted[i];

		if (known[i] && had > collector->totals[i])
			take_back(collector, (enum profile_weight)i, had - collector->totals[i]);
	}
}

void profile_collector__free(struct profile_collector *collector)
{
	weight_index__free(&collector->mmap);
	weight_index__free(&collector->alloc);
	weight_index__free(&collector->fault);
	free(collector->entries);
}
