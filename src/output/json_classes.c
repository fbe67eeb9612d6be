// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/size_class.h"
#include "output/json.h"

static json_t *json_row(const struct class_row *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "class_bytes", json_count(row->min_bytes),
			 "max_class_bytes",
			 json_count_if(row->max_bytes != UINT64_MAX, row->max_bytes), "count",
			 json_count(row->count), "requested_bytes",
			 json_count(row->requested_bytes), "waste_bytes",
			 json_count(row->class_bytes - row->requested_bytes));
}

static json_t *json_match(const struct trace_result *result, const struct process *process)
{
	static const char *const names[] = {
		[RULES_UNKNOWN] = "unknown",
		[RULES_MATCH] = "yes",
		[RULES_MIXED] = "mixed",
		[RULES_DIFFER] = "no",
	};

	return json_string(names[result->rules_match(result->classes, process)]);
}

static json_t *json_allocators(const struct trace_result *result, const struct process *process)
{
	const char *name;
	json_t *names;

	if (result->rules_match(result->classes, process) == RULES_UNKNOWN)
		return json_null();
	names = json_array();
	for (unsigned int i = 0; (name = result->allocator_name(process, i)); i++)
		json_array_append_new(names, json_string(name));
	return names;
}

json_t *json_size_classes(const struct trace_result *result, const struct process *process)
{
	const struct class_table *table = result->classes;
	bool is_go = table && table->rules == SIZE_RULES_GO;
	struct class_row row;
	json_t *rows;

	if (!table || !process->counted || !process->classes)
		return json_null();
	rows = json_array();
	for (uint32_t i = 0; i < CLASS_ROWS; i++) {
		size_class__read_row(table, process->classes, i, &row);
		if (row.count)
			json_array_append_new(rows, json_row(&row));
	}
	size_class__sum(table, process->classes, &row);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rules",
			 size_rules__name((enum size_rules)table->rules), "matches_allocator",
			 json_match(result, process), "allocators",
			 json_allocators(result, process), "count", json_count(row.count),
			 "requested_bytes", json_count(row.requested_bytes), "class_bytes",
			 json_count(row.class_bytes), "waste_bytes",
			 json_count(row.class_bytes - row.requested_bytes), "header_unknown",
			 json_count_if(is_go, process->classes->header_unknown), "classes", rows);
}
