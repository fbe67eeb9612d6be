/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_ADVICE_INTERNAL_H
#define MEMDRIFT_ANALYSIS_ADVICE_INTERNAL_H

#include "analysis/advice.h"

/*
 * A giver looks for the evidence for its one piece of advice. When there is any it fills *out, all
 * but zeroed before, and returns true. Strings of the explanation are raw: givers print none but
 * constants.
 */
typedef bool (*advice_giver)(const struct explanation *e, struct advice *out);

bool advise_malloc_trim(const struct explanation *e, struct advice *out);
bool advise_arena_max(const struct explanation *e, struct advice *out);
bool advise_other_allocator(const struct explanation *e, struct advice *out);
bool advise_jemalloc_decay(const struct explanation *e, struct advice *out);
bool advise_jemalloc_fragmentation(const struct explanation *e, struct advice *out);
bool advise_go_free(const struct explanation *e, struct advice *out);
bool advise_gogc(const struct explanation *e, struct advice *out);
bool advise_go_fragmentation(const struct explanation *e, struct advice *out);
bool advise_thread_stacks(const struct explanation *e, struct advice *out);
bool advise_thp(const struct explanation *e, struct advice *out);
bool advise_arenas_bounded(const struct explanation *e, struct advice *out);
bool advise_large_bounded(const struct explanation *e, struct advice *out);
bool advise_go_bounded(const struct explanation *e, struct advice *out);

/* GOMEMLIMIT: also fills the terms of list. */
bool advise_gomemlimit(const struct explanation *e, uint64_t margin_bytes, struct advice_list *list,
		       struct advice *out);

/* Resident bytes of a component. */
uint64_t resident_of(const struct explanation *e, enum ledger_component component);

/* What is worth a word: 1 MiB and 2 % of what is resident. */
bool is_worth_saying(const struct explanation *e, uint64_t bytes);

/* Sets the saving to [low, high], or, when that is wider than a factor of two or below nothing,
 * the reason why there is none. */
void advice__predict(struct advice *advice, double low_bytes, double high_bytes,
		     const char *why_else);

/* Its Go figures are known, and such that sums of them do not overflow. */
bool has_go_figures(const struct explanation *e);

/* What is mapped by the Go runtime and not given back (what GOMEMLIMIT bounds); for a process that
 * has_go_figures. */
int64_t go_total_bytes(const struct go_facts *go);

#endif
