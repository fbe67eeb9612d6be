/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_EVENT_H
#define MEMDRIFT_MODEL_EVENT_H

#include "model/model_impl.h"
#include "model/op_log.h"

/* One record and what it is about. */
struct event {
	struct model *model;
	struct process *process;
	struct space *space;
	const struct rec_mapping *rec;
	uint32_t tid;
	uint64_t enter_ns;
	uint64_t contradictions; /* of the space, before the record */
};

/* The space may differ from /proc from here on. */
void event__want_reread(struct event *event);
/* Counts what the space could not take in; 0 is fine. */
void event__note_error(struct event *event, int err);
bool event__has_log(struct event *event);
struct op event__make_op(const struct event *event, enum op_kind kind, uint64_t start,
			 uint64_t end);
void event__log_op(struct event *event, const struct op *op);
/* A call has returned: is it certain what it did before and after the calls of other threads? */
void event__settle_op(struct event *event, const struct op *op);
/* A call failed, after it may have acted on its range up to `end`. */
void event__fail_op(struct event *event, enum op_kind kind, uint64_t end);
/* What the call's start took out stands again where it was. */
void event__undo_pending(struct event *event);

/* mremap_events.c */
void event__start_mremap(struct event *event);
void event__end_mremap(struct event *event);

#endif
