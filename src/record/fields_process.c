// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "record/fields.h"

static void fields_identity(struct codec *codec, struct process *process)
{
	CODEC_U32(codec, process, pid);
	CODEC_U32(codec, process, parent_pid);
	CODEC_U64(codec, process, start_ns);
	CODEC_U64(codec, process, start_ticks);
	codec__chars(codec, "comm", process->comm, sizeof(process->comm));
	codec__string(codec, "exe", &process->exe, RECORD_PATH_MAX);
	CODEC_BOOL(codec, process, is_target);
	CODEC_BOOL(codec, process, kernel_thread);
	CODEC_BOOL(codec, process, begins_with_exec);
}

static void fields_life(struct codec *codec, struct process *process)
{
	CODEC_U64(codec, process, first_seen_ns);
	CODEC_U64(codec, process, ended_ns);
	codec__enum(codec, "end", process->end, PROCESS_EXITED);
	codec__i32(codec, "exit_status", &process->exit_status, INT32_MIN, INT32_MAX);
	CODEC_BOOL(codec, process, oom_killed);
	CODEC_U32(codec, process, threads_created);
	CODEC_U32(codec, process, threads_ended);
	CODEC_U32(codec, process, children);
	CODEC_U32(codec, process, execs);
	CODEC_BOOL(codec, process, needs_reread);
	CODEC_U32(codec, process, rereads);
	CODEC_U32(codec, process, healed_ranges);
	codec__u64(codec, "faults_before", &process->faults.before, UINT64_MAX);
	codec__u64(codec, "faults_now", &process->faults.now, UINT64_MAX);
}

static void fields_mapping(struct codec *codec, struct process *process)
{
	struct mapping_counts *mapping = &process->mapping;

	codec__i64(codec, "mapped_start_bytes", &process->mapped_start_bytes, -1, 1ll << 58);
	CODEC_U64(codec, mapping, mmap_calls);
	CODEC_U64(codec, mapping, mmap_bytes);
	CODEC_U64(codec, mapping, munmap_calls);
	CODEC_U64(codec, mapping, munmap_bytes);
	CODEC_U64(codec, mapping, mremap_calls);
	CODEC_U64(codec, mapping, brk_calls);
	/* INT64_MIN has no positive counterpart to be printed. */
	codec__i64(codec, "brk_delta_bytes", &mapping->brk_delta_bytes, -INT64_MAX, INT64_MAX);
	CODEC_U64(codec, mapping, mprotect_calls);
	CODEC_U64(codec, mapping, madvise_calls);
	CODEC_U64(codec, mapping, failed_calls);
}

static void fields_arena_event(struct codec *codec, struct arena_event *event)
{
	CODEC_REAL(codec, event, t_s);
	CODEC_U32(codec, event, tid);
	CODEC_U64(codec, event, address);
	codec__i32(codec, "stack", &event->stack, INT32_MIN, INT32_MAX);
	CODEC_BOOL(codec, event, seen_by_mapping);
	CODEC_BOOL(codec, event, seen_by_symbol);
	CODEC_BOOL(codec, event, seen_by_usdt);
	codec__enum(codec, "stack_from", event->stack_from, ARENA_FROM_USDT);
}

/* Those that are undecided are in no output. */
static void fields_arenas(struct codec *codec, struct arenas *arenas)
{
	size_t n;

	CODEC_BOOL(codec, arenas, symbol_probed);
	CODEC_BOOL(codec, arenas, usdt_probed);
	CODEC_REAL(codec, arenas, symbol_from_s);
	CODEC_REAL(codec, arenas, usdt_from_s);
	CODEC_U32(codec, arenas, created_by_mapping);
	CODEC_U32(codec, arenas, created_by_symbol);
	CODEC_U32(codec, arenas, created_by_usdt);
	CODEC_U32(codec, arenas, get_calls);
	CODEC_U32(codec, arenas, reused);
	CODEC_U32(codec, arenas, unclear);
	CODEC_U32(codec, arenas, heaps);
	CODEC_U32(codec, arenas, usdt_heaps);
	codec__i64(codec, "present", &arenas->present, -1, INT64_MAX);
	codec__i64(codec, "limit", &arenas->limit, -1, INT64_MAX);
	codec__chars(codec, "limit_source", arenas->limit_source, sizeof(arenas->limit_source));
	n = codec__count(codec, "arenas", arenas->event_count, ARENA_EVENTS_MAX, 8);
	if (!codec->writes && n) {
		arenas->events = codec__alloc(codec, "arenas", n, sizeof(*arenas->events));
		arenas->event_count = arenas->events ? (uint32_t)n : 0;
	}
	for (uint32_t i = 0; i < arenas->event_count && !codec->err; i++)
		fields_arena_event(codec, &arenas->events[i]);
}

