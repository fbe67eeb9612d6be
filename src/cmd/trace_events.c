// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "census/proc_stat.h"
#include "cmd/trace_session.h"

/*
 * A child of a running target gets probes of its own, which takes longer than many a child lives:
 * one that is gone by then was not worth it, and the report says from when a child is covered.
 */
#define CHILD_SCAN_DELAY_NS 50000000ull

static struct follower *follower_of(struct trace_session *session, const struct process *process)
{
	struct follower *follower;

	HASH_FIND(hh, session->followers, &process->pid, sizeof(process->pid), follower);
	if (follower && follower->start_ns == process->start_ns)
		return follower;
	if (!follower) {
		follower = calloc(1, sizeof(*follower));
		if (!follower)
			return NULL;
		follower->pid = process->pid;
		HASH_ADD(hh, session->followers, pid, sizeof(follower->pid), follower);
	}
	follower->start_ns = process->start_ns;
	follower->scanned = false;
	memset(&follower->meter, 0, sizeof(follower->meter));
	return follower;
}

static void scan(struct trace_session *session, struct process *process, struct follower *follower)
{
	struct coverage_scan scan;
	double now_s;

	follower->scan_due = false;
	if (!session->coverage || coverage__scan(session->coverage, (pid_t)process->pid, &scan))
		return;
	now_s = trace_session__now_s(session);
	session->model.losses[LOSS_attach_failed] += scan.failed;
	session->model.losses[LOSS_objects_unread] += scan.unread;
	process->arenas.symbol_probed |= scan.symbol_probed;
	process->arenas.usdt_probed |= scan.usdt_probed;
	if (!session->counts_mallocs)
		return;
	/* Covered from its first call only when every probe was waiting for it. */
	if (!follower->scanned && !scan.all_were_there)
		process->covered_from_s = now_s;
	if (coverage__rows_of(session->coverage, (pid_t)process->pid))
		process->counted = true;
	follower->scanned = true;
}

static void set_exe(struct process *process)
{
	char *exe;

	if (proc_stat__exe(process->pid, &exe))
		return;
	free(process->exe);
	process->exe = exe;
}

static void sample_rss(struct trace_session *session, struct process *process)
{
	uint64_t bytes;

	if (!proc_stat__rss(process->pid, &bytes) && bytes)
		process__sample_rss(process, trace_session__now_s(session), bytes);
}

void trace_process__joined(struct trace_session *session, struct process *process, bool is_target)
{
	struct follower *follower = follower_of(session, process);
	bool waits = process->pid == (uint32_t)session->command.pid && session->command.go_fd >= 0;
	uint64_t cost_ns;

	process->is_target = is_target;
	process->covered_from_s =
		(double)(int64_t)(process->first_seen_ns - session->started_ns) / 1e9;
	process->covered_to_s = -1;
	set_exe(process);
	process->mapped_start_bytes = process->space->seeded && !waits
					      ? (int64_t)process->space->mapped_bytes
				      : waits ? 0
					      : -1;
	/* Before its exec the command is a copy of memdrift: nothing of it is worth a look. */
	if (!follower || waits)
		return;
	sample_rss(session, process);
	if (is_target) {
		if (session->options->target != TRACE_HOST)
			census__read(session->census, process, &cost_ns);
		scan(session, process, follower);
		return;
	}
	follower->scan_due = session->coverage != NULL;
	follower->scan_at_ns = monotonic_ns() + CHILD_SCAN_DELAY_NS;
}

static void ask_for_scan(struct trace_session *session, uint32_t pid, bool at_once)
{
	struct process *process = model__find(&session->model, pid);
	struct follower *follower = process ? follower_of(session, process) : NULL;

	if (!follower || !session->coverage)
		return;
	if (!follower->scan_due)
		follower->scan_at_ns = monotonic_ns() + (at_once ? 0 : CHILD_SCAN_DELAY_NS);
	follower->scan_due = true;
}

void trace_scan_due(struct trace_session *session)
{
	struct follower *follower, *next;
	uint64_t now_ns = 0;

	HASH_ITER (hh, session->followers, follower, next) {
		struct process *process;

		if (!follower->scan_due)
			continue;
		if (!now_ns)
			now_ns = monotonic_ns();
		if (now_ns < follower->scan_at_ns)
			continue;
		process = model__find(&session->model, follower->pid);
		if (process)
			scan(session, process, follower);
		else
			follower->scan_due = false;
	}
}

static void note_stack(struct trace_session *session, uint32_t pid, int32_t stack)
{
	struct process *process = stack < 0 ? NULL : model__find(&session->model, pid);

	if (process)
		stack_names__note(session->names, process, stack);
}

