// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Records of the system calls that change an address space. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/model_impl.h"
#include "model/op_log.h"
#include "model/pending.h"

/* mprotect(2): the range is extended to the end of a mapping that grows; only the kernel knows it. */
#ifndef PROT_GROWSDOWN
#define PROT_GROWSDOWN 0x01000000
#define PROT_GROWSUP   0x02000000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

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

static bool replaces(uint32_t map_flags)
{
	return (map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
}

static void want_reread(struct event *event)
{
	event->process->needs_reread = true;
}

static void note_error(struct event *event, int err)
{
	if (!err)
		return;
	/* What was not known is read again; nothing of the record is lost by that. */
	if (err != -ENOENT)
		event->model->losses[err == -EINVAL ? LOSS_bad_records : LOSS_mappings_dropped]++;
	want_reread(event);
}

static bool has_log(struct event *event)
{
	if (!event->space->ops)
		event->space->ops = op_log__new();
	if (!event->space->ops)
		want_reread(event);
	return event->space->ops;
}

static struct op make_op(const struct event *event, enum op_kind kind, uint64_t start, uint64_t end)
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

static void log_op(struct event *event, const struct op *op)
{
	if (has_log(event) && !op_log__add(event->space->ops, op))
		want_reread(event);
}

/* A call has returned: is it certain what it did before and after the calls of other threads? */
static void settle_op(struct event *event, const struct op *op)
{
	if (!has_log(event))
		return;
	if (op_log__races(event->space->ops, op))
		want_reread(event);
	log_op(event, op);
}

/* A call failed, after it may have acted on a part of its range. */
static void fail_op(struct event *event, enum op_kind kind, uint64_t end)
{
	struct op op = make_op(event, kind, event->rec->addr, end);

	log_op(event, &op);
	want_reread(event);
}

static void undo_pending(struct event *event)
{
	struct pending_call call;

	if (pending__finish(event->space, event->tid, event->enter_ns, &call))
		pending_call__undo(event->space, &call);
}

/*
 * [addr, len) is going to be covered. Should it turn out to be a commit inside a reservation, the
 * reservation keeps its age: so what is taken out here waits for the return.
 */
static void start_fixed_mmap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t len = map_length(rec->len, rec->map_flags), end = range__end(rec->addr, len);
	struct op op;

	if (!end || !replaces(rec->map_flags))
		return;
	op = make_op(event, OP_REMOVE, rec->addr, end);
	op.whole = space__covers(event->space, rec->addr, len);
	log_op(event, &op);
	pending__start(event->space, event->tid, event->enter_ns,
		       (struct address_range){rec->addr, end}, (struct address_range){0});
}

static void end_mmap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	bool over = replaces(rec->map_flags);
	struct map_request request = {
		.time_ns = rec->hdr.time_ns,
		.addr = (uint64_t)rec->result,
		.len = rec->len,
		.file_offset = rec->map_flags & MAP_ANONYMOUS ? 0 : rec->aux,
		.tid = event->tid,
		.prot = rec->prot,
		.map_flags = rec->map_flags,
		.stack = rec->stack,
		.hinted = rec->addr && !over,
	};
	uint64_t len = map_length(rec->len, rec->map_flags);
	uint64_t end = range__end(request.addr, len);
	struct op op;

	undo_pending(event);
	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		end = range__end(rec->addr, len);
		if (over && end)
			fail_op(event, OP_REPLACE, end);
		return;
	}
	if (!end) {
		note_error(event, -EINVAL);
		return;
	}
	event->process->mapping.mmap_calls++;
	event->process->mapping.mmap_bytes += len;
	op = make_op(event, over ? OP_REPLACE : OP_ADD, request.addr, end);
	settle_op(event, &op);
	note_error(event, space__map(event->space, &request));
}

/* A munmap that failed: its start has been taken for a removal. */
static void fail_munmap(struct event *event)
{
	struct mapping_counts *counts = &event->process->mapping;
	const struct op *op = NULL;

	counts->failed_calls++;
	if (event->space->ops)
		op = op_log__removal(event->space->ops, event->tid, event->enter_ns);
	if (op) {
		counts->munmap_calls--;
		counts->munmap_bytes -= op->bytes;
	}
	if (range__end(event->rec->addr, event->rec->len))
		want_reread(event);
}

static void start_munmap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t end = range__end(rec->addr, rec->len);
	struct op op;

	/* The kernel will refuse it: nothing happens, and its return counts it as failed. */
	if (!end)
		return;
	op = make_op(event, OP_REMOVE, rec->addr, end);
	op.bytes = space__unmap(event->space, rec->addr, rec->len, &op.whole);
	event->process->mapping.munmap_calls++;
	event->process->mapping.munmap_bytes += op.bytes;
	log_op(event, &op);
}