static bool is_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size && !*at)
		at++, size--;
	return !size;
}

/* Most processes of a host have none of it. */
static void fields_alloc(struct codec *codec, struct alloc_counts *alloc)
{
	const void *any = is_zero(alloc, sizeof(*alloc)) ? NULL : alloc;

	if (!codec__present(codec, "alloc", any))
		return;
	for (int i = 0; i < CALL_ROWS; i++)
		codec__u64(codec, "calls", &alloc->calls[i], UINT64_MAX);
	for (int i = 0; i < SIZE_BUCKETS; i++) {
		CODEC_U64(codec, &alloc->buckets[i], count);
		CODEC_U64(codec, &alloc->buckets[i], bytes);
	}
	CODEC_U64(codec, alloc, impossible);
	CODEC_U64(codec, alloc, tail_calls);
	CODEC_U64(codec, alloc, failed);
	CODEC_U64(codec, alloc, failed_bytes);
	CODEC_U64(codec, alloc, unknown_frees);
	CODEC_U64(codec, alloc, go_calls);
}

static void fields_classes(struct codec *codec, struct process *process)
{
	if (!codec__present(codec, "classes", process->classes))
		return;
	if (!codec->writes)
		process->classes = codec__alloc(codec, "classes", 1, sizeof(*process->classes));
	if (!process->classes)
		return;
	for (int i = 0; i < CLASS_ROWS; i++) {
		CODEC_U64(codec, &process->classes->rows[i], count);
		CODEC_U64(codec, &process->classes->rows[i], requested_bytes);
		CODEC_U64(codec, &process->classes->rows[i], class_bytes);
	}
	CODEC_U64(codec, process->classes, header_unknown);
}

static void fields_range(struct codec *codec, struct estimate_range *range)
{
	CODEC_REAL(codec, range, low);
	CODEC_REAL(codec, range, best);
	CODEC_REAL(codec, range, high);
}

static void fields_estimate(struct codec *codec, struct process *process)
{
	struct alloc_estimate *estimate;

	if (!codec__present(codec, "estimate", process->estimate))
		return;
	if (!codec->writes)
		process->estimate = codec__alloc(codec, "estimate", 1, sizeof(*process->estimate));
	estimate = process->estimate;
	if (!estimate)
		return;
	CODEC_U32(codec, estimate, bursts);
	CODEC_REAL(codec, estimate, covered_s);
	CODEC_REAL(codec, estimate, present_s);
	CODEC_REAL(codec, estimate, covered_cpu);
	fields_range(codec, &estimate->calls);
	fields_range(codec, &estimate->calls_per_s);
	fields_range(codec, &estimate->calls_per_cpu_s);
	CODEC_REAL(codec, estimate, requests_per_call);
	CODEC_REAL(codec, estimate, bytes_per_request);
	for (int i = 0; i < CALL_ROWS; i++)
		codec__real(codec, "row_share", &estimate->row_share[i]);
	for (int i = 0; i < SIZE_BUCKETS; i++) {
		codec__real(codec, "request_share", &estimate->request_share[i]);
		codec__real(codec, "byte_share", &estimate->byte_share[i]);
	}
}

static void fields_allocator(struct codec *codec, struct process *process)
{
	CODEC_BOOL(codec, process, counted);
	for (int i = 0; i < CALL_ROWS / 64; i++)
		codec__u64(codec, "probed_rows", &process->probed_rows.words[i], UINT64_MAX);
	CODEC_REAL(codec, process, covered_from_s);
	CODEC_REAL(codec, process, covered_to_s);
	CODEC_U32(codec, process, allocators);
	fields_alloc(codec, &process->alloc);
	fields_classes(codec, process);
	fields_estimate(codec, process);
}

static void fields_interval(struct codec *codec, struct interval *interval)
{
	CODEC_REAL(codec, interval, t_s);
	CODEC_U64(codec, interval, alloc_calls);
	CODEC_U64(codec, interval, alloc_bytes);
	CODEC_U64(codec, interval, free_calls);
	CODEC_U64(codec, interval, mmap_calls);
	CODEC_U64(codec, interval, mmap_bytes);
	CODEC_U64(codec, interval, munmap_bytes);
	CODEC_BYTES(codec, interval, rss_bytes);
}

