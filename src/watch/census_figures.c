// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/census_figures.h"

#include <bsd/string.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "census/explanation.h"

#define UNKNOWN (-1)

/* A count of bytes that a process's memory gave may be anything. */
static int64_t known(uint64_t bytes)
{
	return bytes > INT64_MAX ? UNKNOWN : (int64_t)bytes;
}

static int64_t known_sum(int64_t a, int64_t b)
{
	int64_t sum;

	return a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum) ? UNKNOWN : sum;
}

static int64_t or_unknown(int64_t value)
{
	return value < 0 ? UNKNOWN : value;
}

static void forget_all(struct census_figures *out)
{
	*out = (struct census_figures){
		.brk = UNKNOWN,
		.arena_resident = UNKNOWN,
		.direct_mapping = UNKNOWN,
		.thread_stack = UNKNOWN,
		.arena_committed = UNKNOWN,
		.arenas = UNKNOWN,
		.malloc_in_use = UNKNOWN,
		.malloc_free = UNKNOWN,
		.malloc_in_use_error = UNKNOWN,
		.malloc_mmapped = UNKNOWN,
		.go_heap = UNKNOWN,
		.go_alloc = UNKNOWN,
		.go_idle = UNKNOWN,
		.arena_limit = UNKNOWN,
		.limit_bytes = UNKNOWN,
		.rss_bytes = UNKNOWN,
		.swap_bytes = UNKNOWN,
	};
}

static int by_resident(const void *a, const void *b)
{
	const struct census_row *x = a, *y = b;

	return (x->resident_bytes < y->resident_bytes) - (x->resident_bytes > y->resident_bytes);
}

static void take_rows(const struct ledger *ledger, struct census_figures *out)
{
	struct census_row rows[LEDGER_COMPONENTS] = {0};

	for (int i = 0; i < LEDGER_COMPONENTS; i++) {
		strlcpy(rows[i].name, ledger_component__name(i), sizeof(rows[i].name));
		rows[i].resident_bytes = known(ledger->rows[i].resident_bytes);
		rows[i].swapped_bytes = known(ledger->rows[i].swapped_bytes);
	}
	qsort(rows, LEDGER_COMPONENTS, sizeof(*rows), by_resident);
	while (out->row_count < CENSUS_ROWS_MAX && rows[out->row_count].resident_bytes > 0) {
		out->rows[out->row_count] = rows[out->row_count];
		out->row_count++;
	}
}

static int64_t row(const struct ledger *ledger, enum ledger_component component)
{
	return known(ledger->rows[component].resident_bytes);
}

/*
 * The sum is the kernel's, or that of a process at work, which changed between the two readings by
 * less than what counts as moved. A ledger that missed the sum of one that stood still says
 * nothing.
 */
static bool agrees(const struct check *rss)
{
	uint64_t most = MAX(1ull << 20, rss->expected / 100);
	uint64_t off = rss->found > rss->expected ? rss->found - rss->expected
						  : rss->expected - rss->found;

	return rss->ok || (!rss->done && off <= most);
}

static void take_ledger(const struct explanation *explanation, struct census_figures *out)
{
	const struct ledger *ledger = &explanation->ledger;

	if (!agrees(&ledger->rss))
		return;
	out->ledger_agrees = 1;
	out->rss_bytes = known(ledger->resident_bytes);
	out->brk = row(ledger, LEDGER_BRK_HEAP);
	out->direct_mapping =
		known_sum(row(ledger, LEDGER_LARGE_ANONYMOUS), row(ledger, LEDGER_OTHER_ANONYMOUS));
	out->thread_stack = row(ledger, LEDGER_THREAD_STACKS);
	take_rows(ledger, out);
}

static void take_glibc(const struct explanation *explanation, struct census_figures *out)
{
	const struct glibc_census *glibc = &explanation->glibc;

	if (out->ledger_agrees)
		out->arena_resident = row(&explanation->ledger, LEDGER_MALLOC_ARENAS);
	out->arena_committed = 0;
	for (size_t i = 0; i < glibc->arena_count; i++) {
		if (!glibc->arenas[i].is_main)
			out->arena_committed = known_sum(out->arena_committed,
							 known(glibc->arenas[i].system_bytes));
	}
	out->arenas = known(glibc->arena_count);
	out->arena_limit = or_unknown(glibc->arena_limit);
	strlcpy(out->arena_limit_source, glibc->limit_source, sizeof(out->arena_limit_source));
}

