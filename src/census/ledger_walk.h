/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_LEDGER_WALK_H
#define MEMDRIFT_CENSUS_LEDGER_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "census/claims.h"
#include "census/ledger_rules.h"
#include "census/page_runs.h"
#include "census/pagemap.h"

/* A part of one mapping that is one thing: somebody's claim, or what its mapping makes it. */
struct ledger_piece {
	const struct maps_entry *entry;
	uint64_t start;
	uint64_t end;
	const struct claim *claim; /* NULL: kind tells */
	enum mapping_kind kind;    /* of the mapping, where nobody claims it */
	uint64_t resident_bytes;
};

typedef void (*ledger_piece_fn)(void *ctx, const struct ledger_piece *piece);

struct ledger_walk {
	const struct mapping_rules *rules;
	const struct claims *claims; /* settled */
	const struct page_runs *runs;
	struct pagemap *pm; /* counts where the runs are not known */
	ledger_piece_fn fn;
	void *ctx;
};

/*
 * Calls fn for all pieces of all mappings, by address; pages are those of the runs. Takes time
 * proportional to the mappings, claims and runs. 0 or what the pagemap gave (-ESRCH, ...).
 */
int ledger_walk__each(const struct ledger_walk *walk);

#endif
