// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "census/explanation.h"
#include "watch/census_figures.h"

#define MB      (1ull << 20)
#define UNKNOWN (-1)

static struct glibc_arena arenas[3] = {
	{.is_main = true, .system_bytes = 7 * MB},
	{.system_bytes = 20 * MB},
	{.system_bytes = 30 * MB},
};

/* All of it known. */
static struct explanation make_explanation(void)
{
	struct explanation explanation = {
		.has_glibc = true,
		.has_go = true,
		.glibc = {.arenas = arenas,
			  .arena_count = 3,
			  .arena_limit = 16,
			  .limit_source = "8 x 2 online CPUs",
			  .in_use_bytes = 40 * MB,
			  .free_bytes = 10 * MB,
			  .mmapped_bytes = 5 * MB,
			  .in_use_error_bytes = 3,
			  .unwalked_bytes = 4,
			  .mmapped = {.done = true, .ok = true}},
		.go = {.known = true,
		       .heap_inuse_bytes = 9,
		       .heap_alloc_bytes = 8,
		       .heap_idle_bytes = 7,
		       .heap_released_bytes = 5},
		.allocators = {.malloc_owner = "glibc"},
		.cgroup = {.limit_bytes = 123, .cpu_quota = 1.5, .cpuset_cpus = 2},
		.cpus_online = 4,
		.has_rollup = true,
		.swap_bytes = 11,
	};
	struct ledger *ledger = &explanation.ledger;

	ledger->rss = (struct check){.done = true, .ok = true};
	ledger->resident_bytes = 100 * MB;
	ledger->rows[LEDGER_BRK_HEAP].resident_bytes = 6 * MB;
	ledger->rows[LEDGER_MALLOC_ARENAS].resident_bytes = 44 * MB;
	ledger->rows[LEDGER_LARGE_ANONYMOUS].resident_bytes = 64 * MB;
	ledger->rows[LEDGER_OTHER_ANONYMOUS].resident_bytes = 3 * MB;
	ledger->rows[LEDGER_THREAD_STACKS].resident_bytes = 2 * MB;
	return explanation;
}

static struct census_figures figures_of(const struct explanation *explanation)
{
	struct census_figures figures;

	memset(&figures, 0xff, sizeof(figures));
	census_figures__of(explanation, &figures);
	return figures;
}

static void each_figure_is_in_its_place(void **state)
{
	struct explanation explanation = make_explanation();
	struct census_figures figures = figures_of(&explanation);

	assert_int_equal(figures.brk, 6 * MB);
	assert_int_equal(figures.arena_resident, 44 * MB);
	assert_int_equal(figures.arena_committed, 50 * MB);
	assert_int_equal(figures.arenas, 3);
	assert_int_equal(figures.arena_limit, 16);
	assert_string_equal(figures.arena_limit_source, "8 x 2 online CPUs");
	assert_int_equal(figures.malloc_in_use, 45 * MB);
	assert_int_equal(figures.malloc_mmapped, 5 * MB);
	assert_int_equal(figures.malloc_free, 10 * MB);
	assert_int_equal(figures.malloc_in_use_error, 7);
	assert_int_equal(figures.go_heap, 9);
	assert_int_equal(figures.go_alloc, 8);
	assert_int_equal(figures.go_idle, 2);
	assert_int_equal(figures.direct_mapping, 67 * MB);
	assert_int_equal(figures.thread_stack, 2 * MB);
	assert_int_equal(figures.limit_bytes, 123);
	assert_int_equal(figures.cpus_online, 4);
	assert_int_equal(figures.cpuset_cpus, 2);
	assert_true(figures.cpu_quota == 1.5);
	assert_int_equal(figures.swap_bytes, 11);
	assert_int_equal(figures.row_count, 5);
	assert_string_equal(figures.rows[0].name, "large-anonymous");
	assert_string_equal(figures.rows[1].name, "malloc-arenas");
}

