/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_LEDGER_H
#define MEMDRIFT_CENSUS_LEDGER_H

#include "census/check.h"
#include "census/claims.h"
#include "census/subject.h"

/* One component's share of a process's memory. */
struct ledger_row {
	uint64_t resident_bytes;
	uint64_t reserved_bytes; /* address space, resident or not */
	uint64_t swapped_bytes;
	uint64_t regions; /* pieces that do not touch another of the same component */
	const char *how;  /* of its largest claim; NULL: told from /proc/PID/maps alone */
};

struct ledger {
	struct ledger_row rows[LEDGER_COMPONENTS];
	uint64_t resident_bytes; /* sum of the rows: pages that are resident */
	struct check rss; /* against Rss of smaps_rollup without the vDSO; done is false where the
			   * process changed between the two readings */
};

/*
 * Adds up all resident pages of the subject: what claims hold goes to their component, the rest by
 * its mapping. claims must be settled. 0, -ESRCH, -ENOMEM.
 */
int ledger__sum(struct subject *subject, const struct claims *claims, struct ledger *ledger);

#endif
