// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/trace_session.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "analysis/size_class.h"
#include "base/clock.h"
#include "base/log.h"
#include "census/glibc_arenas.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "cmd/cmd.h"
#include "ingest/programs.h"
#include "probe/attach.h"
#include "probe/call_cost.h"
#include "probe/hit_cost.h"
#include "unwind/unwinder.h"

/* How long records of no urgency may lie in the ring. */
#define POLL_MS 20
/* Before nearly all others, behind what an administrator put first. */
#define READER_NICE (-10)
/* Intervals kept for each process and size bucket. */
#define INTERVALS 120

static volatile sig_atomic_t stop_requested;

static void request_stop(int sig)
{
	stop_requested = 1;
	/* The second one ends memdrift at once; the kernel takes the probes off. */
	signal(sig, SIG_DFL);
}

double trace_session__now_s(const struct trace_session *session)
{
	return (double)(int64_t)(monotonic_ns() - session->started_ns) / 1e9;
}

static int read_maps(void *ctx, uint32_t pid, uint64_t start_ticks, struct maps_entry **entries,
		     size_t *n)
{
	struct proc_stat stat;
	int err = proc_maps__read(pid, entries, n);

	if (err)
		return err;
	/* Asked afterwards: as long as the start is the same the maps were this process's. */
	err = proc_stat__read(pid, &stat);
	if (!err && start_ticks && stat.start_ticks != start_ticks)
		err = -ESRCH;
	if (!err && !*n)
		err = -ESRCH;
	if (err) {
		maps_entries__free(*entries, *n);
		*entries = NULL;
		*n = 0;
	}
	return err;
}

static int read_inflight(void *ctx, uint32_t pid, struct address_range *ranges, size_t max)
{
	struct trace_session *session = ctx;

	return tracer__read_inflight(session->tracer, pid, ranges, max);
}

static uint64_t read_brk(void *ctx, uint32_t pid)
{
	struct proc_stat stat;

	return proc_stat__read(pid, &stat) ? 0 : stat.start_brk;
}

static int read_heap(void *ctx, uint32_t pid, uint64_t base)
{
	struct glibc_heap heap;
	int err = glibc_heap__read(pid, base, &heap);

	return err ? err : heap.is_first;
}

static uint64_t read_clock(void *ctx)
{
	return monotonic_ns();
}

static int read_stack(void *ctx, int32_t id, struct kept_stack *stack)
{
	struct trace_session *session = ctx;

	return tracer__read_stack(session->tracer, id, stack);
}

static uint32_t count_classes(const struct trace_options *options)
{
	switch (options->size_rules) {
	case SIZE_RULES_LOG2:
		return 0;
	case SIZE_RULES_GO:
		return COUNT_GO_BY_CLASS;
	default:
		return COUNT_BY_CLASS;
	}
}

static int load_tracer(struct trace_session *session)
{
	const struct trace_options *options = session->options;
	bool by_call = trace_options__weighs_calls(options);
	bool by_class = options->size_rules != SIZE_RULES_LOG2;
	struct tracer_options tracer = {
		.ring_bytes = options->ring_bytes,
		.counted_max = tracer__counted_max(by_class),
		.arenas = options->target != TRACE_HOST,
		.live_bytes = session->follows_live ? options->live_bytes : 0,
		.live_stacks = !options->no_stacks,
		.live_temporary = options->temporary,
		.stacks = true,
		.stack_hash_bits = options->stack_hash_bits,
		.fault_period = trace_options__samples_faults(options) ? options->fault_period : 0,
		.classes = &session->classes,
		.config =
			{
				.target_mode = options->target == TRACE_HOST   ? TARGET_HOST
					       : options->target == TRACE_COMM ? TARGET_COMM
									       : TARGET_LISTED,
				.own_pid = (uint32_t)getpid(),
				/* All stacks for flame graphs; else those worth a line in a report.
				 */
				.stack_min_len =
					trace_options__weighs_mappings(options) ? 0 : 1 << 20,
				.wakeup_bytes = options->ring_bytes / 8,
				.count_mallocs = session->counts_mallocs,
				.count_by = (by_call ? COUNT_BY_STACK : 0) | count_classes(options),
			},
	};

	if (by_class)
		size_class__fill_table(options->size_rules, &session->classes);
	memcpy(tracer.config.comm, options->comm, sizeof(options->comm));
	return tracer__open(&tracer, &session->tracer);
}

/* False: what a call costs is not known. */
static bool measure_costs(struct trace_session *session)
{
	session->call_cost = (struct call_cost){NAN, NAN, NAN};
	if (hit_cost__measure(session->tracer, false, &session->costs))
		return false;
	call_cost__measure(session->tracer, &session->costs, &session->call_cost);
	return call_cost__is_known(&session->call_cost);
}

