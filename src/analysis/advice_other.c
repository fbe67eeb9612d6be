// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* jemalloc, huge pages, stacks, and what is bounded. */
#include <stdio.h>
#include <string.h>

#include "analysis/advice_internal.h"
#include "base/units.h"

#define DIRTY_LOW           0.9
#define DIRTY_HIGH          1.03
#define SLABS_WORTH_PERCENT 25 /* of active bytes */
#define HUGE_WORTH_PARTS    4  /* one in so many resident bytes */
#define STACKS_WORTH_PARTS  10
#define MOST_PARTS          4
#define ARENAS_MANY         4

bool advise_jemalloc_decay(const struct explanation *e, struct advice *out)
{
	const struct jemalloc_facts *je = &e->allocators.jemalloc;
	uint64_t unused = je->dirty_bytes + je->muzzy_bytes;
	uint64_t resident = resident_of(e, LEDGER_JEMALLOC), beyond, most;
	char dirty[UNIT_TEXT_MAX], active[UNIT_TEXT_MAX];

	if (!e->allocators.has_jemalloc || unused < je->dirty_bytes || !is_worth_saying(e, unused))
		return false;
	out->id = "jemalloc-decay";
	snprintf(out->text, sizeof(out->text),
		 "Let jemalloc return unused pages sooner: MALLOC_CONF=background_thread:true,"
		 "dirty_decay_ms:1000,muzzy_decay_ms:0; or once, by the program: mallctl("
		 "\"arena.4096.purge\") (redis: MEMORY PURGE).");
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s are unused and not yet returned (dirty, muzzy), %s active",
		 units_format_bytes(dirty, unused), units_format_bytes(active, je->active_bytes));
	snprintf(out->risk, sizeof(out->risk),
		 "more madvise calls and page faults when the memory is needed again");
	/* Unused pages that were never written are not resident: not more than what is resident
	 * beyond the active ones can go. */
	beyond = resident > je->active_bytes ? resident - je->active_bytes : 0;
	most = unused < resident ? unused : resident;
	advice__predict(out, DIRTY_LOW * (double)(beyond < most ? beyond : most),
			DIRTY_HIGH * (double)most,
			"part of the unused pages is not resident; which, jemalloc does not tell");
	return true;
}

bool advise_jemalloc_fragmentation(const struct explanation *e, struct advice *out)
{
	const struct jemalloc_facts *je = &e->allocators.jemalloc;
	uint64_t holes;
	char lost[UNIT_TEXT_MAX], active[UNIT_TEXT_MAX];

	if (!e->allocators.has_jemalloc || je->active_bytes <= je->allocated_bytes)
		return false;
	holes = je->active_bytes - je->allocated_bytes;
	if (!is_worth_saying(e, holes) || holes < je->active_bytes / 100 * SLABS_WORTH_PERCENT)
		return false;
	out->id = "jemalloc-fragmentation";
	snprintf(out->text, sizeof(out->text),
		 "Freed regions share slabs with ones in use: move those together (redis: CONFIG "
		 "SET "
		 "activedefrag yes), or let what lives long be allocated apart.");
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s of the %s active hold nothing that is allocated",
		 units_format_bytes(lost, holes), units_format_bytes(active, je->active_bytes));
	snprintf(out->risk, sizeof(out->risk), "moving objects costs CPU time");
	advice__predict(
		out, 0, 0,
		"at most all of that; a slab is returned only when its last region is free");
	return true;
}

bool advise_thp(const struct explanation *e, struct advice *out)
{
	bool always = strcmp(e->thp_mode, "always") == 0;
	char huge[UNIT_TEXT_MAX], resident[UNIT_TEXT_MAX];

	if (!is_worth_saying(e, e->huge_bytes) ||
	    e->huge_bytes < e->ledger.resident_bytes / HUGE_WORTH_PARTS)
		return false;
	out->id = "thp";
	snprintf(out->text, sizeof(out->text), "Try it without transparent huge pages: %s.",
		 always ? "prctl(PR_SET_THP_DISABLE) before it starts, or \"madvise\" in "
			  "/sys/kernel/mm/transparent_hugepage/enabled"
			: "it asks for them itself (glibc.malloc.hugetlb in GLIBC_TUNABLES, an "
			  "allocator's thp option, madvise)");
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s of %s resident are in huge pages, each resident in whole when one byte of it "
		 "was written%s%s",
		 units_format_bytes(huge, e->huge_bytes),
		 units_format_bytes(resident, e->ledger.resident_bytes),
		 e->thp_mode[0] ? "; the host's mode is " : "", e->thp_mode);
	snprintf(out->risk, sizeof(out->risk),
		 "more TLB misses: programs that use all their "
		 "memory become slower");
	advice__predict(out, 0, 0,
			"how much of each huge page was ever written shows only in its contents, "
			"which are not read");
	return true;
}

