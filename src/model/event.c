// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the handlers of all mapping records share. */
#include <errno.h>

#include "model/event.h"
#include "model/pending.h"

void event__want_reread(struct event *event)
{
	event->process->needs_reread = true;
}

void event__note_error(struct event *event, int err)
{
	if (!err)
		return;
	/* What was not known is read again; nothing of the record is lost by that. */
	if (err != -ENOENT)
		event->model->losses[err == -EINVAL ? LOSS_bad_records : LOSS_mappings_dropped]++;
	event__want_reread(event);
}

bool event__has_log(struct event *event)
{
	if (!event->space->ops)
		event->space->ops = op_log__new();
	if (!event->space->ops)
		event__want_reread(event);
	return event->space->ops;
}

struct op event__make_op(const struct event *event, enum op_kind kind, uint64_t start, uint64_t end)
{
	return (struct op){
		.start = start,
		.end = end,
		.enter_ns = event->enter_ns,
		.time_ns = event->rec->hdr.time_ns,
		.tid = event->tid,
		.kind = kind,
	};
}

void event__log_op(struct event *event, const struct op *op)
{
	if (event__has_log(event) && !op_log__add(event->space->ops, op))
		event__want_reread(event);
}

void event__settle_op(struct event *event, const struct op *op)
{
	if (!event__has_log(event))
		return;
	if (op_log__races(event->space->ops, op))
		event__want_reread(event);
	event__log_op(event, op);
}

void event__fail_op(struct event *event, enum op_kind kind, uint64_t end)
{
	struct op op = event__make_op(event, kind, event->rec->addr, end);

	event__log_op(event, &op);
	event__want_reread(event);
}

void event__undo_pending(struct event *event)
{
	struct pending_call call;

	if (pending__finish(event->space, event->tid, event->enter_ns, &call))
		pending_call__undo(event->space, &call);
}