static void add_use(struct census_figures *out, int64_t in_use, int64_t free)
{
	out->malloc_in_use = known_sum(out->malloc_in_use, in_use);
	out->malloc_free = known_sum(out->malloc_free, free);
}

static void add_glibc_use(const struct glibc_census *glibc, struct census_figures *out)
{
	out->malloc_mmapped =
		glibc->mmapped.done && !glibc->mmapped.ok ? UNKNOWN : known(glibc->mmapped_bytes);
	add_use(out, known_sum(known(glibc->in_use_bytes), out->malloc_mmapped),
		known(glibc->free_bytes));
	out->malloc_in_use_error =
		known_sum(known(glibc->in_use_error_bytes), known(glibc->unwalked_bytes));
}

static void add_jemalloc(const struct jemalloc_facts *jemalloc, struct census_figures *out)
{
	const struct check *check = &jemalloc->extents_in_mappings;

	if ((check->done && !check->ok) || jemalloc->active_bytes < jemalloc->allocated_bytes)
		add_use(out, UNKNOWN, UNKNOWN);
	else
		add_use(out, known(jemalloc->allocated_bytes),
			known(jemalloc->active_bytes - jemalloc->allocated_bytes));
}

/* What else the program calls as malloc: its structures tell what is in use at most. */
static void add_other(const struct allocators *allocators, struct census_figures *out)
{
	int64_t in_use = UNKNOWN;

	for (size_t i = 0; i < allocators->other_count; i++) {
		const struct allocator_facts *other = &allocators->others[i];

		if (strcmp(other->name, allocators->malloc_owner) == 0 && other->has_in_use)
			in_use = known(other->in_use_bytes);
	}
	add_use(out, in_use, UNKNOWN);
}

/*
 * All that there is: a jemalloc under a prefix is beside the C library's heap, and some of that is
 * in use beside any other.
 */
static void take_malloc(const struct explanation *explanation, struct census_figures *out)
{
	const struct allocators *allocators = &explanation->allocators;
	const char *owner = allocators->malloc_owner;
	bool other = *owner && strcmp(owner, "glibc") && strcmp(owner, "jemalloc");

	strlcpy(out->malloc_owner, owner, sizeof(out->malloc_owner));
	if (explanation->has_glibc)
		take_glibc(explanation, out);
	if (!explanation->has_glibc && !allocators->has_jemalloc && !other)
		return;
	out->malloc_in_use = out->malloc_free = 0;
	if (explanation->has_glibc)
		add_glibc_use(&explanation->glibc, out);
	if (allocators->has_jemalloc)
		add_jemalloc(&allocators->jemalloc, out);
	if (other)
		add_other(allocators, out);
}

static void take_go(const struct go_facts *go, struct census_figures *out)
{
	if (!go->known)
		return;
	out->go_heap = or_unknown(go->heap_inuse_bytes);
	out->go_alloc = or_unknown(go->heap_alloc_bytes);
	/* runtime.MemStats: HeapIdle less HeapReleased is kept and could be given back. */
	if (go->heap_idle_bytes >= 0 && go->heap_released_bytes >= 0 &&
	    go->heap_idle_bytes >= go->heap_released_bytes)
		out->go_idle = go->heap_idle_bytes - go->heap_released_bytes;
}

void census_figures__of(const struct explanation *explanation, struct census_figures *out)
{
	forget_all(out);
	take_ledger(explanation, out);
	take_malloc(explanation, out);
	if (explanation->has_go)
		take_go(&explanation->go, out);
	out->limit_bytes = or_unknown(explanation->cgroup.limit_bytes);
	out->cpu_quota = explanation->cgroup.cpu_quota;
	out->cpuset_cpus = explanation->cgroup.cpuset_cpus;
	out->cpus_online = explanation->cpus_online;
	if (explanation->has_rollup)
		out->swap_bytes = known(explanation->swap_bytes);
	out->start_time = explanation->start_ticks;
	out->bytes_read = explanation->bytes_read;
}

int census_figures__read(uint32_t pid, struct census_figures *out)
{
	struct explanation explanation;
	int err = explanation__read(pid, &explanation);

	forget_all(out);
	if (!err)
		census_figures__of(&explanation, out);
	explanation__free(&explanation);
	return err;
}
