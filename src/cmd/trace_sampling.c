// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "census/host.h"
#include "census/proc_stat.h"
#include "cmd/trace_session.h"

/* Residency readings together take at most this share of the time. */
#define CENSUS_SHARE 0.02
/* What bystanders may pay without a warning, as a share of the host's CPU time. */
#define BYSTANDER_SHARE 0.05

/* Records were lost: nothing that the model believes of running processes is certain. */
static void notice_lost_records(struct trace_session *session)
{
	uint64_t losses[LOSS_MAX] = {0};

	tracer__read_losses(session->tracer, losses);
	if (losses[LOSS_ring_full] == session->ring_full_seen)
		return;
	session->ring_full_seen = losses[LOSS_ring_full];
	model__distrust_all(&session->model);
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

static void sample_process(struct trace_session *session, struct process *process, double now_s)
{
	struct alloc_counts sums;
	uint64_t rss;

	if (session->counts_mallocs && !tracer__read_counts(session->tracer, process->pid, &sums))
		process__set_alloc(process, &sums);
	if (!proc_stat__rss(process->pid, &rss) && rss)
		process__sample_rss(process, now_s, rss);
	process__end_interval(process, now_s);
}

void trace_read_residency(struct trace_session *session)
{
	struct process *process, *next;

	if (session->options->target == TRACE_HOST)
		return;
	HASH_ITER (hh, session->model.running, process, next)
		census__read_if_due(session->census, process, CENSUS_SHARE);
}

void trace_tick(struct trace_session *session)
{
	double now_s = trace_session__now_s(session);
	struct process *process, *next;

	notice_lost_records(session);
	HASH_ITER (hh, session->model.running, process, next) {
		sample_process(session, process, now_s);
		if (session->ring_full_seen)
			end_if_gone(session, process);
	}
	model__heal(&session->model, false);
}

static double cpu_ns(const struct proc_stat *stat)
{
	return (double)stat->cpu_ticks * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

static void drop_probes(struct trace_session *session, struct process *process)
{
	double now_s = trace_session__now_s(session);
	struct process *other, *next;

	if (session->detached_at_s < 0)
		session->detached_at_s = now_s;
	log_info("took the allocator probes off process %u: they cost it more than the budget",
		 process->pid);
	if (coverage__scope(session->coverage) == COVERAGE_EACH) {
		coverage__drop_mallocs(session->coverage, (pid_t)process->pid);
		process->covered_to_s = now_s;
		return;
	}
	coverage__drop_all_mallocs(session->coverage);
	HASH_ITER (hh, session->model.running, other, next)
		if (other->covered_to_s < 0)
			other->covered_to_s = now_s;
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

void trace_guard(struct trace_session *session)
{
	double limit = session->options->budget;
	struct process *process, *next;

	if (!session->counts_mallocs || !session->coverage)
		return;
	if (coverage__scope(session->coverage) == COVERAGE_ALL)
		watch_bystanders(session);
	HASH_ITER (hh, session->model.running, process, next) {
		struct alloc_counts sums;
		struct follower *follower;
		struct proc_stat stat;

		if (!process->counted || process->covered_to_s >= 0)
			continue;
		HASH_FIND(hh, session->followers, &process->pid, sizeof(process->pid), follower);
		if (!follower || tracer__read_counts(session->tracer, process->pid, &sums) ||
		    proc_stat__read(process->pid, &stat))
			continue;
		process__set_alloc(process, &sums);
		if (budget_meter__update(&follower->meter,
					 coverage__cost_ns(session->coverage, &sums), cpu_ns(&stat),
					 limit))
			drop_probes(session, process);
	}
}