static int make_coverage(struct trace_session *session)
{
	enum trace_target target = session->options->target;
	/* Whose children must be covered from the first call, or everyone. */
	enum coverage_scope scope =
		target == TRACE_COMMAND || target == TRACE_HOST ? COVERAGE_ALL : COVERAGE_EACH;
	struct call_cost none = {0};
	double budget = session->options->budget;

	insn_costs__assume(&session->costs);
	if (session->counts_mallocs && !measure_costs(session)) {
		log_warning("the cost of a probe could not be measured here: it is reported as "
			    "unknown and --budget cannot be kept");
		budget = -1;
	}
	if (target == TRACE_HOST && !session->counts_mallocs)
		return 0;
	session->allocators = allocator_cache__new(&session->costs);
	if (session->allocators && session->options->size_rules == SIZE_RULES_GO)
		allocator_cache__search_go(session->allocators);
	if (session->allocators) {
		allocator_cache__set_named(session->allocators, &session->options->named.objects);
		session->coverage = coverage__new(
			session->tracer, session->allocators, &session->costs,
			call_cost__is_known(&session->call_cost) ? &session->call_cost : &none,
			scope, session->counts_mallocs, target != TRACE_HOST);
	}
	if (session->coverage && session->counts_mallocs)
		session->bursts = bursts__new(session->tracer, session->coverage, budget);
	return session->coverage && (session->bursts || !session->counts_mallocs) ? 0 : -ENOMEM;
}

/* So that a command's first call in them is seen. */
static void prepare_named(struct trace_session *session)
{
	const struct named_objects *named = &session->options->named.objects;
	uint32_t allocators = 0; /* those of a process are found when it has mapped them */

	for (size_t i = 0; i < named->count; i++) {
		coverage__prepare(session->coverage, named->list[i]->path, &allocators);
		named->list[i]->seen = false;
	}
}

static int make_parts(struct trace_session *session)
{
	const struct trace_options *options = session->options;
	struct model_reader reader = {
		.ctx = session,
		.read_maps = read_maps,
		.read_inflight = read_inflight,
		.read_brk = read_brk,
		.read_heap = read_heap,
		.now_ns = read_clock,
	};
	struct stack_source source = {session, read_stack, read_maps};

	if (model__init(&session->model, &reader, session->started_ns, options->interval_s,
			INTERVALS))
		return -ENOMEM;
	session->names = stack_names__new(&source);
	if (session->names)
		stack_names__want(session->names, options->lines, options->debuginfod);
	session->census = census__new(session->started_ns, options->large, options->large_count);
	return session->names && session->census ? 0 : -ENOMEM;
}

/* Each probe is a descriptor. The hard limit is there for programs that know what they do. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int trace_session__start(struct trace_session *session, const struct trace_options *options)
{
	int code;

	session->options = options;
	session->counts_mallocs = trace_options__counts_mallocs(options);
	if (options->target == TRACE_COMMAND) {
		code = trace_command__spawn(session);
		if (code)
			return code;
	}
	raise_descriptor_limit();
	/*
	 * The reader must not fall behind those it reads about, and what an exec has mapped is only
	 * to be seen while the process lives. After the command's fork: it keeps the usual one.
	 */
	if (setpriority(PRIO_PROCESS, 0, READER_NICE))
		log_info("cannot raise the own priority: %s", strerror(errno));
	session->follows_live = options->live && attach__return_probes_safe();
	if (options->live && !session->follows_live)
		log_warning("this kernel kills processes under a strict seccomp filter that run "
			    "into a return probe (mended in 6.14): calls are counted, what is "
			    "outstanding stays unknown");
	if (load_tracer(session))
		return EXIT_FAILED;
	if (make_coverage(session))
		goto no_memory;
	if (options->target == TRACE_COMMAND) {
		trace_command__prepare(session);
		prepare_named(session);
	}
	/* What came before is set-up. */
	session->started_ns = monotonic_ns();
	if (make_parts(session) || trace_live__start(session))
		goto no_memory;
	signal(SIGINT, request_stop);
	signal(SIGTERM, request_stop);
	if (tracer__attach(session->tracer))
		return EXIT_FAILED;
	code = trace_targets__follow(session);
	if (code)
		return code;
	trace_heaps__read(session, true);
	session->next_tick_ns = monotonic_ns() + (uint64_t)(options->interval_s * 1e9);
	session->next_guard_ns = monotonic_ns() + GUARD_NS;
	return -1;
no_memory:
	log_error("out of memory");
	return EXIT_FAILED;
}

