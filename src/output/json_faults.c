// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include "output/derive.h"
#include "output/faults.h"
#include "output/json.h"

static json_t *json_stacks(const struct trace_result *result, const struct process *process)
{
	const struct stack_weight **list;
	size_t n = process__weights(process, result->fault_weights, &list);
	json_t *stacks = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(stacks,
				      json_pack("{s:o, s:o, s:o}", "stack",
						json_stack(result, process, list[i]->key.stack),
						"sampled", json_count(list[i]->count), "bytes",
						json_count(faults__bytes(result, list[i]->count))));
	free(list);
	return stacks;
}

json_t *json_faults(const struct trace_result *result, const struct process *process)
{
	struct fault_figures figures;

	if (!result->fault_weights)
		return json_null();
	process__faults(result, process, &figures);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "period",
			 json_count(result->fault_period), "sampled", json_count(figures.sampled),
			 "bytes", json_count(figures.bytes), "error_bytes",
			 json_count(figures.error_bytes), "counted",
			 json_count_if(figures.counted_known, figures.counted), "stacks",
			 json_stacks(result, process));
}
