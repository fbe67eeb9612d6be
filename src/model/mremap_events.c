// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Records of mremap: it moves, cuts, extends and duplicates. */
#include <errno.h>
#include <sys/mman.h>

#include "model/event.h"
#include "model/pending.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The arguments as the kernel rounds them. */
struct mremap_args {
	uint64_t from, from_end; /* equal when nothing is to be taken from there */
	uint64_t new_len;
	bool moves_to; /* MREMAP_FIXED: what is at [aux2, aux2 + new_len) goes */
	bool stays;    /* a duplicate: the old range stays mapped */
};

/* False for what the kernel refuses at once (mm/mremap.c), and then nothing has happened. */
static bool read_mremap(const struct rec_mapping *rec, struct mremap_args *args)
{
	uint32_t flags = rec->prot;
	uint64_t from_end = range__end(rec->addr, rec->len);

	*args = (struct mremap_args){
		.from = rec->addr,
		/* A range beyond all addresses fails, but only after the new place was cleared. */
		.from_end = from_end ? from_end : rec->addr,
		.new_len = map_length(rec->aux, 0),
		.moves_to = flags & MREMAP_FIXED,
		.stays = flags & MREMAP_DONTUNMAP || !map_length(rec->len, 0),
	};
	if (rec->addr % SPACE_PAGE_BYTES || !args->new_len)
		return false;
	if (flags & ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)))
		return false;
	if (args->moves_to &&
	    (!range__end(rec->aux2, args->new_len) ||
	     (rec->aux2 < args->from_end && rec->aux2 + args->new_len > args->from)))
		return false;
	return !(flags & MREMAP_DONTUNMAP) || args->from_end - args->from == args->new_len;
}

void event__start_mremap(struct event *event)
{
	struct mremap_args args;
	struct address_range cover = {0};
	struct op op;

	if (!read_mremap(event->rec, &args))
		return;
	if (args.moves_to) {
		cover = (struct address_range){event->rec->aux2, event->rec->aux2 + args.new_len};
		op = event__make_op(event, OP_REMOVE, cover.start, cover.end);
		op.whole = space__covers(event->space, cover.start, args.new_len);
		event__log_op(event, &op);
	}
	if (args.from < args.from_end && !args.stays) {
		op = event__make_op(event, OP_REMOVE, args.from, args.from_end);
		op.whole = space__covers(event->space, args.from, args.from_end - args.from);
		event__log_op(event, &op);
		pending__start(event->space, event->tid, event->enter_ns,
			       (struct address_range){args.from, args.from_end}, cover);
	} else if (args.moves_to) {
		pending__start(event->space, event->tid, event->enter_ns, cover,
			       (struct address_range){0});
	}
}

/* The old mapping stays, and another like it appears. */
static void duplicate(struct event *event, const struct mremap_args *args)
{
	const struct rec_mapping *rec = event->rec;
	const struct mapping *old = space__find(event->space, args->from), *piece;
	bool same = true;
	struct map_request request = {
		.time_ns = rec->hdr.time_ns,
		.addr = (uint64_t)rec->result,
		.len = args->new_len,
		.tid = event->tid,
		.stack = rec->stack,
	};
	struct pending_call call;

	/* What MREMAP_FIXED covered is gone. */
	if (pending__finish(event->space, event->tid, event->enter_ns, &call)) {
		moved_range__free(call.taken);
		moved_range__free(call.covered);
	}
	if (!old || old->start > args->from) {
		event__note_error(event, -ENOENT);
		return;
	}
	/* One mapping, or from kernel 6.17 on several that may look different. */
	for (piece = old; piece && piece->start < args->from_end; piece = space__next(piece))
		same &= piece->prot == old->prot;
	if (!same || (args->from < args->from_end &&
		      !space__covers(event->space, args->from, args->from_end - args->from)))
		event__want_reread(event);
	request.prot = old->prot;
	request.map_flags = old->origin->map_flags & ~(uint32_t)(MAP_FIXED | MAP_HUGETLB);
	request.file_offset = old->origin->file_offset;
	event__note_error(event, space__map(event->space, &request));
}

static void move(struct event *event, const struct mremap_args *args)
{
	uint64_t to = (uint64_t)event->rec->result;
	struct pending_call call = {0};
	bool shrinks_in_place = to == args->from && args->new_len <= args->from_end - args->from;

	if (!pending__finish(event->space, event->tid, event->enter_ns, &call)) {
		/* Nothing waits: its start was lost, or came before what /proc showed. */
		call.taken = space__take(event->space, args->from, args->from_end - args->from);
		if (!call.taken) {
			event__note_error(event, args->from < args->from_end ? -ENOMEM : -EINVAL);
			return;
		}
	}
	/*
	 * It succeeded, so all of it was mapped; but to cut off an end the kernel only looks at the
	 * first page, and from 6.17 on a range with holes can move, which leaves what is mapped at
	 * the new place of a hole (mm/mremap.c: remap_move).
	 */
	if (!shrinks_in_place && !moved_range__covers(call.taken, args->new_len)) {
		event__want_reread(event);
		event__note_error(event, space__place(event->space, call.taken, to, args->new_len));
		if (call.covered)
			space__put_back(event->space, call.covered);
		return;
	}
	moved_range__free(call.covered);
	event__note_error(event, space__place(event->space, call.taken, to, args->new_len));
}

void event__end_mremap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	struct mremap_args args;
	struct op op;

	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		event__undo_pending(event);
		if (read_mremap(rec, &args))
			event__want_reread(event);
		return;
	}
	if (!read_mremap(rec, &args) || !range__end((uint64_t)rec->result, args.new_len)) {
		event__undo_pending(event);
		event__note_error(event, -EINVAL);
		return;
	}
	event->process->mapping.mremap_calls++;
	if (args.from < args.from_end && !args.stays) {
		/* As for a mapping that changes: others may have had a hand on it before it went.
		 */
		op = event__make_op(event, OP_PROTECT, args.from, args.from_end);
		if (event__has_log(event) && op_log__races(event->space->ops, &op))
			event__want_reread(event);
	}
	op = event__make_op(event, args.moves_to ? OP_REPLACE : OP_ADD, (uint64_t)rec->result,
			    (uint64_t)rec->result + args.new_len);
	event__settle_op(event, &op);
	if (args.stays)
		duplicate(event, &args);
	else
		move(event, &args);
}
