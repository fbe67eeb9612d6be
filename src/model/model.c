// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The processes of a trace: entering them, finding them, ending them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model_impl.h"
#include "model/pending.h"

/* When the model is full this share of its processes goes at once: choosing them takes a sort. */
#define DROP_SHARE 16

int model__init(struct model *model, const struct model_reader *reader, uint64_t started_ns,
		double interval_s, uint32_t intervals)
{
	if (!reader->read_maps)
		return -EINVAL;
	*model = (struct model){
		.started_ns = started_ns,
		.intervals = intervals,
		.interval_s = interval_s,
		.processes_max = MODEL_PROCESSES_MAX,
		.reader = *reader,
	};
	return 0;
}

void model__free(struct model *model)
{
	struct process *process, *next;

	HASH_ITER (hh, model->running, process, next) {
		HASH_DEL(model->running, process);
		process__free(process);
	}
	for (process = model->ended; process; process = next) {
		next = process->next_ended;
		process__free(process);
	}
	model->ended = NULL;
	model->recent = NULL;
	model->process_count = 0;
}

uint64_t model__now(const struct model *model)
{
	if (model->reader.now_ns)
		return model->reader.now_ns(model->reader.ctx);
	return monotonic_ns();
}

double model__seconds(const struct model *model, uint64_t time_ns)
{
	return ((double)time_ns - (double)model->started_ns) / 1e9;
}

struct process *model__find(struct model *model, uint32_t pid)
{
	struct process *process = model->recent;

	if (process && process->pid == pid)
		return process;
	HASH_FIND(hh, model->running, &pid, sizeof(pid), process);
	if (process)
		model->recent = process;
	return process;
}

/* Of two ended processes the one that a report would rather miss comes first. */
static int compare_interest(const void *a, const void *b)
{
	const struct process *x = *(struct process *const *)a, *y = *(struct process *const *)b;

	if (x->is_target != y->is_target)
		return x->is_target ? 1 : -1;
	if (x->space->mapped_bytes != y->space->mapped_bytes)
		return x->space->mapped_bytes < y->space->mapped_bytes ? -1 : 1;
	return x->first_seen_ns < y->first_seen_ns ? -1 : 1;
}

static void drop_ended(struct model *model, struct process **dropped, size_t n)
{
	struct process **link = &model->ended, *process;

	for (size_t i = 0; i < n; i++)
		dropped[i]->dropped = true;
	while ((process = *link)) {
		if (!process->dropped) {
			link = &process->next_ended;
			continue;
		}
		*link = process->next_ended;
		process__free(process);
		model->process_count--;
		model->losses[LOSS_processes_dropped]++;
	}
}

/* True when there is room for one more. */
static bool make_room(struct model *model)
{
	struct process *process, **ended;
	size_t n = 0;

	if (model->process_count < model->processes_max)
		return true;
	ended = calloc(model->process_count, sizeof(*ended));
	if (!ended)
		return false;
	for (process = model->ended; process; process = process->next_ended)
		ended[n++] = process;
	qsort(ended, n, sizeof(*ended), compare_interest);
	if (n > model->processes_max / DROP_SHARE + 1)
		n = model->processes_max / DROP_SHARE + 1;
	drop_ended(model, ended, n);
	free(ended);
	return n > 0;
}

struct process *model__enter(struct model *model, uint32_t pid, uint64_t start_ns, const char *comm,
			     uint64_t time_ns, struct space *space)
{
	struct process *process = NULL;

	if (make_room(model))
		process = process__new(pid, start_ns, comm, time_ns, model->intervals, space);
	else
		space__unref(space);
	if (!process) {
		model->losses[LOSS_processes_dropped]++;
		return NULL;
	}
	HASH_ADD(hh, model->running, pid, sizeof(process->pid), process);
	model->process_count++;
	return process;
}

/* Whether a start of 0 (not known) or of clock ticks' precision may be this process's. */
static bool is_same_start(struct process *process, uint64_t start_ns)
{
	if (!start_ns || start_ns == process->start_ns)
		return true;
	if (process->start_ns && process__ticks(start_ns) != process->start_ticks)
		return false;
	/* From /proc it is known in ticks only; records have it exactly. */
	process->start_ns = start_ns;
	process->start_ticks = process__ticks(start_ns);
	return true;
}

struct process *model__add(struct model *model, uint32_t pid, uint64_t start_ns, const char *comm,
			   uint64_t time_ns)
{
	struct process *process = model__find(model, pid);

	if (process && is_same_start(process, start_ns)) {
		if (!process->comm[0])
			process__set_comm(process, comm);
		return process;
	}
	if (process)
		model__end(model, process, time_ns);
	process = model__enter(model, pid, start_ns, comm, time_ns, NULL);
	if (process)
		model__seed(model, process);
	return process;
}

struct process *model__process_of(struct model *model, const struct rec_header *hdr)
{
	return model__add(model, hdr->pid, hdr->start_ns, NULL, hdr->time_ns);
}

/*
 * What stands now is what will be reported. A space that others still change is left to them: a
 * target gets a copy, of others the sum is kept.
 */
void process__freeze(struct process *process, uint64_t time_ns)
{
	struct space *own;

	if (process->end != PROCESS_RUNS)
		return;
	process->end = PROCESS_EXITING;
	process->ended_ns = time_ns;
	if (process->space->users == 1) {
		pending__undo_all(process->space);
		return;
	}
	own = process->is_target ? space__copy(process->space) : NULL;
	if (!own) {
		own = space__new();
		/* Without memory it stays with the shared one: later than the end, but valid. */
		if (!own)
			return;
		own->mapped_bytes = process->space->mapped_bytes;
		own->mapping_count = process->space->mapping_count;
		own->seeded = process->space->seeded;
		own->trimmed = true;
	}
	process__set_space(process, own);
}

void model__end(struct model *model, struct process *process, uint64_t time_ns)
{
	process__freeze(process, time_ns);
	process->end = PROCESS_EXITED;
	process->needs_reread = false;
	if (!process->is_target && process->space->users == 1 && !process->space->trimmed)
		space__trim(process->space, MODEL_ENDED_ORIGIN_MIN);
	HASH_DEL(model->running, process);
	if (model->recent == process)
		model->recent = NULL;
	process->next_ended = model->ended;
	model->ended = process;
}

void maps_entries__free(struct maps_entry *entries, size_t n)
{
	if (!entries)
		return;
	for (size_t i = 0; i < n; i++)
		free(entries[i].path);
	free(entries);
}
