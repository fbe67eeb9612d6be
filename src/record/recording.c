// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "record/recording_impl.h"

void recording__free(struct recording *recording)
{
	if (!recording)
		return;
	model__free(&recording->model);
	for (uint32_t i = 0; i < recording->space_count; i++)
		space__unref(recording->spaces[i].space);
	for (uint32_t i = 0; i < recording->view_count; i++)
		live_view__unref(recording->views[i]);
	for (int i = 0; i < RECORD_WEIGHTS_MAX; i++)
		stack_weights__free(&recording->weights[i]);
	recorded_stacks__free(&recording->stacks);
	record_head__free(&recording->head, &recording->result);
	free(recording->spaces);
	free(recording->views);
	free(recording->facts.facts);
	free(recording);
}

static const struct row_set *probed_rows(void *ctx, const struct process *process)
{
	return &process->probed_rows;
}

/* NULL: the trace did not take it. */
static const struct stack_weights *table_of(const struct recording *recording,
					    enum record_weights table)
{
	return recording->head.tables & 1u << table ? &recording->weights[table] : NULL;
}

void recording__result(struct recording *recording, struct trace_result *result)
{
	*result = recording->result;
	result->version = recording->head.version;
	result->model = &recording->model;
	result->namer = recorded_stacks__namer(&recording->stacks);
	result->mmap_weights = table_of(recording, RECORD_WEIGHTS_MMAP);
	result->alloc_weights = table_of(recording, RECORD_WEIGHTS_ALLOC);
	result->temporary_weights = table_of(recording, RECORD_WEIGHTS_TEMPORARY);
	result->fault_weights = table_of(recording, RECORD_WEIGHTS_FAULT);
	if (recording->head.rows_by_process)
		result->probed_rows = probed_rows;
}

/* All views, or none: each is asked before one is changed. */
int recording__filter(struct recording *recording, const struct live_filter *filter)
{
	int err = 0;

	for (uint32_t i = 0; i < recording->view_count && !err; i++)
		if (!live_view__has_items(recording->views[i]))
			err = -ENODATA;
	for (uint32_t i = 0; i < recording->view_count && !err; i++)
		err = live_view__filter(recording->views[i], filter);
	return err;
}

struct large_facts recording__facts(struct recording *recording)
{
	return fact_list__answers(&recording->facts);
}

const uint64_t *recording__large(const struct recording *recording, size_t *count)
{
	*count = recording->head.large_count;
	return recording->head.large;
}
