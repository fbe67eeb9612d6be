// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "census/host.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "cmd/trace_session.h"

static const struct row_set *probed_rows(void *ctx, const struct process *process)
{
	return &process->probed_rows;
}

/*
 * Rows with a probe in any process of the report. Before a command runs, the allocators that it
 * might load get theirs; those that nobody loaded are not worth a word.
 */
static struct row_set rows_in_use(const struct trace_session *session)
{
	const struct process *process;
	struct row_set rows = {0};

	for (process = session->model.running; process; process = process->hh.next)
		row_set__join(&rows, &process->probed_rows);
	for (process = session->model.ended; process; process = process->next_ended)
		row_set__join(&rows, &process->probed_rows);
	return rows;
}

static void fill_rows(struct trace_session *session, struct trace_result *result)
{
	const struct coverage_row *rows =
		session->coverage ? coverage__rows(session->coverage) : NULL;
	struct row_set in_use = rows_in_use(session);

	for (uint32_t i = 0; rows && i < CALL_ROWS; i++) {
		if (!rows[i].key[0] || !row_set__has(&in_use, i))
			continue;
		result->rows[i].name = rows[i].key;
		result->rows[i].kind = rows[i].frees ? ROW_FREE : ROW_ALLOC;
	}
}

/* Sums over the processes that were counted, running or ended. */
struct cost_sums {
	double covered_s;
	double present_s;
	uint64_t hits, stacks, frames;
};

/* During bursts: what its windows add up to, and all of it before the first of them. */
static double covered_s(const struct process *process, double end_s)
{
	double to = process->covered_to_s >= 0 ? process->covered_to_s : end_s;
	double from = fmax(process->covered_from_s, 0);

	if (process->estimate)
		return fmin(process->estimate->covered_s, fmax(to - from, 0));
	return fmax(to - from, 0);
}

static void add_cost(struct trace_session *session, const struct process *process, double end_s,
		     struct cost_sums *sums)
{
	double begin = (double)(int64_t)(process->first_seen_ns - session->started_ns) / 1e9;
	double end = process->end == PROCESS_EXITED
			     ? (double)(int64_t)(process->ended_ns - session->started_ns) / 1e9
			     : end_s;

	for (int i = 0; i < CALL_ROWS; i++)
		sums->hits += process->alloc.calls[i];
	sums->hits += process->alloc.tail_calls;
	sums->stacks += process->alloc.stacks;
	sums->frames += process->alloc.frames;
	/* A process whose calls were to be counted and were not is present and not covered. */
	if (session->counts_mallocs && !process->kernel_thread)
		sums->present_s += fmax(end - fmax(begin, 0), 0);
	if (process->counted)
		sums->covered_s += covered_s(process, end);
}

void trace_overhead__fill(struct trace_session *session, struct trace_overhead *overhead)
{
	struct bursts_totals totals;

	bursts__totals(session->bursts, &totals);
	overhead->hit_ns =
		session->costs.cls[INSN_PUSH].measured ? session->costs.cls[INSN_PUSH].hit_ns : NAN;
	overhead->stack_ns = session->call_cost.stack_ns;
	overhead->frame_ns = session->call_cost.frame_ns;
	overhead->cost_share = totals.cpu_ns > 0 && !isnan(overhead->hit_ns) &&
					       call_cost__is_known(&session->call_cost)
				       ? totals.cost_ns / totals.cpu_ns
				       : NAN;
	overhead->budget = session->options->budget < 0 ? NAN : session->options->budget;
	overhead->detached_at_s = -1;
	if (totals.detached_ns)
		overhead->detached_at_s =
			(double)(int64_t)(totals.detached_ns - session->started_ns) / 1e9;
	overhead->bursts = totals.bursts;
	overhead->detached = totals.detached;
	overhead->attach_ns = totals.attach_ns;
	overhead->detach_ns = totals.detach_ns;
}

static void fill_overhead(struct trace_session *session, struct trace_result *result)
{
	struct trace_overhead *overhead = &result->overhead;
	struct process *process, *next;
	struct cost_sums sums = {0};

	trace_overhead__fill(session, overhead);
	HASH_ITER (hh, session->model.running, process, next)
		add_cost(session, process, result->duration_s, &sums);
	for (process = session->model.ended; process; process = process->next_ended)
		add_cost(session, process, result->duration_s, &sums);
	overhead->hits = sums.hits;
	overhead->stacks = sums.stacks;
	overhead->frames = sums.frames;
	overhead->bystander_hits =
		session->counts_mallocs ? tracer__bystander_hits(session->tracer) : 0;
	overhead->covered = sums.present_s > 0 ? fmin(sums.covered_s / sums.present_s, 1) : 0;
}