static void a_ledger_that_misses_the_sum_says_nothing(void **state)
{
	static const struct {
		struct check rss;
		bool agrees;
	} cases[] = {
		{{true, true, 100, 100}, true},
		{{true, false, 100 * MB, 100 * MB + 4096}, false},
		/* At work: it changed by so much between the two readings. */
		{{false, false, 50 * MB, 51 * MB}, true},
		{{false, false, 50 * MB, 51 * MB + 1}, false},
		{{false, false, 1000 * MB, 990 * MB}, false},
		{{false, false, 999 * MB, 990 * MB}, true},
		/* The kernel told no sum. */
		{{false, false, 50 * MB, 0}, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct explanation explanation = make_explanation();
		struct census_figures figures;

		explanation.ledger.rss = cases[i].rss;
		figures = figures_of(&explanation);
		assert_int_equal(figures.ledger_agrees, cases[i].agrees);
		assert_int_equal(figures.brk, cases[i].agrees ? 6 * (int64_t)MB : UNKNOWN);
		assert_int_equal(figures.arena_resident,
				 cases[i].agrees ? 44 * (int64_t)MB : UNKNOWN);
		assert_int_equal(figures.direct_mapping,
				 cases[i].agrees ? 67 * (int64_t)MB : UNKNOWN);
		assert_int_equal(figures.row_count, cases[i].agrees ? 5 : 0);
		assert_int_equal(figures.malloc_in_use, 45 * MB);
	}
}

static void what_is_not_there_is_unknown(void **state)
{
	struct explanation explanation = make_explanation();
	struct census_figures figures;

	explanation.has_glibc = explanation.has_go = explanation.has_rollup = false;
	explanation.allocators.malloc_owner[0] = '\0';
	figures = figures_of(&explanation);
	assert_int_equal(figures.arenas, UNKNOWN);
	assert_int_equal(figures.arena_resident, UNKNOWN);
	assert_int_equal(figures.arena_committed, UNKNOWN);
	assert_int_equal(figures.arena_limit, UNKNOWN);
	assert_int_equal(figures.malloc_in_use, UNKNOWN);
	assert_int_equal(figures.malloc_free, UNKNOWN);
	assert_int_equal(figures.go_heap, UNKNOWN);
	assert_int_equal(figures.swap_bytes, UNKNOWN);

	explanation = make_explanation();
	explanation.go.heap_idle_bytes = GO_UNKNOWN;
	assert_int_equal(figures_of(&explanation).go_idle, UNKNOWN);
	explanation.go.known = false;
	assert_int_equal(figures_of(&explanation).go_heap, UNKNOWN);
	/* Chunks of their own mapping that do not add up. */
	explanation.glibc.mmapped.ok = false;
	assert_int_equal(figures_of(&explanation).malloc_in_use, UNKNOWN);
	assert_int_equal(figures_of(&explanation).malloc_free, 10 * MB);
	/* No process has so much. */
	explanation.glibc.free_bytes = UINT64_MAX;
	assert_int_equal(figures_of(&explanation).malloc_free, UNKNOWN);
}

static void other_allocators_count(void **state)
{
	struct explanation explanation = make_explanation();
	struct allocators *allocators = &explanation.allocators;
	struct census_figures figures;

	/* Under a prefix, beside glibc's. */
	allocators->has_jemalloc = true;
	allocators->jemalloc.allocated_bytes = 100 * MB;
	allocators->jemalloc.active_bytes = 120 * MB;
	allocators->jemalloc.extents_in_mappings = (struct check){.done = true, .ok = true};
	figures = figures_of(&explanation);
	assert_int_equal(figures.malloc_in_use, 145 * MB);
	assert_int_equal(figures.malloc_free, 30 * MB);
	allocators->jemalloc.extents_in_mappings.ok = false;
	assert_int_equal(figures_of(&explanation).malloc_in_use, UNKNOWN);

	explanation = make_explanation();
	explanation.has_glibc = false;
	strcpy(allocators->malloc_owner, "mimalloc");
	allocators->others[0] = (struct allocator_facts){
		.name = "mimalloc", .in_use_bytes = 33 * MB, .has_in_use = true};
	assert_int_equal(figures_of(&explanation).malloc_in_use, UNKNOWN);
	allocators->other_count = 1;
	figures = figures_of(&explanation);
	assert_int_equal(figures.malloc_in_use, 33 * MB);
	assert_int_equal(figures.malloc_free, UNKNOWN);
	allocators->others[0].has_in_use = false;
	assert_int_equal(figures_of(&explanation).malloc_in_use, UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_figure_is_in_its_place),
		cmocka_unit_test(a_ledger_that_misses_the_sum_says_nothing),
		cmocka_unit_test(what_is_not_there_is_unknown),
		cmocka_unit_test(other_allocators_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
