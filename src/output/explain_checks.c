// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/explain_text.h"

/* All arenas' walks as one: it was made when all were, and agrees when all do. */
static struct check sum_walks(const struct glibc_census *census)
{
	struct check sum = {.done = census->arena_count > 0, .ok = true};

	for (size_t i = 0; i < census->arena_count; i++) {
		const struct check *walked = &census->arenas[i].walked;

		sum.done = sum.done && walked->done;
		sum.ok = sum.ok && walked->ok;
		sum.found += walked->found;
		sum.expected += walked->expected;
	}
	return sum;
}

size_t glibc_census__agreeing(const struct glibc_census *census)
{
	size_t n = 0;

	for (size_t i = 0; i < census->arena_count; i++)
		n += census->arenas[i].walked.done && census->arenas[i].walked.ok;
	return n;
}

size_t explain_checks__list(const struct explanation *explanation,
			    struct explain_check checks[EXPLAIN_CHECKS_MAX])
{
	size_t n = 0;

	checks[n++] = (struct explain_check){"rss", "the sum of the table", "Rss less the vDSO",
					     explanation->ledger.rss};
	if (explanation->has_glibc) {
		const struct glibc_census *census = &explanation->glibc;

		checks[n++] = (struct explain_check){"glibc_walked", "bytes walked", "system_mem",
						     sum_walks(census)};
		checks[n++] = (struct explain_check){"glibc_mmapped", "chunks of own mappings",
						     "mmapped_mem", census->mmapped};
	}
	if (explanation->has_go)
		checks[n++] = (struct explain_check){"go_heap", "Go's heap in use",
						     "the sum over its counters",
						     explanation->go.invariants};
	if (explanation->allocators.has_jemalloc)
		checks[n++] = (struct explain_check){
			"jemalloc_extents", "jemalloc's extents within mappings", "all its extents",
			explanation->allocators.jemalloc.extents_in_mappings};
	return n;
}