/* By the clocks of now: the wall clock may have been set since. */
static uint64_t started_unix_ns(const struct trace_session *session)
{
	struct timespec now;
	uint64_t since_ns = monotonic_ns() - session->started_ns, now_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

static void fill_result(struct trace_session *session, struct trace_result *result)
{
	struct utsname uts;

	memset(result, 0, sizeof(*result));
	uname(&uts);
	snprintf(result->host.kernel, sizeof(result->host.kernel), "%.64s", uts.release);
	result->host.cpus_online = (uint32_t)host__cpus_online();
	result->host.page_bytes = (uint32_t)host__page_bytes();
	result->ended_ns = session->ended_ns;
	result->duration_s = (double)(result->ended_ns - session->started_ns) / 1e9;
	result->started_unix_ns = started_unix_ns(session);
	result->ended_by = session->ended_by;
	result->model = &session->model;
	memcpy(result->losses, session->model.losses, sizeof(result->losses));
	tracer__read_losses(session->tracer, result->losses);
	fill_rows(session, result);
	result->mallocs_counted = session->counts_mallocs;
	if (session->options->size_rules != SIZE_RULES_LOG2)
		result->classes = &session->classes;
	result->rules_match = trace_classes__match;
	result->allocator_name = trace_classes__allocator;
	fill_overhead(session, result);
	result->command.argv = session->options->command;
	result->command.ended = session->command.ended;
	result->command.wait_status = session->command.wait_status;
	result->namer = stack_names__namer(session->names);
	if (trace_options__weighs_mappings(session->options))
		result->mmap_weights = &session->mmap_weights;
	if (trace_options__weighs_calls(session->options))
		result->alloc_weights = &session->alloc_weights;
	if (trace_options__samples_faults(session->options)) {
		result->fault_weights = &session->fault_weights;
		result->fault_period = session->options->fault_period;
		result->huge_pages = trace_faults__huge_pages();
	}
	result->temporary_weights =
		session->options->temporary ? &session->temporary_weights : NULL;
	result->probed_rows = session->coverage ? probed_rows : NULL;
	result->probed_ctx = session;
}

static int write_text(struct trace_session *session, const struct trace_result *result, FILE *file)
{
	struct text_options text;

	setlocale(LC_CTYPE, "");
	text = report_file__options(file);
	text.all = session->options->all;
	text.top = session->options->top;
	return trace_text__write(file, result, &text);
}

static int write_report(struct trace_session *session, const struct trace_result *result)
{
	const struct trace_options *options = session->options;
	const char *path = options->output ? options->output : "the report to stdout";
	FILE *file = session->output ? session->output : stdout;
	int err;

	session->output = NULL;
	err = options->json ? trace_json__write(file, result) : write_text(session, result, file);
	return report_file__close(file, path, err);
}

int trace_report__print(struct trace_session *session)
{
	FILE *file = session->output ? session->output : stdout;
	char after[UNIT_TEXT_MAX];
	struct trace_result result;
	struct large_facts facts;
	int err;

	session->ended_ns = monotonic_ns();
	fill_result(session, &result);
	census__large_facts(session->census, &facts);
	if (trace_result__build(&result, session->options->large, session->options->large_count,
				&facts))
		return -ENOMEM;
	log_progress("%s", "");
	fprintf(file, "==== after %s\n\n", units_format_seconds(after, result.duration_s));
	err = write_text(session, &result, file);
	fputc('\n', file);
	trace_result__free(&result);
	return err;
}

static int write_profile(struct trace_session *session, const struct trace_result *result)
{
	const struct profile_paths *paths = &session->options->profile;

	if (result->overhead.detached && result->alloc_weights)
		log_warning("%s weighs what bursts saw, %.2g %% of the time",
			    paths->pprof    ? paths->pprof
			    : paths->svg    ? paths->svg
			    : paths->folded ? paths->folded
					    : session->options->record,
			    100 * result->overhead.covered);
	return profile_files__write(&session->profile, result);
}

static int write_outputs(struct trace_session *session, const struct trace_result *result)
{
	int code = write_report(session, result);

	if (code == EXIT_OK)
		code = write_profile(session, result);
	if (code == EXIT_OK && session->options->strict && trace_result__losses(result))
		code = EXIT_LOSSES;
	return code;
}

/* The recording first: it holds all that the others do, and a reader of the report may go away. */
static int write_recorded(struct trace_session *session, struct trace_result *result,
			  const struct large_facts *asked)
{
	const struct trace_options *options = session->options;
	const struct recording_source source = {
		.result = result,
		.facts = fact_log__new(),
		.large = options->large,
		.large_count = options->large_count,
	};
	struct large_facts facts;
	int code, recorded;

	if (!source.facts)
		goto no_memory;
	facts = fact_log__keep(source.facts, asked);
	if (trace_result__build(result, options->large, options->large_count, &facts))
		goto no_memory;
	recorded = recording_file__write(&session->recording, &source, &facts);
	code = write_outputs(session, result);
	fact_log__free(source.facts);
	trace_result__free(result);
	return recorded == EXIT_OK ? code : recorded;
no_memory:
	fact_log__free(source.facts);
	log_error("out of memory");
	return EXIT_FAILED;
}

int trace_report__write(struct trace_session *session)
{
	const struct trace_options *options = session->options;
	struct trace_result result;
	struct large_facts facts;
	int code;

	fill_result(session, &result);
	census__large_facts(session->census, &facts);
	if (options->record)
		return write_recorded(session, &result, &facts);
	if (trace_result__build(&result, options->large, options->large_count, &facts)) {
		log_error("out of memory");
		return EXIT_FAILED;
	}
	code = write_outputs(session, &result);
	trace_result__free(&result);
	return code;
}
