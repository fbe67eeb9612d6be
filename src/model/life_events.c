// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Birth, new programs and death of processes; glibc's arenas. */
#include <errno.h>
#include <stdlib.h>

#include "model/model_impl.h"
#include "model/op_log.h"
#include "model/pending.h"

/* The child's memory at the moment of its fork, or the very memory of the parent. */
static struct space *space_for_child(const struct process *parent, uint32_t flags)
{
	if (flags & RECF_SHARES_VM)
		return space__ref(parent->space);
	return space__copy(parent->space);
}

/*
 * Whether the copy may be wrong: another thread or sharer was at work, the parent is not known
 * well, or was read from /proc as it stood after this fork.
 */
static bool copy_is_doubtful(const struct process *parent, const struct rec_fork *rec)
{
	const struct space *space = parent->space;

	return rec->hdr.flags & RECF_THREADED || parent->needs_reread || space->suspect ||
	       !space->seeded || space->dont_fork || space->pending_count || space->users > 1 ||
	       parent->end != PROCESS_RUNS || rec->hdr.time_ns < space->read_ns;
}

static void add_child(struct model *model, struct process *parent, const struct rec_fork *rec)
{
	struct process *child = model__find(model, rec->child_pid);
	struct space *space;

	parent->children++;
	/* Found in /proc before this record came: it stands as it was read. */
	if (child && child->start_ticks == process__ticks(rec->child_start_ns)) {
		child->parent_pid = parent->pid;
		return;
	}
	if (child)
		model__end(model, child, rec->hdr.time_ns);
	space = space_for_child(parent, rec->hdr.flags);
	if (!space) {
		model->losses[LOSS_processes_dropped]++;
		return;
	}
	child = model__enter(model, rec->child_pid, rec->child_start_ns, rec->comm,
			     rec->hdr.time_ns, space);
	if (!child)
		return;
	child->parent_pid = parent->pid;
	child->kernel_thread = parent->kernel_thread;
	if (!(rec->hdr.flags & RECF_SHARES_VM))
		child->needs_reread = copy_is_doubtful(parent, rec);
}

void handle_fork(struct model *model, const struct rec_fork *rec)
{
	struct process *parent = model__process_of(model, &rec->hdr);

	if (!parent)
		return;
	if (rec->hdr.flags & RECF_THREAD)
		parent->threads_created++;
	else if (!rec->child_pid || rec->child_pid == rec->hdr.pid)
		model->losses[LOSS_bad_records]++;
	else
		add_child(model, parent, rec);
}

static void handle_exec(struct model *model, const struct rec_process *rec)
{
	struct process *process = model__find(model, rec->hdr.pid);
	struct space *space = space__new();

	/* One that is met here for the first time is entered without its old memory. */
	if (!process ||
	    (rec->hdr.start_ns && process->start_ticks != process__ticks(rec->hdr.start_ns))) {
		if (process)
			model__end(model, process, rec->hdr.time_ns);
		process = space ? model__enter(model, rec->hdr.pid, rec->hdr.start_ns, rec->comm,
					       rec->hdr.time_ns, space)
				: NULL;
		if (!process)
			return;
	} else if (space) {
		process__set_space(process, space);
	} else {
		model->losses[LOSS_seeds_missed]++;
		return;
	}
	/* The program may have got ahead of an exit_group of another thread. */
	process->end = PROCESS_RUNS;
	process->ended_ns = 0;
	process->needs_reread = false;
	process->kernel_thread = false;
	process->execs++;
	process__set_comm(process, rec->comm);
	free(process->exe);
	process->exe = NULL;
	arenas__reset(&process->arenas);
	process->space->born_ns = rec->hdr.time_ns;
	model__seed(model, process);
}

static void handle_exit(struct model *model, struct process *process, const struct rec_process *rec)
{
	process->threads_ended++;
	if (rec->hdr.flags & RECF_GROUP_DEAD) {
		process->exit_status = rec->status;
		model__end(model, process, rec->hdr.time_ns);
		return;
	}
	/* It died inside a call: whether that took effect is unknown. */
	if (process->end == PROCESS_RUNS && process->space->pending_count &&
	    pending__drop_stale(process->space, rec->hdr.tid, 0))
		process->needs_reread = true;
}

void handle_process(struct model *model, const struct rec_process *rec)
{
	struct process *process;

	if (rec->hdr.type == REC_EXEC) {
		handle_exec(model, rec);
		return;
	}
	/* Of one that is not known the end is no news; nor is that of an earlier owner of the pid.
	 */
	process = model__find(model, rec->hdr.pid);
	if (!process ||
	    (rec->hdr.start_ns && process->start_ticks != process__ticks(rec->hdr.start_ns)))
		return;
	switch (rec->hdr.type) {
	case REC_EXIT_GROUP:
		if (process->end == PROCESS_RUNS)
			process->exit_status = (rec->status & 0xff) << 8;
		process__freeze(process, rec->hdr.time_ns);
		break;
	case REC_EXIT:
		handle_exit(model, process, rec);
		break;
	case REC_OOM:
		process->oom_killed = true;
		break;
	}
}

/*
 * arena_get2 has created the arena that it returned when its own thread made the mapping during the
 * call. What was there before the trace it found; of what a re-read found nobody knows.
 */
static void handle_arena_get(struct arenas *arenas, const struct space *space,
			     const struct rec_arena *rec, const struct arena_note *note)
{
	const struct mapping *piece = space__find(space, rec->address);
	const struct origin *origin;

	if (!rec->address)
		return;
	arenas->get_calls++;
	if (!piece || piece->start > rec->address || piece->origin->found_late) {
		arenas->unclear++;
		return;
	}
	origin = piece->origin;
	if (origin->tid == rec->hdr.tid && origin->created_ns >= rec->enter_ns &&
	    origin->created_ns <= rec->hdr.time_ns)
		arenas__note(arenas, note);
	else
		arenas->reused++;
}

void handle_arena(struct model *model, const struct rec_arena *rec)
{
	struct process *process = model__process_of(model, &rec->hdr);
	struct arena_note note = {
		.t_s = model__seconds(model, rec->hdr.time_ns),
		.tid = rec->hdr.tid,
		.stack = rec->stack,
		.address = rec->address,
	};

	if (!process || process->end != PROCESS_RUNS)
		return;
	switch (rec->hdr.type) {
	case REC_ARENA_GET:
		note.source = ARENA_FROM_SYMBOL;
		handle_arena_get(&process->arenas, process->space, rec, &note);
		break;
	case REC_ARENA_NEW:
		note.source = ARENA_FROM_USDT;
		arenas__note(&process->arenas, &note);
		break;
	case REC_HEAP_NEW:
		process->arenas.usdt_heaps++;
		break;
	}
}
