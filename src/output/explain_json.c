// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/explain_json.h"

#include <errno.h>

#define JSON_FLAGS (JSON_REAL_PRECISION(12) | JSON_INDENT(1))

json_t *json_check(const struct check *check)
{
	if (!check->done)
		return json_null();
	return json_pack("{s:b, s:o, s:o}", "ok", check->ok, "found_bytes",
			 json_count(check->found), "expected_bytes", json_count(check->expected));
}

json_t *json_signed(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

json_t *json_word(const char *raw)
{
	return *raw ? json_text(raw) : json_null();
}

/* All components, also those that hold nothing: 0 is what was found. */
static json_t *json_ledger(const struct ledger *ledger)
{
	json_t *rows = json_array();

	for (int i = 0; i < LEDGER_COMPONENTS; i++) {
		const struct ledger_row *row = &ledger->rows[i];

		json_array_append_new(
			rows, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "component",
					ledger_component__name((enum ledger_component)i),
					"resident_bytes", json_count(row->resident_bytes),
					"reserved_bytes", json_count(row->reserved_bytes),
					"swapped_bytes", json_count(row->swapped_bytes), "regions",
					json_count(row->regions), "how", json_text(row->how)));
	}
	return rows;
}

static json_t *json_cgroup(const struct cgroup_facts *cgroup)
{
	bool has_memory = cgroup->version > 0;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path",
			 json_text(cgroup->path), "version",
			 has_memory ? json_integer(cgroup->version) : json_null(), "limit_bytes",
			 json_signed(has_memory ? cgroup->limit_bytes : -1), "limit_path",
			 json_text(cgroup->limit_path), "usage_bytes",
			 json_signed(has_memory ? cgroup->usage_bytes : -1), "high_bytes",
			 json_signed(has_memory ? cgroup->high_bytes : -1), "cpu_quota",
			 json_number_if(cgroup->cpu_quota > 0, cgroup->cpu_quota), "cpuset_cpus",
			 json_count_if(cgroup->cpuset_cpus > 0, (uint64_t)cgroup->cpuset_cpus),
			 "container_id", json_word(cgroup->container_id), "runtime",
			 json_word(cgroup->runtime), "pod_uid", json_word(cgroup->pod_uid), "unit",
			 json_word(cgroup->unit));
}

static json_t *json_others(const struct allocators *allocators)
{
	json_t *array = json_array();

	for (size_t i = 0; i < allocators->other_count && i < ALLOCATORS_MAX; i++) {
		const struct allocator_facts *facts = &allocators->others[i];

		json_array_append_new(
			array, json_pack("{s:o, s:o, s:o, s:o}", "name", json_text(facts->name),
					 "how", json_text(facts->how), "bytes",
					 json_count(facts->bytes), "in_use_bytes",
					 json_count_if(facts->has_in_use, facts->in_use_bytes)));
	}
	return array;
}

static json_t *json_terms(const struct advice_list *list, const struct advice *advice)
{
	json_t *terms;

	if (strcmp(advice->id, "gomemlimit") || !list->term_count)
		return json_null();
	terms = json_array();
	for (size_t i = 0; i < list->term_count && i < MEMLIMIT_TERMS_MAX; i++)
		json_array_append_new(terms, json_pack("{s:o, s:I}", "name",
						       json_text(list->terms[i].name), "bytes",
						       (json_int_t)list->terms[i].bytes));
	return terms;
}

static json_t *json_advice(const struct advice_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count && i < ADVICE_MAX; i++) {
		const struct advice *advice = &list->items[i];
		bool is_limit = !strcmp(advice->id, "gomemlimit") && list->gomemlimit_bytes > 0;

		json_array_append_new(
			array,
			json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", advice->id,
				  "text", json_text(advice->text), "evidence",
				  json_word(advice->evidence), "risk", json_word(advice->risk),
				  "saving_low_bytes",
				  json_count_if(advice->has_saving, advice->saving_low_bytes),
				  "saving_high_bytes",
				  json_count_if(advice->has_saving, advice->saving_high_bytes),
				  "why_no_saving", json_word(advice->why_no_saving),
				  "gomemlimit_bytes",
				  is_limit ? json_integer(list->gomemlimit_bytes) : json_null(),
				  "terms", json_terms(list, advice)));
	}
	return array;
}