bool advise_thread_stacks(const struct explanation *e, struct advice *out)
{
	uint64_t resident = resident_of(e, LEDGER_THREAD_STACKS);
	uint64_t threads = e->thread_stacks_live ? e->thread_stacks_live : e->threads;
	char stacks[UNIT_TEXT_MAX], each[UNIT_TEXT_MAX], size[UNIT_TEXT_MAX], of[64] = "";

	if (!threads || !is_worth_saying(e, resident) ||
	    resident < e->ledger.resident_bytes / STACKS_WORTH_PARTS)
		return false;
	out->id = "thread-stack-size";
	snprintf(out->text, sizeof(out->text),
		 "Run fewer threads, let idle ones end, or shorten what they keep on the stack. A "
		 "smaller stack size saves address space only.");
	if (e->thread_stack_bytes > 0)
		snprintf(of, sizeof(of), " of %s",
			 units_format_bytes(size, (uint64_t)e->thread_stack_bytes));
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s in the stacks of %llu threads: each has touched %s%s on average",
		 units_format_bytes(stacks, resident), (unsigned long long)threads,
		 units_format_bytes(each, resident / threads), of);
	snprintf(out->risk, sizeof(out->risk),
		 "a thread that needs more than a smaller stack has is killed");
	advice__predict(out, 0, 0,
			"that of the stacks of the threads that are not needed; which those are "
			"one look cannot tell");
	return true;
}

bool advise_arenas_bounded(const struct explanation *e, struct advice *out)
{
	const struct glibc_census *census = &e->glibc;

	if (!e->has_glibc || census->arena_limit < ARENAS_MANY ||
	    census->arena_count < (uint64_t)census->arena_limit ||
	    resident_of(e, LEDGER_MALLOC_ARENAS) < e->ledger.resident_bytes / MOST_PARTS)
		return false;
	out->id = "bounded-by-configuration";
	snprintf(out->text, sizeof(out->text),
		 "The number of malloc arenas is bounded and has reached its bound: growth by new "
		 "arenas, which looks like a leak, is over. Each one can still grow to the most "
		 "that its threads hold at once.");
	snprintf(out->evidence, sizeof(out->evidence), "%zu arenas, limit %lld from %s",
		 census->arena_count, (long long)census->arena_limit, census->limit_source);
	advice__predict(out, 0, 0, "none, and nothing needs to be done");
	return true;
}

bool advise_large_bounded(const struct explanation *e, struct advice *out)
{
	const struct ledger_row *row = &e->ledger.rows[LEDGER_LARGE_ANONYMOUS];
	char resident[UNIT_TEXT_MAX], reserved[UNIT_TEXT_MAX];

	if (!is_worth_saying(e, row->resident_bytes) ||
	    row->resident_bytes < e->ledger.resident_bytes / MOST_PARTS)
		return false;
	out->id = "bounded-by-configuration";
	snprintf(out->text, sizeof(out->text),
		 "Memory mapped in multiples of 64 MB outside all allocators, as caches do that "
		 "never give it back (fastcache). Compare it with their configured sizes: a cache "
		 "grows to that and then no more, bounded by configuration and not a leak.");
	/* A full cache need not have used all of its last 64 MB: the pages do not tell whether it
	 * is. */
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s resident of %s mapped in %llu piece%s of the address space",
		 units_format_bytes(resident, row->resident_bytes),
		 units_format_bytes(reserved, row->reserved_bytes),
		 (unsigned long long)row->regions, row->regions == 1 ? "" : "s");
	advice__predict(out, 0, 0, "a smaller cache saves what it is made smaller by");
	return true;
}
