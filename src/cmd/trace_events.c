// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a record means besides its meaning for the model: births, new programs, ends. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "census/proc_stat.h"
#include "cmd/trace_session.h"
#include "unwind/unwinder.h"

static void set_exe(struct process *process)
{
	char *exe;

	if (proc_stat__exe(process->pid, &exe))
		return;
	free(process->exe);
	process->exe = exe;
}

void trace_process__refresh(struct process *process)
{
	struct proc_stat stat;

	set_exe(process);
	if (!proc_stat__read(process->pid, &stat) && stat.start_ticks == process->start_ticks)
		memcpy(process->comm, stat.comm, sizeof(process->comm) - 1);
}

static void sample_rss(struct trace_session *session, struct process *process)
{
	uint64_t bytes;

	if (!proc_stat__rss(process->pid, &bytes) && bytes)
		process__sample_rss(process, trace_session__now_s(session), bytes);
}

void trace_process__joined(struct trace_session *session, struct process *process, bool is_target)
{
	struct follower *follower = trace_follower(session, process);
	bool waits = process->pid == (uint32_t)session->command.pid && session->command.go_fd >= 0;
	uint64_t cost_ns;

	process->is_target = is_target;
	process->covered_to_s = -1;
	process->mapped_start_bytes = -1;
	if (process->space->seeded)
		process->mapped_start_bytes = (int64_t)process->space->mapped_bytes;
	set_exe(process);
	/* Before its exec the command is a copy of memdrift: nothing of it is worth a look. */
	if (waits) {
		process->mapped_start_bytes = 0;
		process->begins_with_exec = true;
		if (follower)
			follower->born = true;
		return;
	}
	unwinder__look(tracer__unwinder(session->tracer), process->pid);
	sample_rss(session, process);
	if (is_target && session->options->target != TRACE_HOST)
		census__read(session->census, process, &cost_ns);
	if ((is_target || session->options->target == TRACE_HOST) && follower)
		trace_scan(session, process, follower);
	else
		trace_scan__ask(session, process, false);
}

static void note_stack(struct trace_session *session, uint32_t pid, int32_t stack)
{
	struct process *process = stack < 0 ? NULL : model__find(&session->model, pid);

	if (process)
		stack_names__note(session->names, process, stack);
}

static void weigh_mapping(struct trace_session *session, const struct rec_mapping *mapping)
{
	if (trace_options__weighs_mappings(session->options) && !(mapping->hdr.flags & RECF_FAILED))
		stack_weights__add(&session->mmap_weights, mapping->hdr.pid, mapping->hdr.start_ns,
				   mapping->stack, 1, (mapping->len + 4095) & ~4095ull);
}

/*
 * The last look at its counters: no call comes after the last thread's end. The pid may be another
 * process's by now, which has counters of its own.
 */
static void before_exit(struct trace_session *session, const struct rec_process *exit)
{
	struct process *process = model__find(&session->model, exit->hdr.pid);
	struct alloc_counts sums;
	struct bursts_view view;
	bool counted = false;

	if (!process || !(exit->hdr.flags & RECF_GROUP_DEAD))
		return;
	if (session->counts_mallocs &&
	    !tracer__was_reused(session->tracer, exit->hdr.pid, exit->hdr.start_ns) &&
	    !tracer__read_counts(session->tracer, exit->hdr.pid, &sums)) {
		process__set_alloc(process, &sums);
		counted = true;
		trace_read_classes(session, process);
		trace_live__follow(session, process);
		trace_weights__keep(session, process);
		tracer__uncount(session->tracer, exit->hdr.pid);
	}
	trace_faults__ended(session, process, exit);
	if (!bursts__end(session->bursts, exit->hdr.pid, process->start_ns, (double)exit->cpu_ns,
			 counted ? &sums : NULL, &view))
		trace_keep_estimate(session, process, &view);
	memcpy(process->comm, exit->comm, sizeof(process->comm));
	process->comm[sizeof(process->comm) - 1] = '\0';
	process__end_interval(process, trace_session__now_s(session));
	trace_scan__ended(session, process);
}

