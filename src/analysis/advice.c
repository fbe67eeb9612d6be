// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/advice_internal.h"

#define WORTH_BYTES       (1ULL << 20)
#define WORTH_PARTS       50 /* one in so many of the resident bytes */
#define WIDEST_RANGE      2
#define MOST_BYTES        0x1p57 /* x86-64's largest address spaces */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Where savings are alike, or unknown, this is the order. */
static const advice_giver givers[] = {
	advise_malloc_trim,
	advise_go_free,
	advise_jemalloc_decay,
	advise_gogc,
	advise_arena_max,
	advise_other_allocator,
	advise_jemalloc_fragmentation,
	advise_go_fragmentation,
	advise_thp,
	advise_thread_stacks,
	advise_arenas_bounded,
	advise_large_bounded,
	advise_go_bounded,
};
/* And GOMEMLIMIT. */
_Static_assert(ARRAY_SIZE(givers) + 1 <= ADVICE_MAX, "a place for each");

uint64_t resident_of(const struct explanation *e, enum ledger_component component)
{
	return e->ledger.rows[component].resident_bytes;
}

bool is_worth_saying(const struct explanation *e, uint64_t bytes)
{
	return bytes >= WORTH_BYTES && bytes >= e->ledger.resident_bytes / WORTH_PARTS;
}

void advice__predict(struct advice *advice, double low_bytes, double high_bytes,
		     const char *why_else)
{
	/* Figures beyond an address space are nobody's; and they would not fit. */
	uint64_t low = low_bytes > 0 && low_bytes < MOST_BYTES ? (uint64_t)low_bytes : 0;
	uint64_t high = high_bytes > 0 && high_bytes < MOST_BYTES ? (uint64_t)high_bytes : 0;

	if (!low || high < low || high > WIDEST_RANGE * low) {
		snprintf(advice->why_no_saving, sizeof(advice->why_no_saving), "%s", why_else);
		return;
	}
	advice->has_saving = true;
	advice->saving_low_bytes = low;
	advice->saving_high_bytes = high;
}

/* Insertion: equal ones keep their order. */
static void place(struct advice_list *list, const struct advice *advice)
{
	size_t at = list->count++;

	while (at && advice->saving_low_bytes > list->items[at - 1].saving_low_bytes) {
		list->items[at] = list->items[at - 1];
		at--;
	}
	list->items[at] = *advice;
}

void advice__give(const struct explanation *explanation, uint64_t margin_bytes,
		  struct advice_list *out)
{
	struct advice advice = {0};

	memset(out, 0, sizeof(*out));
	if (advise_gomemlimit(explanation, margin_bytes, out, &advice))
		place(out, &advice);
	for (size_t i = 0; i < ARRAY_SIZE(givers); i++) {
		memset(&advice, 0, sizeof(advice));
		if (givers[i](explanation, &advice))
			place(out, &advice);
	}
}
