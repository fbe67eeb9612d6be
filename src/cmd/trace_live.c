// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Outstanding allocations: reads the live set at the end of each interval. */
#include "cmd/trace_session.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/size_class.h"
#include "base/log.h"
#include "census/chunk_sizes.h"
#include "ingest/live_set.h"
#include "model/live_spaces.h"

int trace_live__start(struct trace_session *session)
{
	struct live_set *set = tracer__live_set(session->tracer);
	int err;

	if (!set)
		return 0;
	/* It works now or never: each reading asks again. */
	err = live_set__clock(set, &session->live_clock);
	if (err) {
		log_error("cannot run a BPF program to read the kernel's ticks: %s; without them "
			  "--live cannot tell ages",
			  strerror(-err));
		return err;
	}
	session->live_spaces = live_spaces__new();
	return session->live_spaces ? 0 : -ENOMEM;
}

void trace_live__free(struct trace_session *session)
{
	live_spaces__free(session->live_spaces);
}

void trace_live__follow(struct trace_session *session, struct process *process)
{
	uint32_t id = (uint32_t)process->alloc.space;
	struct live_space *space;
	struct live_view *view;
	bool inherits;

	if (!session->live_spaces || !id)
		return;
	view = live_spaces__view(session->live_spaces, id);
	/* Known already: this process's, or after vfork(2) its parent's, which reports it. */
	if (view)
		return;
	space = live_set__space(tracer__live_set(session->tracer), id);
	if (!space)
		return;
	/* Probes of its own come later than its first frees: what it inherited cannot be known. */
	inherits = session->coverage && coverage__scope(session->coverage) == COVERAGE_ALL;
	view = live_spaces__track(
		session->live_spaces, id, space->parent, space->parent_epoch, inherits,
		(double)(int64_t)(process->first_seen_ns - session->started_ns) / 1e9);
	/* Nor need the kernel note what it frees of that. */
	if (!inherits)
		space->parent = 0;
	if (view)
		process__set_live(process, view);
}

static double seconds_of(void *ctx, uint32_t time)
{
	const struct trace_session *session = ctx;

	return (live_clock__time_ns(&session->live_clock, time) - (double)session->started_ns) /
	       1e9;
}

static uint32_t epoch_of(void *ctx, uint32_t id)
{
	struct trace_session *session = ctx;

	return __atomic_load_n(&live_set__space(tracer__live_set(session->tracer), id)->epoch,
			       __ATOMIC_ACQUIRE);
}

