// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

/* Allocator sums at the end of the last interval. */
struct interval_alloc {
	uint64_t calls, bytes, frees;
	uint64_t buckets[SIZE_BUCKETS];
};

uint64_t process__ticks(uint64_t start_ns)
{
	long hz = sysconf(_SC_CLK_TCK);

	/* The kernel divides the same way (kernel/time/time.c: nsec_to_clock_t). */
	return start_ns / (1000000000ull / (hz > 0 ? (uint64_t)hz : 100));
}

void process__set_comm(struct process *process, const char *comm)
{
	size_t len = comm ? strnlen(comm, sizeof(process->comm) - 1) : 0;

	if (!len)
		return;
	memset(process->comm, 0, sizeof(process->comm));
	memcpy(process->comm, comm, len);
}

struct process *process__new(uint32_t pid, uint64_t start_ns, const char *comm, uint64_t time_ns,
			     uint32_t intervals, struct space *space)
{
	struct process *process = calloc(1, sizeof(*process));

	if (!process)
		goto fail;
	process->space = space ? space : space__new();
	if (!process->space)
		goto fail;
	if (!process->space->owner_pid)
		process->space->owner_pid = pid;
	process->pid = pid;
	process->start_ns = start_ns;
	process->start_ticks = process__ticks(start_ns);
	process->first_seen_ns = time_ns;
	process->exit_status = -1;
	process->faults.before = process->faults.now = FAULTS_UNKNOWN;
	process->covered_to_s = -1;
	process__set_comm(process, comm);
	arenas__init(&process->arenas);
	ring__init(&process->intervals, sizeof(struct interval), intervals);
	ring__init(&process->bucket_series, SIZE_BUCKETS * sizeof(uint64_t), intervals);
	return process;
fail:
	space__unref(space);
	free(process);
	return NULL;
}

void process__free(struct process *process)
{
	if (!process)
		return;
	space__unref(process->space);
	arenas__free(&process->arenas);
	ring__free(&process->intervals);
	ring__free(&process->bucket_series);
	live_view__unref(process->live);
	free(process->interval_alloc);
	free(process->classes);
	free(process->estimate);
	free(process->exe);
	free(process);
}

void process__set_live(struct process *process, struct live_view *view)
{
	if (process->live == view)
		return;
	live_view__unref(process->live);
	process->live = live_view__ref(view);
}

void process__set_space(struct process *process, struct space *space)
{
	struct space *left = process->space;

	/* Those who stay have to make up for what this process was to read. */
	if (left->users > 1 && process->needs_reread)
		left->suspect = true;
	if (left->owner_pid == process->pid)
		left->owner_pid = 0;
	process->space = space;
	if (!space->owner_pid)
		space->owner_pid = process->pid;
	space__unref(left);
}

void process__set_alloc(struct process *process, const struct alloc_counts *sums)
{
	process->alloc = *sums;
}

void process__set_classes(struct process *process, const struct class_counts *sums)
{
	if (!process->classes)
		process->classes = malloc(sizeof(*process->classes));
	if (process->classes)
		*process->classes = *sums;
}

void process__sample_rss(struct process *process, double t_s, uint64_t rss_bytes)
{
	struct rss_sample sample = {.t_s = t_s, .rss_bytes = rss_bytes};
	double t, y;

	/* What runs in user space has at least its stack; 0 is said of kernel threads and zombies.
	 */
	if (!rss_bytes)
		return;
	if (!process->slope.n) {
		process->rss_first = sample;
		process->rss_min = sample;
		process->rss_max = sample;
	}
	process->rss_last = sample;
	process->rss_fresh = true;
	if (rss_bytes < process->rss_min.rss_bytes)
		process->rss_min = sample;
	if (rss_bytes > process->rss_max.rss_bytes)
		process->rss_max = sample;
	/* Relative to the first sample: squares of small numbers lose no digits. */
	t = t_s - process->rss_first.t_s;
	y = (double)rss_bytes - (double)process->rss_first.rss_bytes;
	process->slope.n++;
	process->slope.t += t;
	process->slope.y += y;
	process->slope.tt += t * t;
	process->slope.ty += t * y;
}

double process__rss_slope(const struct process *process)
{
	double n = process->slope.n, spread;

	if (n < 3)
		return NAN;
	spread = n * process->slope.tt - process->slope.t * process->slope.t;
	if (!(spread > 0))
		return NAN;
	return (n * process->slope.ty - process->slope.t * process->slope.y) / spread;
}

uint64_t process__requested_bytes(const struct process *process)
{
	uint64_t bytes = 0;

	for (int i = 0; i < SIZE_BUCKETS; i++)
		bytes += process->alloc.buckets[i].bytes;
	return bytes;
}

static void sum_alloc(const struct alloc_counts *counts, struct interval_alloc *sums)
{
	uint64_t calls = 0;

	*sums = (struct interval_alloc){.calls = counts->impossible};
	for (int i = 0; i < SIZE_BUCKETS; i++) {
		sums->calls += counts->buckets[i].count;
		sums->bytes += counts->buckets[i].bytes;
		sums->buckets[i] = counts->buckets[i].count;
	}
	for (int i = 0; i < CALL_ROWS; i++)
		calls += counts->calls[i];
	calls -= counts->go_calls < calls ? counts->go_calls : calls;
	/* Each request is in one bucket or impossible; what has no size is a free. */
	sums->frees = calls > sums->calls ? calls - sums->calls : 0;
}

/* The CPUs' counters are read one after the other: a sum may seem to step back by a few calls. */
static uint64_t rise(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void end_alloc_interval(struct process *process, struct interval *interval)
{
	struct interval_alloc now, *before;
	uint64_t buckets[SIZE_BUCKETS];

	if (!process->interval_alloc)
		process->interval_alloc = calloc(1, sizeof(*process->interval_alloc));
	before = process->interval_alloc;
	if (!before)
		return;
	sum_alloc(&process->alloc, &now);
	interval->alloc_calls = rise(now.calls, before->calls);
	interval->alloc_bytes = rise(now.bytes, before->bytes);
	interval->free_calls = rise(now.frees, before->frees);
	for (int i = 0; i < SIZE_BUCKETS; i++)
		buckets[i] = rise(now.buckets[i], before->buckets[i]);
	*before = now;
	ring__push(&process->bucket_series, buckets);
}

void process__end_interval(struct process *process, double t_s)
{
	const struct mapping_counts *now = &process->mapping, *before = &process->interval_mapping;
	struct interval interval = {
		.t_s = t_s,
		.mmap_calls = now->mmap_calls - before->mmap_calls,
		.mmap_bytes = now->mmap_bytes - before->mmap_bytes,
		/* A munmap that failed in this interval takes back what it was counted with. */
		.munmap_bytes = rise(now->munmap_bytes, before->munmap_bytes),
		.rss_bytes = process->rss_fresh ? process->rss_last.rss_bytes : 0,
	};

	if (process->counted)
		end_alloc_interval(process, &interval);
	process->interval_mapping = *now;
	process->rss_fresh = false;
	ring__push(&process->intervals, &interval);
}