static json_t *json_checks(const struct explanation *explanation)
{
	struct explain_check checks[EXPLAIN_CHECKS_MAX];
	size_t n = explain_checks__list(explanation, checks);
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, checks[i].name, json_check(&checks[i].check));
	return object;
}

static json_t *json_process_facts(const struct explanation *explanation)
{
	return json_pack(
		"{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
		"memdrift.explain/1", "version", MEMDRIFT_VERSION, "pid",
		(json_int_t)explanation->pid, "start_time_ticks",
		json_count(explanation->start_ticks), "comm", json_text(explanation->comm), "exe",
		json_text(explanation->exe), "threads", json_count(explanation->threads),
		"rss_bytes", json_count(explanation__rss_bytes(explanation)), "rss_peak_bytes",
		json_count_if(explanation->has_status, explanation->rss_peak_bytes), "pss_bytes",
		json_count_if(explanation->has_rollup, explanation->pss_bytes), "swap_bytes",
		json_count_if(explanation->has_rollup, explanation->swap_bytes), "page_table_bytes",
		json_count_if(explanation->has_status, explanation->page_table_bytes), "huge_bytes",
		json_count_if(explanation->has_rollup, explanation->huge_bytes), "thp_mode",
		json_word(explanation->thp_mode));
}

static json_t *json_thread_stacks(const struct explanation *explanation)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "live", json_count(explanation->thread_stacks_live),
		"cached", json_count(explanation->thread_stacks_cached), "live_resident_bytes",
		json_count(explanation->thread_stacks_live_resident_bytes), "cached_resident_bytes",
		json_count(explanation->thread_stacks_cached_resident_bytes), "stack_bytes",
		json_signed(explanation->thread_stack_bytes));
}

static json_t *json_cost(const struct explanation *explanation)
{
	return json_pack(
		"{s:f, s:f, s:o, s:I, s:b, s:o}", "cpu_s", (double)explanation->cpu_ns / 1e9,
		"wall_s", (double)explanation->wall_ns / 1e9, "bytes_read",
		json_count(explanation->bytes_read), "readings", (json_int_t)explanation->readings,
		"changed", explanation->changed, "unplaced", json_count(explanation->unplaced));
}

static json_t *json_verdict(const struct verdict *verdict)
{
	return json_pack("{s:s, s:o}", "component", ledger_component__name(verdict->main), "text",
			 json_text(verdict->text));
}

json_t *explain_json__build(const struct explain_report *report)
{
	const struct explanation *explanation = report->explanation;
	const struct allocators *allocators = &explanation->allocators;
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{"verdict", json_verdict(report->verdict)},
		{"ledger", json_ledger(&explanation->ledger)},
		{"glibc", explain_json__glibc(explanation)},
		{"no_glibc", json_text(explanation->has_glibc ? NULL : explanation->no_glibc)},
		{"go", explain_json__go(explanation)},
		{"jemalloc", explain_json__jemalloc(explanation)},
		{"allocators", json_others(allocators)},
		{"malloc_owner", json_word(allocators->malloc_owner)},
		{"malloc_object", json_word(allocators->malloc_object)},
		{"thread_stacks", json_thread_stacks(explanation)},
		{"cgroup", json_cgroup(&explanation->cgroup)},
		{"cpus_online",
		 json_count_if(explanation->cpus_online > 0, (uint64_t)explanation->cpus_online)},
		{"checks", json_checks(explanation)},
		{"advice", json_advice(report->advice)},
		{"cost", json_cost(explanation)},
	};
	json_t *root = json_process_facts(explanation);
	bool failed = !root;

	/* json_object_set_new() takes the value also when it fails, which it does for NULL. */
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		failed = json_object_set_new(root, members[i].name, members[i].value) || failed;
	if (!failed)
		return root;
	json_decref(root);
	return NULL;
}

int explain_json__dump(FILE *out, json_t *root)
{
	int err;

	if (!root)
		return -ENOMEM;
	errno = 0;
	err = json_dumpf(root, out, JSON_FLAGS) ? (errno ? -errno : -EIO) : 0;
	json_decref(root);
	if (!err && (fputc('\n', out) == EOF || fflush(out) || ferror(out)))
		err = errno ? -errno : -EIO;
	return err;
}

int explain_json__write(FILE *out, const struct explain_report *report)
{
	return explain_json__dump(out, explain_json__build(report));
}