/* What a ring kept, oldest first; it keeps nothing beyond its capacity. */
static void push(struct codec *codec, struct ring *ring, const void *item)
{
	if (codec->err || codec->writes || !codec__charge(codec, "intervals", ring->item_bytes))
		return;
	if (ring__push(ring, item))
		codec__refuse(codec, "intervals", "out of memory");
}

static void fields_intervals(struct codec *codec, struct process *process)
{
	size_t n = codec__count(codec, "intervals", process->intervals.count, RECORD_INTERVALS_MAX,
				15);

	for (size_t i = 0; i < n && !codec->err; i++) {
		struct interval interval = {0};

		if (codec->writes)
			interval = *(const struct interval *)ring__at(&process->intervals,
								      (uint32_t)i);
		fields_interval(codec, &interval);
		push(codec, &process->intervals, &interval);
	}
	n = codec__count(codec, "series", process->bucket_series.count, RECORD_INTERVALS_MAX,
			 SIZE_BUCKETS);
	for (size_t i = 0; i < n && !codec->err; i++) {
		uint64_t counts[SIZE_BUCKETS] = {0};

		if (codec->writes)
			memcpy(counts, ring__at(&process->bucket_series, (uint32_t)i),
			       sizeof(counts));
		for (int bucket = 0; bucket < SIZE_BUCKETS; bucket++)
			codec__u64(codec, "series", &counts[bucket], UINT64_MAX);
		push(codec, &process->bucket_series, counts);
	}
}

static void fields_sample(struct codec *codec, struct rss_sample *sample)
{
	CODEC_REAL(codec, sample, t_s);
	CODEC_BYTES(codec, sample, rss_bytes);
}

static void fields_residency(struct codec *codec, struct residency *residency)
{
	CODEC_BOOL(codec, residency, known);
	CODEC_REAL(codec, residency, t_s);
	CODEC_BYTES(codec, residency, arenas);
	CODEC_BYTES(codec, residency, thread_stacks);
	CODEC_BYTES(codec, residency, brk);
	CODEC_BYTES(codec, residency, go_heap);
	CODEC_BYTES(codec, residency, direct);
	CODEC_BYTES(codec, residency, file);
	CODEC_BYTES(codec, residency, other);
}

static void fields_heap_use(struct codec *codec, struct heap_use *use)
{
	CODEC_BOOL(codec, use, known);
	CODEC_BOOL(codec, use, complete);
	CODEC_REAL(codec, use, t_s);
	CODEC_U64(codec, use, in_use_bytes);
	CODEC_U64(codec, use, in_use_error_bytes);
	CODEC_U64(codec, use, free_bytes);
	CODEC_U64(codec, use, trimmable_bytes);
	CODEC_U64(codec, use, mmapped_bytes);
}

static void fields_memory(struct codec *codec, struct process *process)
{
	fields_sample(codec, &process->rss_first);
	fields_sample(codec, &process->rss_last);
	fields_sample(codec, &process->rss_min);
	fields_sample(codec, &process->rss_max);
	CODEC_REAL(codec, &process->slope, n);
	CODEC_REAL(codec, &process->slope, t);
	CODEC_REAL(codec, &process->slope, y);
	CODEC_REAL(codec, &process->slope, tt);
	CODEC_REAL(codec, &process->slope, ty);
	fields_residency(codec, &process->at_start);
	fields_residency(codec, &process->at_end);
	fields_heap_use(codec, &process->heap_start);
	fields_heap_use(codec, &process->heap_end);
}

void fields__process(struct codec *codec, struct process *process)
{
	fields_identity(codec, process);
	fields_life(codec, process);
	fields_mapping(codec, process);
	fields_arenas(codec, &process->arenas);
	fields_allocator(codec, process);
	fields_intervals(codec, process);
	fields_memory(codec, process);
}

void fields__place(struct codec *codec, struct process_place *place, uint32_t spaces,
		   uint32_t views)
{
	CODEC_BOOL(codec, place, running);
	codec__u32(codec, "space", &place->space, spaces);
	codec__u32(codec, "view", &place->view, views);
	if (!codec->err && !place->space)
		codec__refuse(codec, "space", "a process without an address space");
}
