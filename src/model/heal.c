// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reading /proc: for a process that is new to the model, and where the records may have misled it.
 */
#include <errno.h>
#include <string.h>

#include "model/model_impl.h"
#include "model/op_log.h"
#include "model/pending.h"

/*
 * Ranges to leave as the events have them: what calls under way may still remove, and what calls
 * have removed that may put it back. These are asked for before the maps are read: a call that
 * starts later has its record still to come.
 */
static int list_exceptions(struct model *model, struct process *process,
			   struct address_range *ranges, size_t max)
{
	int n = 0;

	if (model->reader.read_inflight)
		n = model->reader.read_inflight(model->reader.ctx, process->pid, ranges, max);
	if (n < 0)
		return n;
	if ((size_t)n > max)
		n = (int)max;
	return n;
}

static void read_brk_start(struct model *model, struct process *process)
{
	struct space *space = process->space;

	if (!space->brk_start && model->reader.read_brk)
		space->brk_start = (model->reader.read_brk(model->reader.ctx, process->pid) +
				    SPACE_PAGE_BYTES - 1) &
				   ~(SPACE_PAGE_BYTES - 1);
}

int model__read(struct model *model, struct process *process)
{
	struct address_range except[MODEL_INFLIGHT_MAX];
	struct space *space = process->space;
	struct maps_entry *entries = NULL;
	int inflight, differed;
	uint64_t asked_ns;
	size_t n = 0, known;

	asked_ns = model__now(model);
	inflight = list_exceptions(model, process, except, MODEL_INFLIGHT_MAX / 2);
	if (inflight < 0)
		return inflight;
	/* A return record that was not lost is in the ring for an interval at most. */
	if (space->pending_count)
		pending__drop_ended(space, except, (size_t)inflight, asked_ns,
				    asked_ns - (uint64_t)(model->interval_s * 1e9));
	differed = model->reader.read_maps(model->reader.ctx, process->pid, process->start_ticks,
					   &entries, &n);
	if (differed)
		return differed;
	/* Even an idle process has a stack: without a line it is a kernel thread or is exiting. */
	if (!n) {
		maps_entries__free(entries, n);
		if (model->reader.is_kernel_thread)
			process->kernel_thread |=
				model->reader.is_kernel_thread(model->reader.ctx, process->pid);
		return process->kernel_thread ? 0 : -ESRCH;
	}
	space->read_ns = model__now(model);
	read_brk_start(model, process);
	known = (size_t)inflight;
	known += pending__ranges(space, except + known, MODEL_INFLIGHT_MAX - known);
	differed = space__reconcile(space, entries, n, 0, UINT64_MAX, except, known);
	maps_entries__free(entries, n);
	if (space->ops)
		op_log__note_reading(space->ops, inflight ? 0 : asked_ns, space->read_ns);
	if (differed == -ENOSPC || differed == -ENOMEM) {
		model->losses[LOSS_mappings_dropped]++;
		differed = 0;
	}
	/*
	 * What was doubtful may lie in a range that was left out; and with more calls under way
	 * than there was room for some range may have been put wrong.
	 */
	process->needs_reread =
		(process->needs_reread && known) || inflight == MODEL_INFLIGHT_MAX / 2;
	space->suspect = false;
	return differed;
}

void model__seed(struct model *model, struct process *process)
{
	if (model__read(model, process) < 0)
		model->losses[LOSS_seeds_missed]++;
}

static void settle_arenas(struct model *model, struct process *process)
{
	struct arenas *arenas = &process->arenas;

	if (!model->reader.read_heap)
		return;
	for (uint32_t i = arenas->undecided_count; i-- > 0;) {
		uint64_t base = arenas->undecided[i].address;
		int first = model->reader.read_heap(model->reader.ctx, process->pid, base);

		if (first >= 0)
			arenas__decide(arenas, base, first > 0);
	}
}

static bool is_due(const struct process *process, bool all)
{
	const struct space *space = process->space;

	if (process->kernel_thread)
		return false;
	if (process->end != PROCESS_RUNS)
		return all;
	/*
	 * A shared space is read through the process that made it: a sharer may have loaded another
	 * program meanwhile, and its record may still wait.
	 */
	if (space->users > 1 && space->owner_pid && space->owner_pid != process->pid)
		return false;
	return all || process->needs_reread || space->suspect;
}

/* A process that shares its space asks the owner to be read. */
static void pass_on(struct process *process)
{
	if (process->needs_reread && process->space->users > 1 &&
	    process->space->owner_pid != process->pid && process->space->owner_pid) {
		process->space->suspect = true;
		process->needs_reread = false;
	}
}

/* A process whose state is final is only asked whether it still is there. */
static int look_for(struct model *model, struct process *process)
{
	struct maps_entry *entries = NULL;
	size_t n = 0;
	int err = model->reader.read_maps(model->reader.ctx, process->pid, process->start_ticks,
					  &entries, &n);

	maps_entries__free(entries, n);
	return !err && !n ? -ESRCH : err;
}

/*
 * Its exit record may still wait in the ring. When it has not come after an interval it was lost.
 */
static void note_missing(struct model *model, struct process *process)
{
	uint64_t now_ns = model__now(model);

	if (!process->missing_since_ns)
		process->missing_since_ns = now_ns;
	else if ((double)(now_ns - process->missing_since_ns) >= model->interval_s * 1e9)
		model__end(model, process, process->missing_since_ns);
}

static uint32_t heal_process(struct model *model, struct process *process)
{
	bool was_seeded = process->space->seeded;
	int differed;

	if (process->end != PROCESS_RUNS)
		differed = look_for(model, process);
	else
		differed = model__read(model, process);
	if (differed == -ESRCH) {
		note_missing(model, process);
		return 0;
	}
	process->missing_since_ns = 0;
	if (differed < 0 || process->end != PROCESS_RUNS)
		return 0;
	process->rereads++;
	if (!was_seeded)
		return 0;
	process->healed_ranges += (uint32_t)differed;
	return (uint32_t)differed;
}

uint32_t model__heal(struct model *model, bool all)
{
	struct process *process, *next;
	uint32_t differed = 0;

	HASH_ITER (hh, model->running, process, next)
		pass_on(process);
	HASH_ITER (hh, model->running, process, next) {
		if (is_due(process, all))
			differed += heal_process(model, process);
		/* What was made since the last time has its first words by now. */
		if (process->end == PROCESS_RUNS)
			settle_arenas(model, process);
	}
	return differed;
}

void model__distrust_all(struct model *model)
{
	struct process *process, *next;
	uint64_t now_ns = model__now(model);

	HASH_ITER (hh, model->running, process, next) {
		struct space *space = process->space;

		if (process->end != PROCESS_RUNS)
			continue;
		process->needs_reread = true;
		space->brk_guessed = true;
		/* The return records that these wait for may be among the lost ones. */
		pending__undo_all(space);
		if (space->ops)
			op_log__distrust(space->ops, now_ns);
	}
}