static void show_progress(struct trace_session *session)
{
	uint64_t losses[LOSS_MAX] = {0}, total = 0;
	struct trace_overhead overhead = {0};
	struct winsize size;
	char line[512];

	if (!isatty(STDERR_FILENO))
		return;
	tracer__read_losses(session->tracer, losses);
	for (int i = 0; i < LOSS_MAX; i++)
		total += losses[i] + session->model.losses[i];
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		size.ws_col = 80;
	trace_overhead__fill(session, &overhead);
	trace_progress(line, sizeof(line), &session->model, trace_session__now_s(session),
		       session->options->duration_s, total, session->bursts ? &overhead : NULL,
		       size.ws_col - 1u);
	log_progress("%s", line);
}

static bool is_over(struct trace_session *session)
{
	const struct trace_options *options = session->options;

	if (stop_requested)
		session->ended_by = "interrupted";
	else if (options->duration_s >= 0 && trace_session__now_s(session) >= options->duration_s)
		session->ended_by = "its duration was over";
	else if (trace_targets__ended(session))
		session->ended_by = options->target == TRACE_COMMAND ? "the command ended"
								     : "every target ended";
	return session->ended_by != NULL;
}

/* Everything that is in the ring now, so that what is read from /proc next is newer. */
static void drain_ring(struct trace_session *session)
{
	/* Bounded: producers may be faster than we are. 64 rounds of 64k records pass any ring. */
	for (int i = 0; i < 64; i++)
		if (tracer__poll(session->tracer, 0, 65536, trace_event, session) < 65536)
			return;
}

int trace_session__run(struct trace_session *session)
{
	uint64_t interval_ns = (uint64_t)(session->options->interval_s * 1e9);

	while (!is_over(session)) {
		int n = 0;

		if (session->options->hold_reader)
			usleep(1000);
		else
			n = tracer__poll(session->tracer, POLL_MS, 65536, trace_event, session);
		if (n < 0 && n != -EINTR)
			return n;
		/* First: code that was just mapped is being run. */
		unwinder__serve(tracer__unwinder(session->tracer));
		trace_scan__due(session);
		if (monotonic_ns() >= session->next_guard_ns) {
			trace_guard(session);
			trace_read_residency(session);
			session->next_guard_ns = monotonic_ns() + GUARD_NS;
		}
		if (monotonic_ns() >= session->next_tick_ns) {
			drain_ring(session);
			trace_targets__refresh(session);
			trace_tick(session, session->options->print);
			n = session->options->print ? trace_report__print(session) : 0;
			if (n < 0)
				return n;
			show_progress(session);
			/* A late tick is not made up for: intervals say when they ended. */
			session->next_tick_ns = monotonic_ns() + interval_ns;
		}
		trace_command__reap(session);
	}
	return 0;
}

void trace_session__stop(struct trace_session *session)
{
	struct process *process, *next;
	uint64_t cost_ns;

	log_progress("%s", "");
	session->ended_ns = monotonic_ns();
	bursts__stop(session->bursts);
	drain_ring(session);
	trace_command__reap(session);
	trace_tick(session, true);
	HASH_ITER (hh, session->model.running, process, next)
		trace_read_classes(session, process);
	if (session->options->dump_spaces)
		trace_dump_spaces(session, session->options->dump_spaces);
	/* The model is compared with /proc once more, whether or not anything gave reason to. */
	if (session->model.process_count <= 1024)
		model__heal(&session->model, true);
	HASH_ITER (hh, session->model.running, process, next)
		trace_keep_estimate(session, process, NULL);
	HASH_ITER (hh, session->model.running, process, next)
		if (process->is_target || session->options->target != TRACE_HOST)
			census__read(session->census, process, &cost_ns);
	named_options__warn_unseen(&session->options->named);
	trace_weights__keep(session, NULL);
	coverage__drop_all_mallocs(session->coverage);
	trace_heaps__read(session, false);
}

void trace_session__free(struct trace_session *session)
{
	struct follower *follower, *next;

	/* Probes first: a target should not pay while we clean up. */
	bursts__free(session->bursts);
	coverage__free(session->coverage);
	tracer__close(session->tracer);
	HASH_ITER (hh, session->followers, follower, next) {
		HASH_DEL(session->followers, follower);
		free(follower);
	}
	trace_programs__free(session);
	model__free(&session->model);
	stack_names__free(session->names);
	stack_weights__free(&session->mmap_weights);
	stack_weights__free(&session->alloc_weights);
	stack_weights__free(&session->temporary_weights);
	stack_weights__free(&session->fault_weights);
	trace_live__free(session);
	census__free(session->census);
	allocator_cache__free(session->allocators);
	if (session->command.pid && session->command.go_fd >= 0)
		close(session->command.go_fd);
}
