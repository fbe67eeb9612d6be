// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What glibc's malloc could hold less of. The shares below are measured: tests/acceptance/advice.sh
 * prints them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/advice_internal.h"
#include "base/units.h"

/* In a heap that stood still the prediction is exact to a page a chunk; what else the call frees
 * (fastbins merged, stdio) is not more than this. */
#define TRIM_STILL_LOW  0.97
#define TRIM_STILL_HIGH 1.01
#define TRIM_STILL_MORE 65536
/* While all threads churn what can be trimmed moved by -21 .. +22 % until the call. */
#define TRIM_MOVING_LOW  0.65
#define TRIM_MOVING_HIGH 1.25
/* jemalloc after its decay, on heaps whose holes are whole pages: 0.70 of what malloc_trim returns
 * (blocks of 300 to 3,000 bytes, which share slabs) to 0.99 (20 kB and more). */
#define JEMALLOC_LOW  0.55
#define JEMALLOC_HIGH 1.05
/* Free bytes that are whole pages, of all: below this blocks in use keep most pages. */
#define WHOLE_PAGES_SHARE 0.85
/* An arena of which nothing was freed yet has no more unused: its header, the last page. */
#define UNUSED_WHEN_NEW      12288
#define ARENA_ROUNDING_LOW   0.6
#define ARENA_ROUNDING_HIGH  1.15
#define ARENA_MAX_DEFAULT    2
#define ARENA_MAX_BY_QUOTA   8 /* no more than that, whatever the quota */
#define FREE_DOMINATES_PARTS 3 /* one in so many bytes of the heaps is free between others */

static bool figures_hold(const struct glibc_census *census)
{
	if (census->unwalked_bytes)
		return false;
	for (size_t i = 0; i < census->arena_count; i++)
		if (census->arenas[i].walked.done && !census->arenas[i].walked.ok)
			return false;
	return true;
}

static void predict_trim(const struct glibc_census *census, struct advice *out)
{
	static const char no_sense[] = "the heaps' figures contradict each other";
	double trim = (double)census->trimmable_bytes;

	if (!figures_hold(census))
		advice__predict(out, TRIM_MOVING_LOW * trim,
				TRIM_MOVING_HIGH * (trim + (double)census->unwalked_bytes),
				"parts of the heaps could not be read consistently");
	else if (census->stood_still)
		advice__predict(out, TRIM_STILL_LOW * trim,
				TRIM_STILL_HIGH * trim + TRIM_STILL_MORE, no_sense);
	else
		advice__predict(out, TRIM_MOVING_LOW * trim, TRIM_MOVING_HIGH * trim, no_sense);
}

bool advise_malloc_trim(const struct explanation *e, struct advice *out)
{
	const struct glibc_census *census = &e->glibc;
	char trim[UNIT_TEXT_MAX], all[UNIT_TEXT_MAX], used[UNIT_TEXT_MAX];

	if (!e->has_glibc || !is_worth_saying(e, census->trimmable_bytes))
		return false;
	out->id = "malloc-trim";
	snprintf(out->text, sizeof(out->text),
		 "Call malloc_trim(0) after phases that free much, or every few minutes. Once, "
		 "without changing the program: gdb -p %u -batch -ex 'set language c' -ex 'call "
		 "(int)malloc_trim(0)'",
		 e->pid);
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s of the %s that are free in %zu arena%s are whole resident pages; %s are in "
		 "use",
		 units_format_bytes(trim, census->trimmable_bytes),
		 units_format_bytes(all, census->free_bytes), census->arena_count,
		 census->arena_count == 1 ? "" : "s",
		 units_format_bytes(used, census->in_use_bytes));
	snprintf(out->risk, sizeof(out->risk),
		 "each arena is locked while it is trimmed; pages that are needed again fault in "
		 "again; gdb stops the program, and hangs it when it stops it inside malloc");
	predict_trim(census, out);
	return true;
}

/* ---- arenas ------------------------------------------------------------------------------------
 */

/* Arenas of threads: the main one is brk's. */
struct thread_arenas {
	uint64_t count;
	uint64_t resident_bytes, in_use_bytes, cached_bytes;
	uint64_t unused_bytes; /* resident, not in use, and in no thread's cache either */
};

static struct thread_arenas sum_thread_arenas(const struct explanation *e)
{
	struct thread_arenas sum = {.resident_bytes = resident_of(e, LEDGER_MALLOC_ARENAS)};

	for (size_t i = 0; i < e->glibc.arena_count; i++) {
		if (e->glibc.arenas[i].is_main)
			continue;
		sum.count++;
		sum.in_use_bytes += e->glibc.arenas[i].in_use_bytes;
		sum.cached_bytes += e->glibc.arenas[i].cached_bytes;
	}
	if (sum.resident_bytes > sum.in_use_bytes + sum.cached_bytes)
		sum.unused_bytes = sum.resident_bytes - sum.in_use_bytes - sum.cached_bytes;
	return sum;
}

