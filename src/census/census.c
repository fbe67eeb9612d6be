// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <time.h>

#include "census/census_internal.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "census/residency.h"
#include "model/model.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct census *census__new(uint64_t started_ns, const uint64_t *sizes, size_t size_count)
{
	struct census *census = calloc(1, sizeof(*census));

	if (!census)
		return NULL;
	census->started_ns = started_ns;
	census->smallest_bytes = UINT64_MAX;
	for (size_t i = 0; i < size_count; i++)
		census->smallest_bytes = MIN(census->smallest_bytes, sizes[i]);
	return census;
}

static void free_reading(struct reading *reading)
{
	page_runs__free(&reading->runs);
	glibc_arenas__free(&reading->arenas);
	heads__free(&reading->heads);
	free(reading);
}

void census__free(struct census *census)
{
	struct reading *reading, *next;

	if (!census)
		return;
	/* Takes the table away and leaves the items in their order. */
	reading = census->readings;
	HASH_CLEAR(hh, census->readings);
	for (; reading; reading = next) {
		next = reading->hh.next;
		free_reading(reading);
	}
	pagemap__close(census->live.pm);
	free(census);
}

struct reading *census__reading(const struct census *census, const struct process *process)
{
	struct reading *reading;
	struct reading_key key = {.start_ns = process->start_ns, .pid = process->pid};

	/* clang-tidy does not see that the key's bytes are those of its members. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	HASH_FIND(hh, census->readings, &key, sizeof(key), reading);
	return reading;
}

static struct reading *add_reading(struct census *census, const struct process *process)
{
	struct reading *reading = census__reading(census, process);

	if (reading)
		return reading;
	reading = calloc(1, sizeof(*reading));
	if (!reading)
		return NULL;
	reading->key.start_ns = process->start_ns;
	reading->key.pid = process->pid;
	reading->go_heap = -ESRCH;
	glibc_arenas__init(&reading->arenas);
	HASH_ADD(hh, census->readings, key, sizeof(reading->key), reading);
	return reading;
}

void census__forget(struct census *census, const struct process *process)
{
	struct reading *reading = census__reading(census, process);

	if (!reading)
		return;
	HASH_DEL(census->readings, reading);
	free_reading(reading);
}

/* The process that the model means, still running? */
static int check_identity(const struct process *process, struct proc_stat *stat)
{
	int err = proc_stat__read(process->pid, stat);

	if (err)
		return err;
	if (stat->is_zombie || (process->start_ticks && stat->start_ticks != process->start_ticks))
		return -ESRCH;
	return stat->is_kernel_thread ? -ENODATA : 0;
}

/* What one reading gathers before any of it is kept. */
struct gathering {
	struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	struct glibc_arenas arenas;
	struct page_runs runs;
	struct residency residency;
	struct heads heads;
	int go_heap;
};

static int gather(struct census *census, const struct process *process,
		  const struct proc_stat *stat, struct gathering *got)
{
	struct residency_input input;
	int err = proc_maps__read(process->pid, &got->entries, &got->n);

	if (!err)
		err = pagemap__open(process->pid, &got->pm);
	if (!err)
		err = glibc_arenas__read(process->pid, got->entries, got->n, got->pm, &got->arenas);
	if (err)
		return err;
	got->go_heap = census__go_heap(census, process);
	input = (struct residency_input){
		.pid = process->pid,
		.space = process->space,
		.entries = got->entries,
		.n = got->n,
		.pm = got->pm,
		.arenas = &got->arenas,
		.go_heap = got->go_heap > 0 ? (enum go_heap)got->go_heap : GO_HEAP_NONE,
		.start_brk = stat->start_brk,
		.keep = &got->runs,
	};
	err = residency__measure(&input, &got->residency);
	if (!err)
		err = heads__read(got->pm, got->entries, got->n, &got->runs, process->space,
				  census->smallest_bytes, &got->heads);
	return err;
}

static void free_gathering(struct gathering *got)
{
	maps_entries__free(got->entries, got->n);
	pagemap__close(got->pm);
	glibc_arenas__free(&got->arenas);
	page_runs__free(&got->runs);
	heads__free(&got->heads);
}

/* Takes over what was gathered; the older reading goes to `got` to be freed. */
static void keep(struct census *census, struct reading *reading, struct process *process,
		 struct gathering *got)
{
	struct gathering old = {
		.arenas = reading->arenas, .runs = reading->runs, .heads = reading->heads};

	reading->read_ns = clock_ns(CLOCK_MONOTONIC);
	reading->arenas = got->arenas;
	reading->runs = got->runs;
	reading->heads = got->heads;
	reading->go_heap = got->go_heap;
	reading->go_heap_execs = process->execs;
	got->arenas = old.arenas;
	got->runs = old.runs;
	got->heads = old.heads;

	got->residency.t_s = ((double)reading->read_ns - (double)census->started_ns) / 1e9;
	if (!process->at_start.known)
		process->at_start = got->residency;
	process->at_end = got->residency;
	glibc_arenas__store(&reading->arenas, &process->arenas);
}

static int read_process(struct census *census, struct process *process)
{
	struct gathering got = {0};
	struct proc_stat stat, after;
	struct reading *reading;
	int err = check_identity(process, &stat);

	glibc_arenas__init(&got.arenas);
	if (!err)
		err = gather(census, process, &stat, &got);
	/* The pid may have passed to another process between two of the files. */
	if (!err)
		err = check_identity(process, &after);
	if (!err && after.start_ticks != stat.start_ticks)
		err = -ESRCH;
	if (!err) {
		reading = add_reading(census, process);
		if (reading)
			keep(census, reading, process, &got);
		else
			err = -ENOMEM;
	}
	free_gathering(&got);
	return err;
}

int census__read(struct census *census, struct process *process, uint64_t *cost_ns)
{
	uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int err = read_process(census, process);
	struct reading *reading = census__reading(census, process);
	uint64_t took_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;

	census->cost_ns += took_ns;
	if (reading)
		reading->cost_ns = took_ns;
	if (cost_ns)
		*cost_ns = took_ns;
	return err;
}

int census__read_if_due(struct census *census, struct process *process, double share)
{
	const struct reading *reading = census__reading(census, process);
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	double allowed_ns = (double)(now_ns - census->started_ns) * share;
	uint64_t expected_ns = reading ? reading->cost_ns : 0;
	int err;

	/* Both all readings together and those of one process stay within the share: a large
	 * process must wait longer than a small one, not keep it from being read. */
	if ((double)(census->cost_ns + expected_ns) > allowed_ns)
		return 0;
	if (reading && (double)(now_ns - reading->read_ns) * share < (double)expected_ns)
		return 0;
	err = census__read(census, process, NULL);
	return err ? err : 1;
}

uint64_t census__cost_ns(const struct census *census)
{
	return census->cost_ns;
}