/* Who lived too short for a scan was covered all the same if probes for all were waiting. */
static void notice_counts(struct trace_session *session, struct process *process,
			  const struct alloc_counts *sums)
{
	uint64_t rows = 0;

	for (int i = 0; i < CALL_ROWS; i++)
		if (sums->calls[i])
			rows |= 1ull << i;
	if (!rows || !session->coverage)
		return;
	process->counted = true;
	coverage__add_rows(session->coverage, (pid_t)process->pid, rows);
}

static void before_model(struct trace_session *session, const struct rec_header *record)
{
	const struct rec_mapping *mapping = (const struct rec_mapping *)record;
	struct process *process;

	switch (record->type) {
	case REC_MMAP:
	case REC_MREMAP:
		note_stack(session, record->pid, mapping->stack);
		if (record->type == REC_MMAP && session->options->folded &&
		    !(record->flags & RECF_FAILED))
			stack_weights__add(&session->mmap_weights, record->pid, record->start_ns,
					   mapping->stack, 1, (mapping->len + 4095) & ~4095ull);
		break;
	case REC_ARENA_GET:
	case REC_ARENA_NEW:
		note_stack(session, record->pid, ((const struct rec_arena *)record)->stack);
		break;
	case REC_EXIT:
		/* The last look at its counters: no call comes after the last thread's end. */
		process = model__find(&session->model, record->pid);
		if (process && record->flags & RECF_GROUP_DEAD) {
			struct alloc_counts sums;

			if (session->counts_mallocs &&
			    !tracer__read_counts(session->tracer, record->pid, &sums)) {
				process__set_alloc(process, &sums);
				notice_counts(session, process, &sums);
			}
			process__end_interval(process, trace_session__now_s(session));
		}
		break;
	}
}

static void scan_parent(struct trace_session *session, uint32_t pid)
{
	struct process *parent = model__find(&session->model, pid);
	struct follower *follower = parent ? follower_of(session, parent) : NULL;

	if (follower && follower->scan_due && coverage__scope(session->coverage) == COVERAGE_ALL)
		scan(session, parent, follower);
}

static void after_fork(struct trace_session *session, const struct rec_fork *fork)
{
	struct process *child;

	if (fork->hdr.flags & RECF_THREAD)
		return;
	stack_names__fork(session->names, fork->child_pid, fork->child_start_ns, fork->hdr.pid,
			  fork->hdr.start_ns);
	child = model__find(&session->model, fork->child_pid);
	if (!child)
		return;
	/* What the parent is covered with must be known first: its own scan may still be due. */
	scan_parent(session, fork->hdr.pid);
	trace_process__joined(session, child, false);
	if (session->coverage &&
	    coverage__inherit(session->coverage, (pid_t)fork->hdr.pid, (pid_t)fork->child_pid))
		child->counted = true;
}

static void after_exec(struct trace_session *session, uint32_t pid, bool was_known)
{
	struct process *process = model__find(&session->model, pid);

	if (!process)
		return;
	if (!was_known)
		trace_process__joined(session, process, true);
	set_exe(process);
	sample_rss(session, process);
	/* A program that has just been loaded holds nothing yet. */
	if (!process->at_start.known)
		process->at_start =
			(struct residency){.known = true, .t_s = trace_session__now_s(session)};
	ask_for_scan(session, pid, process->is_target);
}

static void after_exit(struct trace_session *session, const struct rec_header *record)
{
	struct follower *follower;

	if (!(record->flags & RECF_GROUP_DEAD))
		return;
	if (session->coverage)
		coverage__forget(session->coverage, (pid_t)record->pid);
	if (session->counts_mallocs)
		tracer__uncount(session->tracer, record->pid);
	stack_names__ended(session->names, record->pid, record->start_ns);
	HASH_FIND(hh, session->followers, &record->pid, sizeof(record->pid), follower);
	if (follower) {
		budget_meter__add(&follower->meter, &session->ended_cost_ns,
				  &session->ended_cpu_ns);
		HASH_DEL(session->followers, follower);
		free(follower);
	}
}

void trace_event(void *ctx, const struct rec_header *record, size_t size)
{
	struct trace_session *session = ctx;
	const struct rec_mapping *mapping = (const struct rec_mapping *)record;
	bool was_known = record->type != REC_EXEC || model__find(&session->model, record->pid);

	before_model(session, record);
	model__handle(&session->model, record, size);
	switch (record->type) {
	case REC_FORK:
		after_fork(session, (const struct rec_fork *)record);
		break;
	case REC_EXEC:
		after_exec(session, record->pid, was_known);
		break;
	case REC_MMAP:
		/* Code from a file: perhaps an allocator that was not there before. */
		if (mapping->fd >= 0 && mapping->prot & PROT_EXEC && !(record->flags & RECF_FAILED))
			ask_for_scan(session, record->pid, true);
		break;
	case REC_EXIT:
		after_exit(session, record);
		break;
	}
}
