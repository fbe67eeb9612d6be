// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>

#include "base/text.h"
#include "output/derive.h"
#include "output/json.h"

/* All rows of the run: null for those without a probe in this process. */
static json_t *json_calls(const struct trace_result *result, const struct process_result *process)
{
	json_t *calls = json_object();
	char name[256];

	for (uint32_t i = 0; i < CALL_ROWS; i++) {
		bool probed = row_set__has(&process->probed_rows, i);

		if (!result->rows[i].name)
			continue;
		text_printable(name, sizeof(name), result->rows[i].name);
		json_object_set_new(calls, name,
				    json_count_if(probed, process->process->alloc.calls[i]));
	}
	return calls;
}

static json_t *json_range(const struct estimate_range *range, double factor)
{
	return json_pack("{s:o, s:o, s:o}", "low", json_number(factor * range->low), "best",
			 json_number(factor * range->best), "high",
			 json_number(factor * range->high));
}

/* Of the rows that have a probe here. */
static json_t *json_call_shares(const struct trace_result *result,
				const struct process_result *process)
{
	const struct alloc_estimate *estimate = process->process->estimate;
	json_t *shares = json_object();
	char name[256];

	for (int i = 0; i < CALL_ROWS; i++) {
		if (!result->rows[i].name || !row_set__has(&process->probed_rows, (uint32_t)i))
			continue;
		text_printable(name, sizeof(name), result->rows[i].name);
		json_object_set_new(shares, name, json_number(estimate->row_share[i]));
	}
	return shares;
}

/* null when calls and buckets are all that there was, not only what bursts saw. */
static json_t *json_estimate(const struct trace_result *result,
			     const struct process_result *process)
{
	const struct alloc_estimate *estimate = process->process->estimate;

	if (!estimate || !process->process->counted)
		return json_null();
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "bursts",
		json_count(estimate->bursts), "covered_s", json_number(estimate->covered_s),
		"covered_share_cpu", json_number(estimate->covered_cpu), "calls",
		json_range(&estimate->calls, 1), "calls_per_s",
		json_range(&estimate->calls_per_s, 1), "calls_per_cpu_s",
		json_range(&estimate->calls_per_cpu_s, 1), "requests",
		json_range(&estimate->calls, estimate->requests_per_call), "requested_bytes",
		json_range(&estimate->calls,
			   estimate->requests_per_call * estimate->bytes_per_request),
		"call_shares", json_call_shares(result, process));
}

json_t *json_allocator(const struct trace_result *result, const struct process_result *process)
{
	const struct process *p = process->process;
	bool live = process__live_known(p);
	double freed = process__freed_bytes(p);

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "calls",
		json_calls(result, process), "requested_bytes",
		json_count_if(p->counted, process__requested_bytes(p)), "requests",
		json_count_if(p->counted, process__requests(p)), "frees",
		json_count_if(p->counted, process_result__calls(result, process, ROW_FREE)),
		"freed_bytes", json_count_if(freed >= 0, freed >= 0 ? (uint64_t)freed : 0),
		"live_bytes",
		json_count_if(live, live ? (uint64_t)llround(p->live->total.bytes) : 0),
		"impossible_requests", json_count_if(p->counted, p->alloc.impossible), "tail_calls",
		json_count_if(p->counted, p->alloc.tail_calls), "covered_from_s",
		json_number_if(p->counted, p->covered_from_s), "covered_to_s",
		json_number_if(p->counted,
			       p->covered_to_s < 0 ? result->duration_s : p->covered_to_s),
		"estimate", json_estimate(result, process));
}

static json_t *json_series(const struct process *process, unsigned int bucket)
{
	json_t *series = json_array();

	for (uint32_t i = 0; i < process->bucket_series.count; i++) {
		const uint64_t *interval = ring__at(&process->bucket_series, i);

		if (interval)
			json_array_append_new(series, json_count(interval[bucket]));
	}
	return series;
}

static json_t *json_held(const struct live_sum *held, double sum)
{
	return json_count_if(held, held ? (uint64_t)llround(sum) : 0);
}

static json_t *json_bucket_estimate(const struct alloc_estimate *estimate, unsigned int bucket)
{
	if (!estimate)
		return json_null();
	return json_pack("{s:o, s:o}", "count_share", json_number(estimate->request_share[bucket]),
			 "bytes_share", json_number(estimate->byte_share[bucket]));
}

/* Buckets that were asked for; null when nothing was counted, which is not the same as none. */
json_t *json_buckets(const struct process *process)
{
	bool live = process__live_known(process);
	json_t *array;

	if (!process->counted)
		return json_null();
	array = json_array();
	for (unsigned int i = 0; i < SIZE_BUCKETS; i++) {
		const struct size_count *bucket = &process->alloc.buckets[i];
		const struct live_sum *held = live ? &process->live->buckets[i] : NULL;

		if (!bucket->count && !(held && held->count > 0))
			continue;
		json_array_append_new(
			array,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "min_bytes",
				  json_count(bucket__min_bytes(i)), "max_bytes",
				  json_count(bucket__max_bytes(i)), "count",
				  json_count(bucket->count), "bytes", json_count(bucket->bytes),
				  "live_count", json_held(held, held ? held->count : 0),
				  "live_bytes", json_held(held, held ? held->bytes : 0), "series",
				  json_series(process, i), "estimate",
				  json_bucket_estimate(process->estimate, i)));
	}
	return array;
}