/* mremap: the lengths as the kernel rounds them; `to` is known at the start with MREMAP_FIXED only. */
struct mremap_args {
	uint64_t from, from_end; /* equal: old_len 0, the mapping is duplicated */
	uint64_t new_len;
	bool moves_to, keeps_old;
};

/* False for what the kernel refuses at once (mm/mremap.c), and then nothing has happened. */
static bool read_mremap(const struct rec_mapping *rec, struct mremap_args *args)
{
	uint32_t flags = rec->prot;

	*args = (struct mremap_args){
		.from = rec->addr,
		.from_end = rec->len ? range__end(rec->addr, rec->len) : rec->addr,
		.new_len = map_length(rec->aux, 0),
		.moves_to = flags & MREMAP_FIXED,
		.keeps_old = flags & MREMAP_DONTUNMAP,
	};
	if (rec->addr % SPACE_PAGE_BYTES || !args->from_end || !args->new_len)
		return false;
	if (flags & ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)))
		return false;
	if (args->moves_to && (!range__end(rec->aux2, args->new_len) ||
			       (rec->aux2 < args->from_end && rec->aux2 + args->new_len > args->from)))
		return false;
	return !args->keeps_old || args->from_end - args->from == args->new_len;
}

static void start_mremap(struct event *event)
{
	struct mremap_args args;
	struct address_range cover = {0};
	struct op op;

	if (!read_mremap(event->rec, &args))
		return;
	if (args.moves_to) {
		cover = (struct address_range){event->rec->aux2, event->rec->aux2 + args.new_len};
		op = make_op(event, OP_REMOVE, cover.start, cover.end);
		op.whole = space__covers(event->space, cover.start, args.new_len);
		log_op(event, &op);
	}
	if (args.from < args.from_end && !args.keeps_old) {
		op = make_op(event, OP_REMOVE, args.from, args.from_end);
		op.whole = space__covers(event->space, args.from, args.from_end - args.from);
		log_op(event, &op);
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
	const struct mapping *old = space__find(event->space, args->from);
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
		note_error(event, -ENOENT);
		return;
	}
	request.prot = old->prot;
	request.map_flags = old->origin->map_flags & ~(uint32_t)(MAP_FIXED | MAP_HUGETLB);
	request.file_offset = old->origin->file_offset;
	note_error(event, space__map(event->space, &request));
}

static void move(struct event *event, const struct mremap_args *args)
{
	struct pending_call call = {0};
	int err;

	if (pending__finish(event->space, event->tid, event->enter_ns, &call)) {
		moved_range__free(call.covered);
	} else {
		/* Nothing waits: its start was lost, or came before what /proc showed. */
		call.taken = space__take(event->space, args->from, args->from_end - args->from);
		if (!call.taken) {
			note_error(event, -ENOMEM);
			return;
		}
	}
	/* It succeeded, so all of it was mapped. */
	if (!moved_range__whole(call.taken))
		want_reread(event);
	err = space__place(event->space, call.taken, (uint64_t)event->rec->result, args->new_len);
	note_error(event, err);
}

static void end_mremap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	struct mremap_args args;
	struct op op;

	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		undo_pending(event);
		if (read_mremap(rec, &args))
			want_reread(event);
		return;
	}
	if (!read_mremap(rec, &args) || !range__end((uint64_t)rec->result, args.new_len)) {
		undo_pending(event);
		note_error(event, -EINVAL);
		return;
	}
	event->process->mapping.mremap_calls++;
	if (args.from < args.from_end && !args.keeps_old) {
		/* As for a mapping that changes: others may have had a hand on it before it went. */
		op = make_op(event, OP_PROTECT, args.from, args.from_end);
		if (has_log(event) && op_log__races(event->space->ops, &op))
			want_reread(event);
	}
	op = make_op(event, args.moves_to ? OP_REPLACE : OP_ADD, (uint64_t)rec->result,
		     (uint64_t)rec->result + args.new_len);
	settle_op(event, &op);
	if (args.from == args.from_end || args.keeps_old)
		duplicate(event, &args);
	else
		move(event, &args);
}

/* The call did not change the break: it asked, or was refused. */
static void learn_brk(struct event *event, uint64_t brk)
{
	struct space *space = event->space;
	uint64_t before = space->brk_end;
	bool exact = before && !space->brk_guessed;

	if (!before && !space->seeded)
		return;
	note_error(event, space__learn_brk(space, brk));
	if (exact && space->brk_end != before) {
		space->brk_guessed = true;
		want_reread(event);
	}
}

