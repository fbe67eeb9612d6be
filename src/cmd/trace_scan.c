// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which probes a process gets, and from when on they cover it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/trace_session.h"
#include "unwind/unwinder.h"

/*
 * A child of a running target gets probes of its own, which takes longer than many a child lives:
 * one that is gone by then was not worth it, and the report says from when a child is covered.
 */
#define CHILD_SCAN_DELAY_NS 50000000ull
/* Programs that map code all the time (JITs on memfds) are not scanned more often than this. */
#define SCAN_PAUSE_NS 5000000ull

struct follower *trace_follower(struct trace_session *session, const struct process *process)
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
	follower->begun_ns = process->first_seen_ns;
	follower->scan_due = follower->covered = follower->searched = false;
	follower->born = follower->said = false;
	return follower;
}

void trace_follower__drop(struct trace_session *session, struct follower *follower)
{
	HASH_DEL(session->followers, follower);
	free(follower);
}

static double trace_seconds(const struct trace_session *session, uint64_t time_ns)
{
	return (double)(int64_t)(time_ns - session->started_ns) / 1e9;
}

/*
 * From its birth on where its probes were there before it: probes for one process alone come later
 * than its first call.
 */
static void count_process(struct trace_session *session, struct process *process,
			  const struct follower *follower)
{
	process->counted = true;
	bursts__add(session->bursts, process->pid, process->start_ns,
		    follower->born && coverage__scope(session->coverage) == COVERAGE_ALL);
}

static void note_coverage(struct trace_session *session, struct process *process,
			  struct follower *follower, const struct coverage_scan *scan)
{
	row_set__join(&process->probed_rows, &scan->rows);
	if (row_set__is_empty(&scan->rows))
		return;
	count_process(session, process, follower);
	/* From its first call when every probe was waiting, else from when the last was in place.
	 */
	if (!follower->covered)
		process->covered_from_s = fmax(trace_seconds(session, follower->begun_ns),
					       trace_seconds(session, scan->attached_ns));
	follower->covered = true;
}

void trace_scan(struct trace_session *session, struct process *process, struct follower *follower)
{
	/* Others make arenas as well, but two more links for each child of a build cost too much.
	 */
	struct coverage_want want = {.mallocs = session->counts_mallocs,
				     .arenas = process->is_target};
	struct coverage_scan scan;

	follower->scan_due = false;
	follower->scanned_ns = monotonic_ns();
	if (!session->coverage ||
	    coverage__scan(session->coverage, (pid_t)process->pid, &want, &scan))
		return;
	follower->searched = true;
	session->model.losses[LOSS_attach_failed] += scan.failed;
	session->model.losses[LOSS_objects_unread] += scan.unread;
	process->allocators |= scan.allocators;
	process->arenas.symbol_probed |= scan.symbol_probed;
	process->arenas.usdt_probed |= scan.usdt_probed;
	if (scan.usdt_probed)
		unwinder__load_full(tracer__unwinder(session->tracer), process->pid);
	/* Now its code is known, and stacks can be named after it has ended. */
	stack_names__learn(session->names, process);
	if (want.mallocs)
		note_coverage(session, process, follower, &scan);
}

void trace_scan__ask(struct trace_session *session, struct process *process, bool at_once)
{
	struct follower *follower = trace_follower(session, process);
	uint64_t at_ns = monotonic_ns() + (at_once ? 0 : CHILD_SCAN_DELAY_NS);

	if (!follower || !session->coverage)
		return;
	if (at_ns < follower->scanned_ns + SCAN_PAUSE_NS)
		at_ns = follower->scanned_ns + SCAN_PAUSE_NS;
	if (!follower->scan_due || at_ns < follower->scan_at_ns)
		follower->scan_at_ns = at_ns;
	follower->scan_due = true;
}

void trace_scan__due(struct trace_session *session)
{
	struct follower *follower, *next;
	uint64_t now_ns = monotonic_ns();

	HASH_ITER (hh, session->followers, follower, next) {
		struct process *process;

		if (!follower->scan_due || now_ns < follower->scan_at_ns)
			continue;
		process = model__find(&session->model, follower->pid);
		if (process)
			trace_scan(session, process, follower);
		else
			follower->scan_due = false;
	}
}

/* Children of a command: probes for all are in them as they are in their parent. */
void trace_scan__inherit(struct trace_session *session, struct process *parent,
			 struct process *child)
{
	struct follower *of_parent = trace_follower(session, parent);
	struct follower *of_child = trace_follower(session, child);

	if (!session->coverage || coverage__scope(session->coverage) != COVERAGE_ALL ||
	    !of_parent || !of_child)
		return;
	/* What the parent is covered with must be known first. */
	if (of_parent->scan_due)
		trace_scan(session, parent, of_parent);
	child->probed_rows = parent->probed_rows;
	child->allocators = parent->allocators;
	if (parent->counted)
		count_process(session, child, of_child);
	child->covered_from_s = trace_seconds(session, of_child->begun_ns);
	child->covered_to_s = parent->covered_to_s;
	of_child->covered = of_parent->covered;
}

void trace_scan__exec(struct trace_session *session, struct process *process, uint64_t time_ns,
		      bool by_thread)
{
	struct follower *follower = trace_follower(session, process);
	bool late = false;

	if (!follower || !session->coverage)
		return;
	/* Another program, perhaps with another allocator. */
	follower->covered = follower->searched = false;
	follower->begun_ns = time_ns;
	/* A link for one process hangs on its first thread, which is gone when another one execs.
	 */
	if (by_thread && coverage__scope(session->coverage) == COVERAGE_EACH)
		coverage__forget(session->coverage, (pid_t)process->pid);
	if (coverage__scope(session->coverage) == COVERAGE_ALL &&
	    trace_program__prepare(session, process, &late)) {
		count_process(session, process, follower);
		follower->covered = true;
		process->covered_from_s =
			trace_seconds(session, late ? monotonic_ns() : follower->begun_ns);
	} else if (process->is_target || coverage__scope(session->coverage) == COVERAGE_ALL) {
		trace_scan(session, process, follower);
	}
	trace_scan__ask(session, process, process->is_target);
}

/* The last word on a process that has ended, with its final counts. */
void trace_scan__ended(struct trace_session *session, struct process *process)
{
	struct follower *follower = trace_follower(session, process);
	struct row_set rows = {0};

	for (uint32_t i = 0; i < CALL_ROWS; i++)
		if (process->alloc.calls[i])
			row_set__add(&rows, i);
	row_set__join(&process->probed_rows, &rows);
	if (!session->counts_mallocs || !session->coverage || !follower || process->kernel_thread)
		return;
	/* What was counted was covered, by probes for all that were there before it. */
	if (!row_set__is_empty(&rows) && !process->counted) {
		process->counted = true;
		process->covered_from_s = trace_seconds(session, follower->begun_ns);
	}
	/* Its code was never seen: whether its allocator had probes nobody knows. */
	if (!follower->covered && !follower->searched && process->execs &&
	    process->covered_to_s < 0)
		session->model.losses[LOSS_programs_unscanned]++;
}