static void forget(void *ctx, uint32_t id, uint32_t epoch)
{
	struct trace_session *session = ctx;

	__atomic_compare_exchange_n(&live_set__space(tracer__live_set(session->tracer), id)->keep,
				    &epoch, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void release(void *ctx, uint32_t id)
{
	struct trace_session *session = ctx;

	live_set__release(tracer__live_set(session->tracer), id);
}

struct pass {
	struct trace_session *session;
	struct live_reading reading;
};

static bool read_entry(void *ctx, uint64_t key, const struct live_value *value)
{
	struct pass *pass = ctx;

	return live_spaces__entry(pass->session->live_spaces, &pass->reading, key, value,
				  live_value__weight(value));
}

static void read_peak(struct trace_session *session, struct process *process)
{
	struct live_set *set = tracer__live_set(session->tracer);
	struct live_space *space = live_set__space(set, (uint32_t)process->alloc.space);

	/* Sums of a sample, or of what a child inherited and frees, are no sums of the whole. */
	if (process->live->sampled)
		process->live->peak_bytes = process->live->peak_error_bytes = NAN;
	if (!space || process->live->sampled || space->parent ||
	    live_spaces__view(session->live_spaces, (uint32_t)process->alloc.space) !=
		    process->live)
		return;
	process->live->peak_bytes = fmax((double)space->peak_bytes, process->live->total.bytes);
	process->live->peak_error_bytes = (double)LIVE_HELD_BYTES * tracer__cpus();
}

/*
 * Where the budget takes probes off, frees are missed: what is outstanding cannot be told any more,
 * and entries that nobody would take out would fill the set.
 */
static void stop_detached(struct trace_session *session)
{
	struct live_set *set = tracer__live_set(session->tracer);
	struct process *process, *next;

	HASH_ITER (hh, session->model.running, process, next) {
		struct live_space *space = live_set__space(set, (uint32_t)process->alloc.space);
		uint64_t since_ns;

		if (!space || space->stopped || !process->live ||
		    !bursts__was_detached(session->bursts, process->pid, process->start_ns,
					  &since_ns))
			continue;
		space->stopped = 1;
		live_spaces__stop(session->live_spaces, (uint32_t)process->alloc.space,
				  (double)(int64_t)(since_ns - session->started_ns) / 1e9);
	}
}

/* Spaces that nobody is in: known ones are read for the last time, others hold nothing of
 * interest. */
static void find_left(struct trace_session *session)
{
	struct live_set *set = tracer__live_set(session->tracer);

	for (uint32_t id = 1; id < LIVE_SPACES_MAX; id++) {
		struct live_space *space = live_set__space(set, id);

		if (!space->taken || space->users)
			continue;
		/* Of a process that the model never knew. It goes as the others do. */
		if (!live_spaces__view(session->live_spaces, id))
			live_spaces__track(session->live_spaces, id, space->parent,
					   space->parent_epoch, false, 0);
		live_spaces__left(session->live_spaces, id);
	}
}

static void name_stacks(struct trace_session *session, const struct process *process)
{
	for (struct live_group *group = process->live->groups; group; group = group->hh.next) {
		if (group->named)
			continue;
		group->named = true;
		stack_names__note(session->names, process, group->key.stack);
	}
}

/* Of the processes that run, and of those that have ended since the last reading. */
static void finish_views(struct trace_session *session)
{
	struct process *process, *next;

	HASH_ITER (hh, session->model.running, process, next)
		if (process->live) {
			name_stacks(session, process);
			read_peak(session, process);
		}
	for (process = session->model.ended; process; process = process->next_ended)
		if (process->live && !process->live->final) {
			name_stacks(session, process);
			read_peak(session, process);
			stack_names__ended(session->names, process->pid, process->start_ns);
		}
}

bool trace_live__awaits(const struct trace_session *session, uint32_t pid, uint64_t start_ns)
{
	const struct process *process = session->model.ended;

	/* Newest first. */
	return session->live_spaces && process && process->pid == pid &&
	       process->start_ns == start_ns && process->live && !process->live->final;
}

#define KIND(kind) (1u << (kind))

/* By the headers of its chunks, of glibc alone; by its classes' rules, of jemalloc. */
static void read_usable(struct process *process)
{
	struct live_view *view = process->live;
	uint32_t kinds = process->allocators & ~KIND(ALLOCATOR_GO);
	struct live_usable *sum = &view->usable;
	uint64_t *usable = calloc(view->looked_at + 1, sizeof(*usable));

	*sum = (struct live_usable){0};
	if (!usable)
		return;
	if (kinds == KIND(ALLOCATOR_GLIBC) &&
	    !glibc_chunk__usable(process->pid, view->pointers, view->sizes, view->looked_at,
				 usable))
		sum->source = "chunk-headers";
	/* glibc's is mapped beside it and called by nobody. */
	if ((kinds & ~KIND(ALLOCATOR_GLIBC)) == KIND(ALLOCATOR_JEMALLOC)) {
		sum->source = "size-classes";
		for (size_t i = 0; i < view->looked_at; i++)
			usable[i] = size_class__usable(SIZE_RULES_JEMALLOC, view->sizes[i]);
	}
	for (size_t i = 0; sum->source && i < view->looked_at; i++) {
		if (!usable[i]) {
			sum->unread++;
			continue;
		}
		sum->count++;
		sum->requested_bytes += view->sizes[i];
		sum->usable_bytes += usable[i];
	}
	free(usable);
}

static void read_all_usable(struct trace_session *session)
{
	struct process *process, *next;

	HASH_ITER (hh, session->model.running, process, next)
		if (process->live && process->live->looked_at) {
			read_usable(process);
			live_view__drop_pointers(process->live);
		}
}

void trace_live__read(struct trace_session *session, bool ages)
{
	struct pass pass = {
		.session = session,
		.reading = {.ctx = session,
			    .now_s = trace_session__now_s(session),
			    .ages = ages,
			    .filter = &session->options->live_filter,
			    .keeps_items = session->options->record,
			    .seconds = seconds_of,
			    .epoch = epoch_of,
			    .forget = forget,
			    .release = release},
	};
	struct live_set *set = tracer__live_set(session->tracer);
	struct process *process, *next;
	struct live_clock clock;

	if (!session->live_spaces)
		return;
	if (!live_set__clock(set, &clock))
		session->live_clock = clock;
	HASH_ITER (hh, session->model.running, process, next)
		trace_live__follow(session, process);
	stop_detached(session);
	find_left(session);
	live_set__thin(set);
	live_spaces__begin(session->live_spaces, &pass.reading);
	live_set__each(set, read_entry, &pass);
	/* Before the end, which makes those of ended processes final and gives numbers back. */
	finish_views(session);
	session->model.losses[LOSS_live_copies_dropped] +=
		live_spaces__end(session->live_spaces, &pass.reading);
	if (ages)
		read_all_usable(session);
}
