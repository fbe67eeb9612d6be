// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <sys/wait.h>

#include "output/derive.h"
#include "output/json.h"

static json_t *json_rss(const struct process *process)
{
	bool known = process__has_rss(process);

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "start_bytes",
			 json_count_if(known, process->rss_first.rss_bytes), "end_bytes",
			 json_count_if(known, process->rss_last.rss_bytes), "min_bytes",
			 json_count_if(known, process->rss_min.rss_bytes), "max_bytes",
			 json_count_if(known, process->rss_max.rss_bytes), "slope_bytes_per_s",
			 json_number_if(known, process__rss_slope(process)));
}

/* Since it was first seen; null when one of the two ends is unknown. */
static json_t *json_mapped_delta(const struct process *process)
{
	const struct space *space = process->space;

	if (!space || !space->seeded || process->mapped_start_bytes < 0)
		return json_null();
	return json_integer((json_int_t)space->mapped_bytes - process->mapped_start_bytes);
}

static json_t *json_mapping(const struct process *process)
{
	const struct mapping_counts *counts = &process->mapping;
	const struct space *space = process->space;
	bool seeded = space && space->seeded;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"mmap_calls", json_count(counts->mmap_calls), "mmap_bytes",
		json_count(counts->mmap_bytes), "munmap_calls", json_count(counts->munmap_calls),
		"munmap_bytes", json_count(counts->munmap_bytes), "mremap_calls",
		json_count(counts->mremap_calls), "brk_calls", json_count(counts->brk_calls),
		"brk_delta_bytes", (json_int_t)counts->brk_delta_bytes, "mapped_bytes",
		json_count_if(seeded, seeded ? space->mapped_bytes : 0), "mapped_delta_bytes",
		json_mapped_delta(process), "unreleased_bytes",
		json_count(process__unreleased_bytes(process)), "unreleased_count",
		json_count(process__unreleased_count(process)), "mprotect_calls",
		json_count(counts->mprotect_calls), "madvise_calls",
		json_count(counts->madvise_calls), "failed_calls",
		json_count(counts->failed_calls));
}

static json_t *json_arena_event(const struct trace_result *result, const struct process *process,
				const struct arena_event *event)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "t_s", json_number(event->t_s), "tid",
			 json_count_if(event->tid, event->tid), "address",
			 json_address(event->address), "stack",
			 json_stack(result, process, event->stack));
}

static json_t *json_arenas(const struct trace_result *result, const struct process *process)
{
	const struct arenas *arenas = &process->arenas;
	json_t *events = json_array();

	for (uint32_t i = 0; i < arenas->event_count; i++)
		json_array_append_new(events,
				      json_arena_event(result, process, &arenas->events[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "source",
			 arena_source__name(arenas__source(arenas)), "created",
			 json_count(arenas__created(arenas)), "reused",
			 json_count_if(arenas->symbol_probed, arenas->reused), "present",
			 json_count_if(arenas->present >= 0, (uint64_t)arenas->present), "limit",
			 json_count_if(arenas->limit >= 0, (uint64_t)arenas->limit), "limit_source",
			 json_text(arenas->limit_source[0] ? arenas->limit_source : NULL),
			 "further_heaps", json_count(arenas->heaps), "sources_agree",
			 arenas__sources_agree(arenas), "events", events);
}

static json_t *json_large_mapping(const struct trace_result *result, const struct process *process,
				  const struct large_mapping *mapping)
{
	bool resident = mapping->resident_bytes >= 0;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:s, s:o, s:o}", "address",
			 json_address(mapping->address), "reserved_bytes",
			 json_count(mapping->reserved_bytes), "committed_bytes",
			 json_count(mapping->committed_bytes), "resident_bytes",
			 json_count_if(resident, (uint64_t)mapping->resident_bytes),
			 "resident_age_s", json_number_if(resident, mapping->resident_age_s),
			 "age_s", json_number(mapping->age_s), "before_attach",
			 mapping->before_attach, "kind", large_kind__name(mapping->kind), "tid",
			 json_count_if(mapping->tid, mapping->tid), "stack",
			 json_stack(result, process, mapping->stack));
}

