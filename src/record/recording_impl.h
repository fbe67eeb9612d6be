/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_RECORDING_IMPL_H
#define MEMDRIFT_RECORD_RECORDING_IMPL_H

#include "record/fields.h"
#include "record/recording.h"
#include "record/stack_book.h"

/* A recording in memory; shared by src/record/recording*.c only. */
struct shared_space {
	struct space *space;
	uint64_t pieces, heaps; /* of RECORD_LOOKS_MAX; see count_looks */
};

struct recording {
	struct record_head head;
	struct trace_result result; /* its upper part */
	struct model model;
	struct process **ended_tail;
	struct class_table classes;
	struct recorded_stacks stacks;
	struct shared_space *spaces;
	struct live_view **views;
	uint32_t space_count, space_room, view_count, view_room;
	struct stack_weights weights[RECORD_WEIGHTS_MAX];
	struct weight_record last_weight;
	bool has_weight;
	struct fact_list facts;
	/* Where the items that come next belong: records come in the order of views and groups. */
	uint32_t items_view, items_group;
	struct live_group *items_of;
	bool has_head;
	uint64_t looks; /* of RECORD_LOOKS_MAX */
	uint64_t live_count;
};

struct shared_space shared_space__of(struct space *space);
/* Takes what a process adds to a report off the bounds. False: refused. */
bool recording__count(struct recording *recording, struct codec *codec,
		      const struct process *process, const struct process_place *place);
/* Once all was read. */
bool recording__is_bounded(const struct recording *recording);

#endif
