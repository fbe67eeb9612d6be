/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_PROFILE_COLLECT_H
#define MEMDRIFT_OUTPUT_PROFILE_COLLECT_H

#include "output/profile_make.h"
#include "output/weight_index.h"

/* What the stacks of one process weigh, before they become samples. */

/* One weight of one stack. */
struct profile_entry {
	int32_t stack; /* STACK_NONE: without */
	enum profile_weight weight;
	uint64_t value;
};

struct profile_collector {
	struct weight_index mmap, alloc, fault;
	uint64_t fault_period_bytes;
	struct profile_entry *entries; /* of the process at hand */
	size_t entry_count, entry_room;
	uint64_t listed[WEIGHT_MAX];   /* their sums */
	uint64_t unlisted[WEIGHT_MAX]; /* kept out by a filter */
	uint64_t totals[WEIGHT_MAX];   /* what the report gives */
	int err;
};

/*
 * Takes the entries of a process anew; of each known weight they add up to its total less what has
 * no stack and less what is unlisted. An error stays in `err`.
 */
void profile_collector__take(struct profile_collector *collector, const struct process *process,
			     const bool known[WEIGHT_MAX]);
void profile_collector__free(struct profile_collector *collector);

#endif
