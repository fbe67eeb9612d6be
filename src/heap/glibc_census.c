// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_census.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "base/clock.h"
#include "heap/glibc_look.h"
#include "heap/glibc_mmapped.h"

/* Looks at a process that runs: the middle one of three counts. */
#define LOOKS 3

/* Looks that are taken again because they taught what they would have needed, or because no arena
 * could be read as one. */
#define RETRIES 3

#define BYTES_PERCENT 400

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* By how much what was walked may differ from what the arena says that it has: not at all, but for
 * what a program that uses brk itself has in front of it; while it runs, by what it grew and 1 %.
 */
static uint64_t allowed_bytes(const struct glibc_look *look, size_t i)
{
	uint64_t before = look->map.states[i].system_bytes;

	if (look->stood_still)
		return look->arenas[i].skipped_front_bytes % 4096;
	return difference(before, look->system_after[i]) + before / 100;
}

static void fill_arena(const struct glibc_look *look, size_t i, struct glibc_arena *arena)
{
	const struct glibc_state *state = &look->map.states[i];
	const struct glibc_tally *tally = &look->arenas[i];
	uint64_t walked = tally->in_use_bytes + tally->free_bytes + tally->cached_bytes +
			  tally->top_bytes + tally->overhead_bytes;

	*arena = (struct glibc_arena){
		.address = state->address,
		.is_main = state->address == look->map.arenas.main_arena,
		.threads = (int64_t)state->threads,
		.system_bytes = state->system_bytes,
		.in_use_bytes = tally->in_use_bytes,
		.free_bytes = tally->free_bytes + tally->cached_bytes + tally->top_bytes,
		.cached_bytes = tally->cached_bytes,
		.top_bytes = tally->top_bytes,
		.trimmable_bytes = tally->trimmable_bytes,
		.largest_free_bytes = tally->largest_free_bytes,
		.unwalked_bytes = tally->unwalked_bytes,
		.walked = {.done = true, .found = walked, .expected = state->system_bytes},
	};
	for (size_t k = 0; k < look->map.region_count; k++)
		arena->heaps += look->map.regions[k].arena == i;
	/* Memory that the arena has and that no region of ours covers. */
	if (walked + tally->unwalked_bytes < state->system_bytes && look->stood_still)
		arena->unwalked_bytes = state->system_bytes - walked;
	arena->walked.ok = difference(walked, state->system_bytes) <= allowed_bytes(look, i);
}

static int fill_arenas(const struct glibc_look *look, struct glibc_census *out)
{
	out->arenas = calloc(look->map.state_count, sizeof(*out->arenas));
	if (!out->arenas)
		return -ENOMEM;
	out->arena_count = look->map.state_count;
	for (size_t i = 0; i < out->arena_count; i++) {
		struct glibc_arena *arena = &out->arenas[i];

		fill_arena(look, i, arena);
		out->system_bytes += arena->system_bytes;
		out->in_use_bytes += arena->in_use_bytes;
		out->free_bytes += arena->free_bytes;
		out->cached_bytes += arena->cached_bytes;
		out->top_bytes += arena->top_bytes;
		out->trimmable_bytes += arena->trimmable_bytes;
		out->unwalked_bytes += arena->unwalked_bytes;
	}
	return 0;
}

static void fill_facts(const struct glibc_look *look, const struct glibc_tcaches *tcaches,
		       struct glibc_census *out)
{
	glibc_layout__name(&look->map.layout, out->layout, sizeof(out->layout));
	out->arena_limit = look->map.arenas.limit;
	snprintf(out->limit_source, sizeof(out->limit_source), "%s", look->map.arenas.limit_source);
	out->ring_closed = look->map.arenas.ring_closed;
	out->stood_still = look->stood_still;
	out->tcaches = tcaches->count;
	if (look->map.has_par) {
		out->mmap_threshold_bytes = look->map.par.mmap_threshold_bytes;
		out->trim_threshold_bytes = look->map.par.trim_threshold_bytes;
	}
}

static int by_in_use(const void *left, const void *right)
{
	const struct glibc_look *a = left, *b = right;

	return a->in_use_bytes < b->in_use_bytes ? -1 : a->in_use_bytes > b->in_use_bytes;
}

struct reading {
	struct subject *subject;
	uint32_t bytes_percent;
	uint64_t deadline_ns;
	struct glibc_layout layout;
	struct glibc_tcaches tcaches;
	struct glibc_look looks[LOOKS];
	size_t count;
	const char **reason;
};

static bool has_time(const struct reading *reading, uint64_t for_ns)
{
	return monotonic_ns() + for_ns < reading->deadline_ns;
}

/* One look, taken again when it taught what it would have needed, or when nothing was consistent,
 * as long as there is time for that. */
static int take_look(struct reading *reading)
{
	struct glibc_look *look = &reading->looks[reading->count];
	bool has_look = false;
	int err = -EAGAIN;

	for (int tries = 0; tries < RETRIES && has_time(reading, has_look ? look->wall_ns : 0);
	     tries++) {
		struct glibc_look next;

		if (tries && subject__renew(reading->subject) == -ESRCH)
			err = -ESRCH;
		else
			err = glibc_look__take(reading->subject, reading->bytes_percent,
					       &reading->layout, &reading->tcaches, &next,
					       reading->reason);
		if (!err) {
			if (has_look)
				glibc_look__free(look);
			*look = next;
			has_look = true;
		}
		if (err ? err != -EAGAIN : !look->learnt)
			break;
	}
	if (has_look && err == -EAGAIN)
		err = 0;
	reading->count += has_look;
	return err;
}

