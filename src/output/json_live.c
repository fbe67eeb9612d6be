// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Outstanding allocations: null throughout when they were not tracked. */
#include <math.h>
#include <stdlib.h>

#include "analysis/outstanding.h"
#include "output/derive.h"
#include "output/json.h"

/* Exact sums are whole numbers; estimates are rounded to them. */
static json_t *json_sum(double sum)
{
	return json_count((uint64_t)llround(sum));
}

static json_t *json_error(bool sampled, double variance)
{
	return sampled ? json_number(1.96 * sqrt(variance)) : json_integer(0);
}

static json_t *json_growth(const struct outstanding *outstanding)
{
	const struct live_growth *growth = &outstanding->growth;

	return json_pack("{s:o, s:o, s:o, s:b}", "bytes_per_s", json_number(growth->best), "low",
			 json_number(growth->low), "high", json_number(growth->high), "certain",
			 growth->certain);
}

static json_t *json_group(const struct trace_result *result, const struct process *process,
			  double now_s, const struct outstanding *outstanding)
{
	const struct live_group *group = outstanding->group;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "stack",
			 json_stack(result, process, group->key.stack), "min_bytes",
			 json_count(bucket__min_bytes(group->key.bucket)), "max_bytes",
			 json_count(bucket__max_bytes(group->key.bucket)), "count",
			 json_sum(group->now.count), "bytes", json_sum(group->now.bytes),
			 "bytes_error",
			 json_error(process->live->sampled, group->now.bytes_variance), "oldest_s",
			 json_number(now_s - group->oldest_s), "median_age_s",
			 json_number(now_s - group->median_s), "peak_bytes",
			 isnan(group->peak_bytes) ? json_null() : json_sum(group->peak_bytes),
			 "growth", json_growth(outstanding));
}

static json_t *json_peak_groups(const struct trace_result *result, const struct process *process)
{
	const struct live_view *view = process->live;
	json_t *array = view->peak_unknown ? json_null() : json_array();

	for (size_t i = 0; i < view->peak_group_count && !view->peak_unknown; i++) {
		const struct live_peak_group *group = &view->peak_groups[i];

		json_array_append_new(
			array,
			json_pack("{s:o, s:o, s:o, s:o, s:o}", "stack",
				  json_stack(result, process, group->key.stack), "min_bytes",
				  json_count(bucket__min_bytes(group->key.bucket)), "max_bytes",
				  json_count(bucket__max_bytes(group->key.bucket)), "count",
				  json_sum(group->count), "bytes", json_sum(group->bytes)));
	}
	return json_pack("{s:o, s:o, s:o}", "t_s", json_number(view->peak_read_s), "bytes",
			 json_sum(view->peak_read_bytes), "groups", array);
}

/* null when it is not known how this allocator sets memory aside, or its process has ended. */
static json_t *json_usable(const struct live_usable *usable)
{
	if (!usable->source)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "source", usable->source, "count",
			 json_count(usable->count), "unread", json_count(usable->unread),
			 "requested_bytes", json_count(usable->requested_bytes), "usable_bytes",
			 json_count(usable->usable_bytes));
}

/* null when it was not asked for. */
static json_t *json_temporary(const struct trace_result *result, const struct process *process)
{
	const struct stack_weight **list;
	uint64_t count = 0, bytes = 0;
	json_t *stacks;
	size_t n;

	if (!result->temporary_weights)
		return json_null();
	stacks = json_array();
	n = process__weights(process, result->temporary_weights, &list);
	for (size_t i = 0; i < n; i++) {
		count += list[i]->count;
		bytes += list[i]->bytes;
		json_array_append_new(stacks,
				      json_pack("{s:o, s:o, s:o}", "stack",
						json_stack(result, process, list[i]->key.stack),
						"count", json_count(list[i]->count), "bytes",
						json_count(list[i]->bytes)));
	}
	free(list);
	return json_pack("{s:o, s:o, s:o}", "count", json_count(count), "bytes", json_count(bytes),
			 "stacks", stacks);
}

json_t *json_live(const struct trace_result *result, const struct process *process)
{
	const struct live_view *view = process->live;
	struct outstanding *list;
	json_t *groups;
	size_t count;

	if (!view)
		return json_null();
	if (view->stopped_s >= 0)
		return json_pack("{s:b, s:o}", "observable", false, "stopped_s",
				 json_number(view->stopped_s));
	if (!process__live_known(process) || outstanding__list(view, &list, &count))
		return json_null();
	groups = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(groups, json_group(result, process, view->read_s, &list[i]));
	free(list);
	return json_pack(
		"{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o}",
		"observable", true, "bytes", json_sum(view->total.bytes), "bytes_error",
		json_error(view->sampled, view->total.bytes_variance), "count",
		json_sum(view->total.count), "count_error",
		json_error(view->sampled, view->total.count_variance), "inherited_bytes",
		json_sum(view->inherited.bytes), "inherited_count", json_sum(view->inherited.count),
		"peak_bytes", json_number(view->peak_bytes), "peak_error_bytes",
		json_number(view->peak_error_bytes), "sampled", view->sampled, "unknown_frees",
		json_count(process__unknown_frees(process)), "failed_calls",
		json_count(process->alloc.failed), "failed_bytes",
		json_count(process->alloc.failed_bytes), "read_s", json_number(view->read_s),
		"groups", groups, "usable", json_usable(&view->usable), "temporary",
		json_temporary(result, process), "peak", json_peak_groups(result, process));
}
