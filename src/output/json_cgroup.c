// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/cgroup_report.h"

#include "output/json.h"

static json_t *bytes_or_null(int64_t value)
{
	return json_count_if(value >= 0, (uint64_t)value);
}

/* "" is none. */
static json_t *text_or_null(const char *raw)
{
	return json_text(raw && raw[0] ? raw : NULL);
}

static json_t *parts_json(const struct cgroup_memory *memory)
{
	const struct cgroup_stat *stat = &memory->stat;
	const struct {
		const char *name;
		int64_t bytes;
	} parts[] = {
		{"processes", (int64_t)memory->pss_sum},
		{"page-cache", memory->cache},
		{"tmpfs", memory->tmpfs},
		{"kernel", stat->kernel},
		{"sockets", stat->sockets},
		{"hugetlb", stat->hugetlb},
	};
	json_t *array = json_array();
	json_t *difference =
		memory->has_difference ? json_integer(memory->difference) : json_null();

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		json_array_append_new(array, json_pack("{s:s, s:o}", "component", parts[i].name,
						       "bytes", bytes_or_null(parts[i].bytes)));
	json_array_append_new(
		array, json_pack("{s:s, s:o}", "component", "difference", "bytes", difference));
	return array;
}

static json_t *difference_json(const struct cgroup_memory *memory)
{
	if (!memory->has_difference)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "anon_bytes", (json_int_t)memory->anon_difference,
			 "mapped_bytes", (json_int_t)memory->mapped_difference, "rest_bytes",
			 (json_int_t)memory->rest);
}

static json_t *charged_json(const struct cgroup_stat *stat)
{
	const struct {
		const char *name;
		int64_t bytes;
	} counters[] = {
		{"anon_bytes", stat->anon},
		{"file_bytes", stat->file},
		{"inactive_file_bytes", stat->inactive_file},
		{"shmem_bytes", stat->shmem},
		{"mapped_bytes", stat->mapped},
		{"kernel_bytes", stat->kernel},
		{"slab_bytes", stat->slab},
		{"page_table_bytes", stat->page_tables},
		{"kernel_stack_bytes", stat->kernel_stack},
		{"percpu_bytes", stat->percpu},
		{"socket_bytes", stat->sockets},
		{"hugetlb_bytes", stat->hugetlb},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		json_object_set_new(object, counters[i].name, bytes_or_null(counters[i].bytes));
	return object;
}

/* No limit is null. */
static json_t *check_json(const struct check *check)
{
	if (!check->done)
		return json_null();
	return json_pack("{s:b, s:o, s:o}", "ok", check->ok, "found_bytes",
			 json_count_if(check->found < INT64_MAX, check->found), "expected_bytes",
			 json_count_if(check->expected < INT64_MAX, check->expected));
}

static json_t *processes_json(const struct cgroup_memory *memory)
{
	json_t *array = json_array();

	for (size_t i = 0; i < memory->process_count; i++) {
		const struct cgroup_process *process = &memory->processes[i];

		json_array_append_new(
			array,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
				  json_count(process->pid), "comm", json_text(process->comm),
				  "pss_bytes", json_count(process->pss), "pss_anon_bytes",
				  bytes_or_null(process->pss_anon), "pss_shmem_bytes",
				  bytes_or_null(process->pss_shmem), "rss_bytes",
				  json_count(process->rss), "swap_bytes", json_count(process->swap),
				  "shares_memory_with",
				  json_count_if(process->shares_with, process->shares_with)));
	}
	return array;
}

static json_t *group_json(const struct cgroup_facts *facts, const char *dir)
{
	return json_pack(
		"{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path",
		json_text(facts->path), "version", facts->version, "directory", json_text(dir),
		"limit_bytes", bytes_or_null(facts->limit_bytes), "limit_path",
		json_text(facts->limit_path), "high_bytes", bytes_or_null(facts->high_bytes),
		"cpu_quota", json_number_if(facts->cpu_quota > 0, facts->cpu_quota), "cpuset_cpus",
		json_count_if(facts->cpuset_cpus > 0, (uint64_t)facts->cpuset_cpus), "container_id",
		text_or_null(facts->container_id), "runtime", text_or_null(facts->runtime),
		"pod_uid", text_or_null(facts->pod_uid), "unit", text_or_null(facts->unit));
}

json_t *cgroup_json__make(const struct cgroup_memory *memory)
{
	const struct cgroup_stat *stat = &memory->stat;
	json_t *root =
		json_pack("{s:s, s:s, s:o}", "schema", "memdrift.explain-cgroup/1", "version",
			  MEMDRIFT_VERSION, "cgroup", group_json(&memory->facts, memory->dir));

	if (!root)
		return NULL;
	json_object_set_new(root, "usage_bytes", bytes_or_null(stat->usage));
	json_object_set_new(root, "root", json_boolean(memory->is_root));
	json_object_set_new(root, "peak_bytes", bytes_or_null(stat->peak));
	json_object_set_new(root, "swap_bytes", bytes_or_null(stat->swap));
	json_object_set_new(root, "limit_hits", bytes_or_null(stat->limit_hits));
	json_object_set_new(root, "oom_kills", bytes_or_null(stat->oom_kills));
	json_object_set_new(root, "parts", parts_json(memory));
	json_object_set_new(root, "difference", difference_json(memory));
	json_object_set_new(root, "charged", charged_json(stat));
	json_object_set_new(root, "checks",
			    json_pack("{s:o, s:o}", "usage", check_json(&memory->parts_check),
				      "limit", check_json(&memory->facts.limit_check)));
	json_object_set_new(root, "process_count", json_count(memory->process_count));
	json_object_set_new(root, "processes_unread", json_count(memory->unread_count));
	json_object_set_new(root, "pss_bytes", json_count(memory->pss_sum));
	json_object_set_new(root, "rss_bytes", json_count(memory->rss_sum));
	json_object_set_new(root, "processes_swap_bytes", json_count(memory->swap_sum));
	json_object_set_new(root, "processes", processes_json(memory));
	json_object_set_new(root, "readings", json_count(memory->readings));
	json_object_set_new(root, "changed_bytes", bytes_or_null(memory->changed_bytes));
	json_object_set_new(root, "steady", json_boolean(memory->steady));
	return root;
}