static void before_model(struct trace_session *session, const struct rec_header *record,
			 size_t size)
{
	switch (record->type) {
	case REC_MMAP:
	case REC_MREMAP:
		if (size < sizeof(struct rec_mapping))
			return;
		note_stack(session, record->pid, ((const struct rec_mapping *)record)->stack);
		if (record->type == REC_MMAP)
			weigh_mapping(session, (const struct rec_mapping *)record);
		break;
	case REC_ARENA_GET:
	case REC_ARENA_NEW:
		if (size >= sizeof(struct rec_arena))
			note_stack(session, record->pid, ((const struct rec_arena *)record)->stack);
		break;
	case REC_EXEC:
		if (size >= sizeof(struct rec_process))
			trace_faults__leave(session, (const struct rec_process *)record);
		break;
	case REC_EXIT:
		if (size >= sizeof(struct rec_process))
			before_exit(session, (const struct rec_process *)record);
		break;
	}
}

static void after_fork(struct trace_session *session, const struct rec_fork *fork)
{
	struct process *parent, *child;
	struct follower *follower;

	if (fork->hdr.flags & RECF_THREAD)
		return;
	stack_names__fork(session->names, fork->child_pid, fork->child_start_ns, fork->hdr.pid,
			  fork->hdr.start_ns);
	parent = model__find(&session->model, fork->hdr.pid);
	child = model__find(&session->model, fork->child_pid);
	if (!child)
		return;
	HASH_FIND(hh, session->followers, &child->pid, sizeof(child->pid), follower);
	/* A search of /proc may have been faster than this record. */
	if (follower && follower->start_ns == child->start_ns)
		return;
	trace_faults__born(child, parent);
	trace_process__joined(session, child, false);
	follower = trace_follower(session, child);
	if (follower)
		follower->born = true;
	if (parent)
		trace_scan__inherit(session, parent, child);
}

static void after_exec(struct trace_session *session, const struct rec_header *record, size_t size,
		       bool was_known)
{
	struct process *process = model__find(&session->model, record->pid);

	if (!process)
		return;
	if (!was_known)
		trace_process__joined(session, process, true);
	unwinder__look(tracer__unwinder(session->tracer), process->pid);
	set_exe(process);
	if (size >= sizeof(struct rec_process))
		trace_faults__exec(session, process, (const struct rec_process *)record, was_known);
	sample_rss(session, process);
	/* A program that has just been loaded holds nothing yet. */
	if (!process->at_start.known)
		process->at_start =
			(struct residency){.known = true, .t_s = trace_session__now_s(session)};
	trace_scan__exec(session, process, record->time_ns, record->flags & RECF_BY_THREAD);
}

static void after_exit(struct trace_session *session, const struct rec_header *record)
{
	struct follower *follower;

	if (!(record->flags & RECF_GROUP_DEAD))
		return;
	if (session->coverage)
		coverage__forget(session->coverage, (pid_t)record->pid);
	unwinder__ended(tracer__unwinder(session->tracer), record->pid);
	/* What it has not freed is read later, and its stacks are named then. */
	if (!trace_live__awaits(session, record->pid, record->start_ns))
		stack_names__ended(session->names, record->pid, record->start_ns);
	HASH_FIND(hh, session->followers, &record->pid, sizeof(record->pid), follower);
	if (!follower)
		return;
	trace_follower__drop(session, follower);
}

void trace_event(void *ctx, const struct rec_header *record, size_t size)
{
	struct trace_session *session = ctx;
	const struct rec_mapping *mapping = (const struct rec_mapping *)record;
	bool was_known = record->type != REC_EXEC || model__find(&session->model, record->pid);
	struct process *process;

	before_model(session, record, size);
	model__handle(&session->model, record, size);
	switch (record->type) {
	case REC_FORK:
		if (size >= sizeof(struct rec_fork))
			after_fork(session, (const struct rec_fork *)record);
		break;
	case REC_EXEC:
		after_exec(session, record, size, was_known);
		break;
	case REC_MPROTECT:
		if (size >= sizeof(*mapping) && mapping->prot & PROT_EXEC)
			unwinder__ask(tracer__unwinder(session->tracer), record->pid);
		break;
	case REC_MMAP:
		if (size >= sizeof(*mapping) && mapping->prot & PROT_EXEC)
			unwinder__ask(tracer__unwinder(session->tracer), record->pid);
		/* Code from a file: perhaps an allocator that was not there before. */
		if (size < sizeof(*mapping) || mapping->fd < 0 || !(mapping->prot & PROT_EXEC) ||
		    record->flags & RECF_FAILED)
			break;
		process = model__find(&session->model, record->pid);
		if (process) {
			trace_scan__ask(session, process, true);
			trace_faults__mapped(session, process);
		}
		break;
	case REC_EXIT:
		after_exit(session, record);
		break;
	}
}