static json_t *json_large(const struct trace_result *result, const struct process_result *process)
{
	json_t *array = json_array();

	for (size_t i = 0; i < process->large_count; i++)
		json_array_append_new(
			array, json_large_mapping(result, process->process, &process->large[i]));
	return array;
}

/* Which part of RSS moved: null where either reading is missing. */
static json_t *json_growth(const struct growth *growth)
{
	static const char *const names[GROWTH_PARTS] = {
		"arenas_bytes",        "direct_bytes", "brk_bytes",   "go_heap_bytes",
		"thread_stacks_bytes", "file_bytes",   "other_bytes", "unknown_bytes"};
	json_t *moved = json_object();

	for (int i = 0; i < GROWTH_PARTS; i++) {
		bool known = growth->moved_known && (i != GROWTH_UNKNOWN || growth->rss_known);

		json_object_set_new(moved, names[i],
				    known ? json_integer((json_int_t)growth->moved[i])
					  : json_null());
	}
	json_object_set_new(moved, "from_s", json_number_if(growth->moved_known, growth->from_s));
	json_object_set_new(moved, "to_s", json_number_if(growth->held_known, growth->to_s));
	return moved;
}

static json_t *json_heap_use(const struct heap_use *use)
{
	if (!use->known)
		return json_null();
	return json_pack("{s:f, s:o, s:o, s:o, s:o, s:o, s:b}", "t_s", use->t_s, "in_use_bytes",
			 json_count(use->in_use_bytes), "in_use_error_bytes",
			 json_count(use->in_use_error_bytes), "free_bytes",
			 json_count(use->free_bytes), "trimmable_bytes",
			 json_count(use->trimmable_bytes), "mmapped_bytes",
			 json_count(use->mmapped_bytes), "complete", use->complete);
}

/* null while it runs. */
static json_t *json_ended(const struct trace_result *result, const struct process *process)
{
	static const char *const reasons[] = {"exiting", "exit", "signal", "oom"};
	int status = process->exit_status, reason = 0;
	bool over = process->end == PROCESS_EXITED;

	if (process->end == PROCESS_RUNS && !process->oom_killed)
		return json_null();
	if (over)
		reason = WIFSIGNALED(status) ? 2 : 1;
	if (process->oom_killed)
		reason = 3;
	return json_pack(
		"{s:s, s:o, s:o, s:o}", "reason", reasons[reason], "t_s",
		json_number_if(process->ended_ns, trace_seconds(result->model, process->ended_ns)),
		"status", json_count_if(over && WIFEXITED(status), (uint64_t)WEXITSTATUS(status)),
		"signal", json_count_if(over && WIFSIGNALED(status), (uint64_t)WTERMSIG(status)));
}

/* How far the model of its mappings can be trusted. */
static json_t *json_model(const struct process *process)
{
	return json_pack("{s:b, s:b, s:o, s:o}", "seeded", process->space && process->space->seeded,
			 "needs_reread", process->needs_reread, "rereads",
			 json_count(process->rereads), "healed_ranges",
			 json_count(process->healed_ranges));
}

json_t *json_process(const struct trace_result *result, const struct process_result *built)
{
	const struct process *process = built->process;
	char comm[COMM_TEXT_MAX];

	/* comm is printable already: json_text would escape nothing more. */
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o}",
		"pid", json_count(process->pid), "parent_pid", json_count(process->parent_pid),
		"start_time_ticks", json_count(process->start_ticks), "comm",
		json_text(process__comm(process, comm)), "exe", json_text(process->exe), "target",
		process->is_target, "ended", json_ended(result, process), "rss", json_rss(process),
		"growth", json_growth(&built->growth), "mapping", json_mapping(process),
		"allocator", json_allocator(result, built), "buckets", json_buckets(process),
		"live", json_live(result, process), "size_classes",
		json_size_classes(result, process), "arenas", json_arenas(result, process),
		"large_mappings", json_large(result, built), "model", json_model(process), "faults",
		json_faults(result, process), "malloc_heap",
		json_pack("{s:o, s:o}", "start", json_heap_use(&process->heap_start), "end",
			  json_heap_use(&process->heap_end)));
}
