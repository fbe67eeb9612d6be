// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include "base/log.h"
#include "census/host.h"
#include "census/proc_stat.h"
#include "cmd/trace_session.h"

/* Residency readings together take at most this share of the time. */
#define CENSUS_SHARE 0.02
/* So few processes have their RSS read ten times a second, at 2 us each; more, once an interval. */
#define SAMPLED_OFTEN_MAX 64
/* What bystanders may pay without a warning, as a share of the host's CPU time. */
#define BYSTANDER_SHARE 0.05

/* Records were lost: nothing that the model believes of running processes is certain. */
static void notice_lost_records(struct trace_session *session)
{
	uint64_t losses[LOSS_MAX] = {0}, lost;
	struct process *process, *next;

	tracer__read_losses(session->tracer, losses);
	/* A program that the kernel skipped made no record either. */
	lost = losses[LOSS_ring_full] + losses[LOSS_missed_recursion];
	if (lost == session->records_lost_seen)
		return;
	session->records_lost_seen = lost;
	model__distrust_all(&session->model);
	trace_targets__find_lost(session);
	HASH_ITER (hh, session->model.running, process, next) {
		/* An exec may have been among them. */
		trace_process__refresh(process);
		trace_scan__ask(session, process, true);
	}
}

/* The record of its end may have been among the lost ones. */
static void end_if_gone(struct trace_session *session, struct process *process)
{
	struct rec_process end = {
		.hdr = {.type = REC_EXIT,
			.flags = RECF_GROUP_DEAD,
			.pid = process->pid,
			.tid = process->pid,
			.time_ns = monotonic_ns(),
			.start_ns = process->start_ns},
		.faults = FAULTS_UNKNOWN,
	};

	if (!proc_exists(process->pid))
		trace_event(session, &end.hdr, sizeof(end));
}

static void sample_rss(struct trace_session *session, struct process *process)
{
	uint64_t rss;

	if (!proc_stat__rss(process->pid, &rss) && rss)
		process__sample_rss(process, trace_session__now_s(session), rss);
}

void trace_read_classes(struct trace_session *session, struct process *process)
{
	struct class_counts sums;

	if (!tracer__read_classes(session->tracer, process->pid, &sums))
		process__set_classes(process, &sums);
}

static void sample_process(struct trace_session *session, struct process *process, double now_s)
{
	struct alloc_counts sums;

	if (session->counts_mallocs && !tracer__read_counts(session->tracer, process->pid, &sums))
		process__set_alloc(process, &sums);
	sample_rss(session, process);
	process__end_interval(process, now_s);
}

void trace_read_residency(struct trace_session *session)
{
	struct process *process, *next;

	if (session->options->target == TRACE_HOST)
		return;
	HASH_ITER (hh, session->model.running, process, next) {
		if (HASH_COUNT(session->model.running) <= SAMPLED_OFTEN_MAX)
			sample_rss(session, process);
		census__read_if_due(session->census, process, CENSUS_SHARE);
	}
}

void trace_tick(struct trace_session *session, bool for_report)
{
	double now_s = trace_session__now_s(session);
	struct process *process, *next;

	notice_lost_records(session);
	HASH_ITER (hh, session->model.running, process, next) {
		sample_process(session, process, now_s);
		if (session->records_lost_seen)
			end_if_gone(session, process);
	}
	trace_live__read(session, for_report);
	trace_faults__read(session);
	model__heal(&session->model, false);
}

/*
 * A command's children can only be covered from their first call by probes that every process of
 * the host meets. The report says what the others paid; when it is much, the user hears at once.
 */
static void watch_bystanders(struct trace_session *session)
{
	uint64_t hits = tracer__bystander_hits(session->tracer);
	double hit_ns = session->costs.cls[INSN_PUSH].hit_ns;
	double cost_ns = (double)(hits - session->bystander_seen) * hit_ns;

	session->bystander_seen = hits;
	if (session->bystanders_warned ||
	    cost_ns <= BYSTANDER_SHARE * (double)GUARD_NS * host__cpus_online())
		return;
	session->bystanders_warned = true;
	log_warning("other processes pay for the probes too: %.0f %% of this host's CPU time just "
		    "now; to spare them, start the command first and trace it with -p",
		    100 * cost_ns / ((double)GUARD_NS * host__cpus_online()));
}

/* Each process once; when probes are for all, the first of them stands for all. */
static void say_detached(struct trace_session *session)
{
	bool all = coverage__scope(session->coverage) == COVERAGE_ALL;
	struct process *process, *next;
	uint64_t since_ns;

	HASH_ITER (hh, session->model.running, process, next) {
		struct follower *follower = trace_follower(session, process);

		if (!process->counted || !follower || follower->said || session->detached_said ||
		    !bursts__was_detached(session->bursts, process->pid, process->start_ns,
					  &since_ns))
			continue;
		follower->said = true;
		session->detached_said = all;
		log_info("the allocator probes cost process %u more than the budget: from now on "
			 "they come and go%s",
			 process->pid, all ? ", for all processes" : "");
	}
}

void trace_guard(struct trace_session *session)
{
	if (!session->bursts || !coverage__probes(session->coverage))
		return;
	if (coverage__scope(session->coverage) == COVERAGE_ALL)
		watch_bystanders(session);
	say_detached(session);
}

void trace_keep_estimate(struct trace_session *session, struct process *process,
			 const struct bursts_view *view)
{
	struct bursts_view last;

	if (!view && bursts__view(session->bursts, process->pid, process->start_ns, &last))
		return;
	if (!view)
		view = &last;
	if (!view->was_detached)
		return;
	/* It may have ended before a reading could notice. */
	if (process->live && process->live->stopped_s < 0)
		process->live->stopped_s = trace_session__now_s(session);
	if (!process->estimate)
		process->estimate = malloc(sizeof(*process->estimate));
	if (process->estimate)
		*process->estimate = view->estimate;
}
