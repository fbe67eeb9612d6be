// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/result.h"

#include <errno.h>
#include <stdlib.h>

/* RSS of an idle process wavers by some pages; a start maps some megabytes of libraries. */
#define WORTH_A_LOOK_BYTES        (1 << 20)
#define WORTH_A_LOOK_MAPPED_BYTES (64u << 20)

const char *loss__name(enum loss loss)
{
#define LOSS_NAME(name, text) [LOSS_##name] = #name,
	static const char *const names[LOSS_MAX] = {LOSS_COUNTERS_KERNEL(LOSS_NAME)
							    LOSS_COUNTERS_USER(LOSS_NAME)};
#undef LOSS_NAME

	return names[loss];
}

const char *loss__text(enum loss loss)
{
#define LOSS_TEXT(name, text) [LOSS_##name] = text,
	static const char *const texts[LOSS_MAX] = {LOSS_COUNTERS_KERNEL(LOSS_TEXT)
							    LOSS_COUNTERS_USER(LOSS_TEXT)};
#undef LOSS_TEXT

	return texts[loss];
}

uint64_t trace_result__losses(const struct trace_result *result)
{
	uint64_t total = 0;

	for (int i = 0; i < LOSS_MAX; i++)
		total += result->losses[i];
	return total;
}

static struct row_set named_rows(const struct trace_result *result)
{
	struct row_set rows = {0};

	for (uint32_t i = 0; i < CALL_ROWS; i++) {
		if (result->rows[i].name)
			row_set__add(&rows, i);
	}
	return rows;
}

static int go_program(const struct large_facts *facts, const struct process *process)
{
	int go_heap = facts->go_heap(facts->ctx, process);

	return go_heap < 0 ? go_heap : go_heap != GO_HEAP_NONE;
}

static int build_process(struct trace_result *result, const struct process *process,
			 const struct large_options *options, const struct large_facts *facts,
			 struct process_result *built)
{
	*built = (struct process_result){.process = process, .is_go = -1};
	if (process->counted) {
		built->probed_rows = named_rows(result);
		if (result->probed_rows)
			row_set__keep(&built->probed_rows,
				      result->probed_rows(result->probed_ctx, process));
	}
	if (facts && facts->go_heap)
		built->is_go = go_program(facts, process);
	growth__measure(process, &built->growth);
	return large__choose(process, options, facts, &result->namer, &built->large,
			     &built->large_count);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

bool process_result__matters(const struct process_result *process)
{
	const struct process *p = process->process;

	if (p->is_target || p->oom_killed || p->counted || arenas__created(&p->arenas))
		return true;
	for (size_t i = 0; i < process->large_count; i++) {
		if (!process->large[i].before_attach)
			return true;
	}
	return llabs(process->growth.rss_bytes) >= WORTH_A_LOOK_BYTES ||
	       p->mapping.mmap_bytes >= WORTH_A_LOOK_MAPPED_BYTES;
}

static int compare_processes(const void *left, const void *right)
{
	const struct process_result *a = left, *b = right;
	int64_t a_growth = a->growth.rss_bytes / WORTH_A_LOOK_BYTES;
	int64_t b_growth = b->growth.rss_bytes / WORTH_A_LOOK_BYTES;
	bool a_matters = process_result__matters(a), b_matters = process_result__matters(b);

	if (a->process->is_target != b->process->is_target)
		return a->process->is_target ? -1 : 1;
	if (a_matters != b_matters)
		return a_matters ? -1 : 1;
	if (a_growth != b_growth)
		return a_growth > b_growth ? -1 : 1;
	if (a->process->mapping.mmap_bytes != b->process->mapping.mmap_bytes)
		return -compare_u64(a->process->mapping.mmap_bytes, b->process->mapping.mmap_bytes);
	if (a->process->pid != b->process->pid)
		return compare_u64(a->process->pid, b->process->pid);
	return compare_u64(a->process->start_ns, b->process->start_ns);
}

/* Kernel threads have no memory of their own; one is only shown when it was asked for. */
static bool is_shown(const struct process *process)
{
	return !process->kernel_thread || process->is_target;
}

int trace_result__build(struct trace_result *result, const uint64_t *large_sizes,
			size_t large_size_count, const struct large_facts *facts)
{
	const struct large_options options = {
		.sizes = large_sizes,
		.size_count = large_size_count,
		.now_ns = result->ended_ns,
		.started_ns = result->model->started_ns,
	};
	const struct process *process;
	size_t room = HASH_COUNT(result->model->running);
	int err = 0;

	for (process = result->model->ended; process; process = process->next_ended)
		room++;
	result->process_count = 0;
	result->processes = calloc(room ? room : 1, sizeof(*result->processes));
	if (!result->processes)
		return -ENOMEM;
	for (process = result->model->running; process && !err; process = process->hh.next) {
		if (is_shown(process))
			err = build_process(result, process, &options, facts,
					    &result->processes[result->process_count++]);
	}
	for (process = result->model->ended; process && !err; process = process->next_ended) {
		if (is_shown(process))
			err = build_process(result, process, &options, facts,
					    &result->processes[result->process_count++]);
	}
	if (err) {
		trace_result__free(result);
		return err;
	}
	if (result->process_count)
		qsort(result->processes, result->process_count, sizeof(*result->processes),
		      compare_processes);
	return 0;
}

void trace_result__free(struct trace_result *result)
{
	for (size_t i = 0; i < result->process_count; i++)
		free(result->processes[i].large);
	free(result->processes);
	result->processes = NULL;
	result->process_count = 0;
}