static void change_brk(struct event *event, uint64_t brk)
{
	const struct rec_mapping *rec = event->rec;
	struct space *space = event->space;
	uint64_t before = space->brk_end;

	if (space->brk_guessed)
		want_reread(event);
	note_error(event, space__set_brk(space, brk, rec->hdr.time_ns, event->tid));
	if (before)
		event->process->mapping.brk_delta_bytes += (int64_t)(space->brk_end - before);
}

static void end_brk(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t before = event->space->brk_end, brk = (uint64_t)rec->result;
	/* brk(2) returns the break as it is when it refuses; 0 only asks. */
	bool changes = rec->addr && brk == rec->addr;
	bool races = false;
	struct op op;

	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		return;
	}
	/* It never fails in the kernel's sense, so every call is one of brk_calls. */
	event->process->mapping.brk_calls++;
	op = make_op(event, OP_BRK, brk < before ? brk : before, (brk < before ? before : brk) + 1);
	if (has_log(event))
		races = op_log__races(event->space->ops, &op);
	log_op(event, &op);
	if (changes)
		change_brk(event, brk);
	else
		learn_brk(event, brk);
	if (races) {
		event->space->brk_guessed = true;
		want_reread(event);
	}
}

static void note_heap(struct event *event, uint64_t len)
{
	const struct rec_mapping *rec = event->rec;
	bool undecided = false;
	const struct mapping *piece;
	struct arena_note note = {
		.source = ARENA_FROM_MAPPING,
		.t_s = model__seconds(event->model, rec->hdr.time_ns),
		.tid = event->tid,
		.address = rec->addr,
	};

	if (!arena_signature(event->space, rec->addr, len, rec->prot, event->tid, &undecided))
		return;
	piece = space__find(event->space, rec->addr);
	note.stack = piece->origin->stack;
	note.undecided = undecided;
	if (arenas__note(&event->process->arenas, &note))
		note_error(event, -ENOMEM);
}

static void end_mprotect(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t end = range__end(rec->addr, rec->len);
	struct op op;

	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		if (end)
			fail_op(event, OP_PROTECT, end);
		return;
	}
	event->process->mapping.mprotect_calls++;
	if (rec->prot & (PROT_GROWSDOWN | PROT_GROWSUP)) {
		want_reread(event);
		return;
	}
	if (!rec->len)
		return;
	if (!end) {
		note_error(event, -EINVAL);
		return;
	}
	note_heap(event, end - rec->addr);
	op = make_op(event, OP_PROTECT, rec->addr, end);
	settle_op(event, &op);
	note_error(event, space__protect(event->space, rec->addr, rec->len, rec->prot));
}

static void end_madvise(struct event *event)
{
	if (event->rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		want_reread(event);
		return;
	}
	event->process->mapping.madvise_calls++;
	if (event->rec->prot == MADV_DONTFORK)
		event->space->dont_fork = true;
}

void handle_mapping(struct model *model, const struct rec_mapping *rec)
{
	struct event event = {
		.model = model,
		.process = model__process_of(model, &rec->hdr),
		.rec = rec,
		.tid = rec->hdr.tid,
		.enter_ns = rec->enter_ns,
	};

	/* What comes after exit_group is the kernel or other threads on their way out. */
	if (!event.process || event.process->end != PROCESS_RUNS)
		return;
	event.space = event.process->space;
	event.contradictions = event.space->contradictions;
	if (event.space->pending_count &&
	    pending__drop_stale(event.space, event.tid, event.enter_ns))
		want_reread(&event);
	switch (rec->hdr.type) {
	case REC_MMAP:
		end_mmap(&event);
		break;
	case REC_MMAP_FIXED:
		start_fixed_mmap(&event);
		break;
	case REC_MUNMAP:
		if (rec->hdr.flags & RECF_FAILED)
			fail_munmap(&event);
		else
			start_munmap(&event);
		break;
	case REC_MREMAP_ENTER:
		start_mremap(&event);
		break;
	case REC_MREMAP:
		end_mremap(&event);
		break;
	case REC_BRK:
		end_brk(&event);
		break;
	case REC_MPROTECT:
		end_mprotect(&event);
		break;
	case REC_MADVISE:
		end_madvise(&event);
		break;
	case REC_REREAD:
		want_reread(&event);
		break;
	}
	/* While records from before the last reading are replayed the model may be ahead of them. */
	if (event.space->contradictions != event.contradictions &&
	    rec->hdr.time_ns >= event.space->read_ns)
		want_reread(&event);
}