/* Looks until it stood still, until there are three, or until the time is over. */
static int take_looks(struct reading *reading)
{
	for (size_t i = 0; i < LOOKS; i++) {
		const struct glibc_look *last =
			reading->count ? &reading->looks[reading->count - 1] : NULL;
		int err;

		if (last &&
		    (last->stood_still || monotonic_ns() + last->wall_ns > reading->deadline_ns))
			break;
		if (last)
			subject__renew(reading->subject);
		err = take_look(reading);
		if (err == -ESRCH || err == -ENOMEM || (err && !reading->count))
			return err == -EAGAIN ? -ENOENT : err;
	}
	return 0;
}

/* The look that counts: the one that stood still, or the middle one. */
static const struct glibc_look *choose(struct reading *reading)
{
	const struct glibc_look *last = &reading->looks[reading->count - 1];

	if (last->stood_still)
		return last;
	qsort(reading->looks, reading->count, sizeof(*reading->looks), by_in_use);
	return &reading->looks[reading->count / 2];
}

/* 95 % of what is normally distributed lie within 2 deviations; the deviation is itself an
 * estimate, and what was in use is not quite that of one moment (measured: 2 covered 93 %, 2.5 97
 * %). */
#define DEVIATIONS 3

/*
 * The deviation that the differences between the looks show, cell by cell; the differences between
 * the looks' sums, which a process that grows shows better; and all that was not read or not
 * consistent. One look alone at a process that runs shows nothing of this: it can be anything.
 */
static uint64_t error_of(const struct reading *reading, const struct glibc_look *chosen)
{
	const struct glibc_look *looks = reading->looks;
	uint64_t unread = chosen->unwalked_bytes + chosen->torn_bytes + chosen->doubtful_bytes;
	uint64_t spread = 0;
	double distance = 0;

	if (chosen->stood_still)
		return unread;
	if (reading->count < 2)
		return chosen->in_use_bytes + unread;
	for (size_t i = 0; i + 1 < reading->count; i++) {
		distance += glibc_cells__distance(&looks[i].cells, &looks[i + 1].cells);
		spread =
			MAX(spread, looks[reading->count - 1].in_use_bytes - looks[i].in_use_bytes);
	}
	distance /= (double)(reading->count - 1);
	return (uint64_t)hypot(DEVIATIONS * distance, (double)spread) + unread;
}

/* What finds no room (-ENOSPC) is counted there. */
static int claim_regions(const struct subject *subject, const struct glibc_map *map,
			 struct claims *claims)
{
	static const char heaps[] = "heap_info headers, ring of arenas";
	static const char brk[] = "main arena's chunks, up to its top";
	int err = 0;

	for (size_t i = 0; err != -ENOMEM && i < map->arenas.heap_count; i++) {
		const struct glibc_heap *heap = &map->arenas.heaps[i];

		/* All that it reserved, not only what it made usable so far. */
		err = claims__add(claims, heap->base, heap->base + heap->mapped_bytes,
				  LEDGER_MALLOC_ARENAS, heaps);
	}
	for (size_t i = 0; err != -ENOMEM && i < map->region_count; i++) {
		const struct glibc_region *region = &map->regions[i];
		const struct maps_entry *entry = subject__entry(subject, region->start);

		if (!region->is_main)
			continue;
		if (entry && !strcmp(entry->path, "[heap]"))
			err = claims__add(claims, entry->start, MAX(entry->end, region->end),
					  LEDGER_BRK_HEAP, brk);
		else
			err = claims__add(claims, region->start, region->end, LEDGER_MALLOC_ARENAS,
					  brk);
	}
	return err == -ENOMEM ? err : 0;
}

static int report(struct reading *reading, struct claims *claims, struct glibc_census *out)
{
	const struct glibc_look *chosen = choose(reading);
	int err = fill_arenas(chosen, out);

	if (err)
		return err;
	fill_facts(chosen, &reading->tcaches, out);
	out->walks = reading->count;
	out->in_use_error_bytes = error_of(reading, chosen);
	err = claim_regions(reading->subject, &chosen->map, claims);
	return err ? err : glibc_mmapped__read(reading->subject, &chosen->map, claims, out);
}

int glibc_census__read(struct subject *subject, const struct glibc_bounds *bounds,
		       struct claims *claims, struct glibc_census *out, const char **reason)
{
	uint64_t time_ns = bounds && bounds->time_ns ? bounds->time_ns : GLIBC_TIME_NS;
	struct memory *memory = &subject->memory;
	uint64_t outer = memory->deadline_ns;
	struct reading reading = {
		.subject = subject,
		.bytes_percent =
			bounds && bounds->bytes_per_heap ? bounds->bytes_per_heap : BYTES_PERCENT,
		.deadline_ns = monotonic_ns() + time_ns,
		.reason = reason,
	};
	int err;

	memset(out, 0, sizeof(*out));
	*reason = NULL;
	if (!outer || reading.deadline_ns < outer)
		memory->deadline_ns = reading.deadline_ns;
	err = take_looks(&reading);
	if (!err)
		err = report(&reading, claims, out);
	if (err == -ENOENT && !*reason)
		*reason = "no arena of glibc's could be read consistently";
	for (size_t i = 0; i < reading.count; i++)
		glibc_look__free(&reading.looks[i]);
	glibc_tcaches__free(&reading.tcaches);
	memory->deadline_ns = outer;
	if (err)
		glibc_census__free(out);
	return err;
}

void glibc_census__free(struct glibc_census *census)
{
	free(census->arenas);
	memset(census, 0, sizeof(*census));
}