static unsigned int choose_arena_max(const struct explanation *e)
{
	double quota = e->cgroup.cpu_quota;

	if (!(quota > ARENA_MAX_DEFAULT))
		return ARENA_MAX_DEFAULT;
	return quota > ARENA_MAX_BY_QUOTA ? ARENA_MAX_BY_QUOTA : (unsigned int)ceil(quota);
}

static void describe_arenas(const struct explanation *e, const struct thread_arenas *arenas,
			    struct advice *out)
{
	char resident[UNIT_TEXT_MAX], used[UNIT_TEXT_MAX], limit[160] = "", quota[64] = "";

	if (e->cgroup.cpu_quota > 0)
		snprintf(quota, sizeof(quota), ", quota is %.3g CPUs", e->cgroup.cpu_quota);
	if (e->glibc.arena_limit > 0)
		snprintf(limit, sizeof(limit), ", limit %lld from %s%s",
			 (long long)e->glibc.arena_limit, e->glibc.limit_source, quota);
	snprintf(out->evidence, sizeof(out->evidence),
		 "%zu arenas%s; %u threads, whose arenas hold %s, of which %s are in use",
		 e->glibc.arena_count, limit, e->threads,
		 units_format_bytes(resident, arenas->resident_bytes),
		 units_format_bytes(used, arenas->in_use_bytes));
}

bool advise_arena_max(const struct explanation *e, struct advice *out)
{
	struct thread_arenas arenas = sum_thread_arenas(e);
	unsigned int keep = choose_arena_max(e);
	char most[UNIT_TEXT_MAX], why[sizeof(out->why_no_saving)];
	double saved;

	if (!e->has_glibc || e->glibc.arena_count <= keep ||
	    !is_worth_saying(e, arenas.unused_bytes))
		return false;
	out->id = "malloc-arena-max";
	snprintf(out->text, sizeof(out->text),
		 "Start it with MALLOC_ARENA_MAX=%u in its environment: memory that one thread "
		 "freed then serves the others.",
		 keep);
	describe_arenas(e, &arenas, out);
	snprintf(out->risk, sizeof(out->risk),
		 "threads that allocate at the same time wait for each other's arena");
	/* Memory that was used and freed is there again with fewer arenas when the threads had it
	 * at the same time, and is not when they had it in turn: measured, 16 threads of 40 MB:
	 * nothing, or 533 of 654 MB. Only what was never used is sure to go. */
	saved = (double)arenas.unused_bytes * (double)(e->glibc.arena_count - keep) /
		(double)arenas.count;
	snprintf(why, sizeof(why),
		 "nothing to %s: that depends on whether the threads needed their memory at the "
		 "same time or in turn, which one look cannot tell",
		 units_format_bytes(most, (uint64_t)saved));
	if (arenas.unused_bytes > arenas.count * UNUSED_WHEN_NEW || !figures_hold(&e->glibc))
		saved = 0;
	advice__predict(out, ARENA_ROUNDING_LOW * saved, ARENA_ROUNDING_HIGH * saved, why);
	return true;
}

/* ---- another allocator -------------------------------------------------------------------------
 */

/* Nothing can be loaded before a static program, nor take the place of what it was linked with. */
static bool has_own_malloc(const struct explanation *e)
{
	return e->exe && !strcmp(e->allocators.malloc_object, e->exe);
}

bool advise_other_allocator(const struct explanation *e, struct advice *out)
{
	const struct glibc_census *census = &e->glibc;
	uint64_t apart = census->top_bytes + census->cached_bytes;
	uint64_t holes = census->free_bytes > apart ? census->free_bytes - apart : 0;
	double trim = (double)census->trimmable_bytes;
	char free_text[UNIT_TEXT_MAX], trim_text[UNIT_TEXT_MAX], used[UNIT_TEXT_MAX];

	if (!e->has_glibc || strcmp(e->allocators.malloc_owner, "glibc") != 0 ||
	    !is_worth_saying(e, holes) ||
	    holes < (census->in_use_bytes + holes) / FREE_DOMINATES_PARTS)
		return false;
	out->id = "other-allocator";
	snprintf(out->text, sizeof(out->text),
		 "%s an allocator that gives freed pages back by itself, as jemalloc does with "
		 "%sMALLOC_CONF=background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0",
		 has_own_malloc(e) ? "Link it with" : "Run it on",
		 has_own_malloc(e) ? "" : "LD_PRELOAD=libjemalloc.so.2 and ");
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s are free between the %s in use, %s of them whole pages that glibc keeps",
		 units_format_bytes(free_text, holes),
		 units_format_bytes(used, census->in_use_bytes),
		 units_format_bytes(trim_text, census->trimmable_bytes));
	snprintf(out->risk, sizeof(out->risk),
		 "speed and peak change, either way; its defaults (decay without the thread) give "
		 "an idle program's memory back no sooner");
	if (!figures_hold(census) || trim < WHOLE_PAGES_SHARE * (double)holes)
		trim = 0;
	advice__predict(out, JEMALLOC_LOW * trim, JEMALLOC_HIGH * trim,
			"much of what is free shares its pages with blocks in use; whether another "
			"allocator would have placed those together depends on their sizes and "
			"lives");
	return true;
}
