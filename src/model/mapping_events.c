// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Records of the system calls that change an address space. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/event.h"
#include "model/pending.h"

/* mprotect(2): the range is extended to the end of a mapping that grows; only the kernel knows it.
 */
#ifndef PROT_GROWSDOWN
#define PROT_GROWSDOWN 0x01000000
#define PROT_GROWSUP   0x02000000
#endif

static bool replaces(uint32_t map_flags)
{
	return (map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
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
	op = event__make_op(event, OP_REMOVE, rec->addr, end);
	op.whole = space__covers(event->space, rec->addr, len);
	event__log_op(event, &op);
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

	event__undo_pending(event);
	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		end = range__end(rec->addr, len);
		if (over && end)
			event__fail_op(event, OP_REPLACE, end);
		return;
	}
	if (!end) {
		event__note_error(event, -EINVAL);
		return;
	}
	event->process->mapping.mmap_calls++;
	event->process->mapping.mmap_bytes += len;
	op = event__make_op(event, over ? OP_REPLACE : OP_ADD, request.addr, end);
	event__settle_op(event, &op);
	event__note_error(event, space__map(event->space, &request));
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
		event__want_reread(event);
}

static void start_munmap(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t end = range__end(rec->addr, rec->len);
	struct op op;

	/* The kernel will refuse it: nothing happens, and its return counts it as failed. */
	if (!end)
		return;
	op = event__make_op(event, OP_REMOVE, rec->addr, end);
	op.bytes = space__unmap(event->space, rec->addr, rec->len, &op.whole);
	event->process->mapping.munmap_calls++;
	event->process->mapping.munmap_bytes += op.bytes;
	event__log_op(event, &op);
}

/* The call did not change the break: it asked, or was refused. */
static void learn_brk(struct event *event, uint64_t brk)
{
	struct space *space = event->space;
	uint64_t before = space->brk_end;
	bool exact = before && !space->brk_guessed;

	if (!before && !space->seeded)
		return;
	event__note_error(event, space__learn_brk(space, brk));
	if (exact && space->brk_end != before) {
		space->brk_guessed = true;
		event__want_reread(event);
	}
}

static void change_brk(struct event *event, uint64_t brk)
{
	const struct rec_mapping *rec = event->rec;
	struct space *space = event->space;
	uint64_t before = space->brk_end;

	if (space->brk_guessed)
		event__want_reread(event);
	event__note_error(event, space__set_brk(space, brk, rec->hdr.time_ns, event->tid));
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
	op = event__make_op(event, OP_BRK, brk < before ? brk : before,
			    (brk < before ? before : brk) + 1);
	if (event__has_log(event))
		races = op_log__races(event->space->ops, &op);
	event__log_op(event, &op);
	if (changes)
		change_brk(event, brk);
	else
		learn_brk(event, brk);
	if (races) {
		event->space->brk_guessed = true;
		event__want_reread(event);
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
		event__note_error(event, -ENOMEM);
}

static void end_mprotect(struct event *event)
{
	const struct rec_mapping *rec = event->rec;
	uint64_t end = range__end(rec->addr, rec->len);
	struct op op;

	if (rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		if (end)
			event__fail_op(event, OP_PROTECT, end);
		return;
	}
	event->process->mapping.mprotect_calls++;
	if (rec->prot & (PROT_GROWSDOWN | PROT_GROWSUP)) {
		event__want_reread(event);
		return;
	}
	if (!rec->len)
		return;
	if (!end) {
		event__note_error(event, -EINVAL);
		return;
	}
	note_heap(event, end - rec->addr);
	op = event__make_op(event, OP_PROTECT, rec->addr, end);
	event__settle_op(event, &op);
	event__note_error(event, space__protect(event->space, rec->addr, rec->len, rec->prot));
}

static void end_madvise(struct event *event)
{
	if (event->rec->hdr.flags & RECF_FAILED) {
		event->process->mapping.failed_calls++;
		event__want_reread(event);
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
		event__want_reread(&event);
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
		event__start_mremap(&event);
		break;
	case REC_MREMAP:
		event__end_mremap(&event);
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
		event__want_reread(&event);
		break;
	}
	/* While records from before the last reading are replayed the model may be ahead of them.
	 */
	if (event.space->contradictions != event.contradictions &&
	    rec->hdr.time_ns >= event.space->read_ns)
		event__want_reread(&event);
}
