// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	model__heal(&session->model, false);
}

static double cpu_ns(const struct proc_stat *stat)
{
	return (double)stat->cpu_ticks * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

static void note_drop(struct trace_session *session, const char *who)
{
	if (session->detached_at_s < 0)
		session->detached_at_s = trace_session__now_s(session);
	log_info("took the allocator probes off %s: they cost more than the budget", who);
}

static void drop_probes(struct trace_session *session, struct process *process)
{
	char who[32];

	snprintf(who, sizeof(who), "process %u", process->pid);
	note_drop(session, who);
	coverage__drop_mallocs(session->coverage, (pid_t)process->pid);
	process->covered_to_s = trace_session__now_s(session);
}

static void drop_all_probes(struct trace_session *session)
{
	double now_s = trace_session__now_s(session);
	struct process *process, *next;

	note_drop(session, "every process");
	coverage__drop_all_mallocs(session->coverage);
	HASH_ITER (hh, session->model.running, process, next)
		if (process->covered_to_s < 0)
			process->covered_to_s = now_s;
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

/* Reads what a process has paid; true when it alone is over the limit. */
static bool update_meter(struct trace_session *session, struct process *process,
			 struct follower *follower, double limit)
{
	struct alloc_counts sums;
	struct proc_stat stat;

	if (tracer__read_counts(session->tracer, process->pid, &sums) ||
	    proc_stat__read(process->pid, &stat))
		return false;
	process__set_alloc(process, &sums);
	return budget_meter__update(&follower->meter, coverage__cost_ns(session->coverage, &sums),
				    cpu_ns(&stat), limit);
}

void trace_guard(struct trace_session *session)
{
	double limit = session->options->budget;
	double cost_ns = session->ended_cost_ns, all_cpu_ns = session->ended_cpu_ns;
	struct process *process, *next;
	bool shared;

	if (!session->counts_mallocs || !session->coverage || !coverage__probes(session->coverage))
		return;
	shared = coverage__scope(session->coverage) == COVERAGE_ALL;
	if (shared)
		watch_bystanders(session);
	HASH_ITER (hh, session->model.running, process, next) {
		struct follower *follower = trace_follower(session, process);

		if (!follower || !process->counted || process->covered_to_s >= 0)
			continue;
		if (update_meter(session, process, follower, shared ? -1 : limit))
			drop_probes(session, process);
		budget_meter__add(&follower->meter, &cost_ns, &all_cpu_ns);
	}
	if (shared && budget_meter__update(&session->all_meter, cost_ns, all_cpu_ns, limit))
		drop_all_probes(session);
}
