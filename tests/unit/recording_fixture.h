/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_RECORDING_FIXTURE_H
#define MEMDRIFT_TESTS_RECORDING_FIXTURE_H

/*
 * A trace result with something in every field that a recording has, its recording, and what is
 * written of either.
 */
#include "trace_fixture.h"

#include <errno.h>

#include "analysis/size_class.h"
#include "output/profile.h"
#include "record/recording.h"

struct recorded {
	struct fixture fix;
	struct process child, burst, killed;
	struct live_view *view;
	struct class_table classes;
	struct class_counts counts;
	struct alloc_estimate estimate;
	struct stack_weights temporary, faults;
	struct fact_log *log;
	struct large_facts kept;
	char *bytes; /* the recording */
	size_t size;
};

static const uint64_t rec_sizes[] = LARGE_SIZES_DEFAULT;

static inline size_t rec_name(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
			      struct frame_name *frames, size_t max)
{
	static const struct frame_file file = {.path = "/usr/bin/cal",
					       .build_id = "0123abcd",
					       .text_vaddr = 0x1000,
					       .text_offset = 0x400,
					       .text_bytes = 0x2000};
	size_t n = fix_name(ctx, pid, start_ns, stack, frames, max);

	for (size_t i = 0; i < n; i++) {
		frames[i].function = i ? frames[i].text : NULL;
		frames[i].file = i % 2 ? &file : NULL;
		frames[i].offset = 0x500 + 16 * i;
		frames[i].function_start = 0x500;
		frames[i].is_inlined = i == 1;
		frames[i].is_return = i > 0;
		frames[i].source = i == 2 ? "src/cal.go" : NULL;
		frames[i].line = i == 2 ? 117 : 0;
	}
	return n;
}

static inline enum rules_match rec_match(const struct class_table *classes,
					 const struct process *process)
{
	(void)classes;
	return process->allocators & 2 ? RULES_MIXED : RULES_UNKNOWN;
}

static inline const char *rec_allocator(const struct process *process, unsigned int index)
{
	return index < 1 && process->allocators ? "glibc" : NULL;
}

static inline const struct row_set *rec_rows(void *ctx, const struct process *process)
{
	(void)ctx;
	return &process->probed_rows;
}

static inline int rec_peek(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
			   size_t n)
{
	(void)ctx, (void)process;
	if (addr == FIX_ARENA)
		return -ENODATA;
	for (size_t i = 0; i < n; i++)
		words[i] = addr + i;
	return 0;
}

static inline void rec_fill_live(struct recorded *rec, const struct live_filter *filter)
{
	struct process *cal = &rec->fix.cal;

	rec->view = live_view__new(1.5);
	assert_non_null(rec->view);
	rec->view->keeps_items = true;
	for (int reading = 1; reading <= 12; reading++) {
		live_view__begin(rec->view, true, filter, 2.0 * reading);
		for (int i = 0; i < 4 * reading; i++) {
			const struct live_item item = {.pointer = 16 * (uint64_t)i,
						       .size = i % 3 ? 100 + (uint64_t)i : 5000,
						       .weight = i == 7 ? 1.5 : 1,
						       .born_s = 0.5 * i,
						       .stack = i % 3 ? FIX_STACK_CHUNK
								      : STACK_NONE};

			live_view__add(rec->view, &item, i == 3);
		}
		live_view__end(rec->view);
	}
	live_view__drop_pointers(rec->view);
	rec->view->peak_bytes = 123456;
	rec->view->peak_error_bytes = 789;
	rec->view->inherited_frees = 2;
	rec->view->usable = (struct live_usable){.source = "size-classes",
						 .count = 4,
						 .unread = 1,
						 .requested_bytes = 900,
						 .usable_bytes = 1024};
	process__set_live(cal, rec->view);
}

static inline void rec_fill_cal(struct recorded *rec)
{
	struct process *cal = &rec->fix.cal;

	for (uint32_t i = 0; i < 4; i++)
		row_set__add(&cal->probed_rows, i);
	cal->covered_from_s = 0.25;
	cal->covered_to_s = 29;
	cal->allocators = 2;
	cal->alloc.impossible = 1;
	cal->alloc.tail_calls = 2;
	cal->alloc.failed = 3;
	cal->alloc.failed_bytes = 4;
	cal->alloc.unknown_frees = 5;
	cal->alloc.go_calls = 6;
	cal->mapped_start_bytes = 12 * (int64_t)FIX_MB;
	cal->needs_reread = true;
	cal->rereads = 3;
	cal->healed_ranges = 4;
	cal->execs = 1;
	cal->begins_with_exec = true;
	cal->arenas.symbol_probed = true;
	cal->arenas.created_by_symbol = 2;
	cal->arenas.get_calls = 9;
	cal->arenas.reused = 7;
	cal->arenas.heaps = 2;
	cal->heap_start = (struct heap_use){.known = true, .t_s = 0.1, .in_use_bytes = 5000};
	cal->heap_end = (struct heap_use){.known = true,
					  .complete = true,
					  .t_s = 30,
					  .in_use_bytes = 900000,
					  .in_use_error_bytes = 100,
					  .free_bytes = 70000,
					  .trimmable_bytes = 4096,
					  .mmapped_bytes = 1 << 20};
	size_class__fill_table(SIZE_RULES_GLIBC, &rec->classes);
	rec->counts.rows[3] = (struct class_count){.count = 300, .requested_bytes = 7200};
	rec->counts.rows[200] = (struct class_count){
		.count = 5, .requested_bytes = 7u << 20, .class_bytes = 8u << 20};
	rec->counts.header_unknown = 8;
	process__set_classes(cal, &rec->counts);
	/* Older memory, which is looked into. */
	fix_map_anonymous(cal, 0x7f0000000000, 192 * FIX_MB, PROT_READ | PROT_WRITE)->before_trace =
		true;
	fix_map_anonymous(cal, 0x7c0000000000, 3 * FIX_MB, PROT_NONE);
}

/* Shares its parent's memory; was seen in bursts. */
static inline void rec_fill_others(struct recorded *rec)
{
	struct process *burst = fix_process(&rec->fix, &rec->burst, 900, "bur\033st");
	struct process *child = fix_process(&rec->fix, &rec->child, 8300, "child");
	struct process *killed = fix_process(&rec->fix, &rec->killed, 8400, "killed");

	process__set_space(child, space__ref(rec->fix.cal.space));
	process__set_live(child, rec->view);
	child->counted = true;
	burst->counted = true;
	burst->probed_rows = rec->fix.cal.probed_rows;
	burst->alloc = rec->fix.cal.alloc;
	rec->estimate = (struct alloc_estimate){.bursts = 7,
						.covered_s = 1.25,
						.present_s = 30,
						.covered_cpu = 0.04,
						.calls = {1e6, NAN, 2e6},
						.calls_per_s = {1e5, 1.5e5, 2e5},
						.calls_per_cpu_s = {1, 2, NAN},
						.requests_per_call = 0.6,
						.bytes_per_request = 100};
	rec->estimate.row_share[1] = 0.75;
	rec->estimate.request_share[5] = 0.5;
	rec->estimate.byte_share[16] = 0.9;
	burst->estimate = &rec->estimate;
	HASH_DEL(rec->fix.model.running, killed);
	rec->fix.model.ended = killed;
	killed->end = PROCESS_EXITED;
	killed->ended_ns = FIX_STARTED + 5000000000ULL;
	killed->exit_status = 9;
	killed->oom_killed = true;
	fix_sample(killed, 1, 500 * FIX_MB);
	fix_sample(killed, 2, 900 * FIX_MB);
}

static inline void rec_fill_result(struct recorded *rec)
{
	static char *argv[] = {(char *)"cal", (char *)"", (char *)"-m 3", NULL};
	struct trace_result *result = &rec->fix.result;
	uint64_t start_ns = rec->fix.cal.start_ns;

	for (int i = 0; i < LOSS_MAX; i++)
		result->losses[i] = (uint64_t)i * 3;
	result->started_unix_ns = 1764200000000000000;
	result->classes = &rec->classes;
	result->rules_match = rec_match;
	result->allocator_name = rec_allocator;
	result->probed_rows = rec_rows;
	result->overhead.detached = 1;
	result->overhead.detached_at_s = 3;
	result->overhead.bursts = 7;
	result->overhead.attach_ns = 5e6;
	result->overhead.detach_ns = 6e6;
	result->overhead.bystander_hits = 44;
	result->command.argv = argv;
	result->command.ended = true;
	result->command.wait_status = 3 << 8;
	result->namer.name = rec_name;
	stack_weights__add(&rec->fix.mmap_weights, 8212, start_ns, FIX_STACK_CHUNK, 2, 64 * FIX_MB);
	stack_weights__add(&rec->fix.mmap_weights, 8212, start_ns, STACK_NONE, 1, FIX_MB);
	stack_weights__add(&rec->fix.alloc_weights, 8212, start_ns, FIX_STACK_HOSTILE, 50000,
			   40000ULL * 50000);
	stack_weights__add(&rec->fix.alloc_weights, 900, rec->burst.start_ns, FIX_STACK_ARENA, 9,
			   800);
	stack_weights__add(&rec->temporary, 8212, start_ns, FIX_STACK_CHUNK, 70, 7000);
	stack_weights__add(&rec->faults, 8212, start_ns, FIX_STACK_ARENA, 10, 0);
	rec->fix.mmap_weights.folded = 3;
	result->temporary_weights = &rec->temporary;
	result->fault_weights = &rec->faults;
	result->fault_period = 64;
}

static inline void rec_write(const struct recording_source *source, char **bytes, size_t *size)
{
	FILE *out = open_memstream(bytes, size);
	char error[RECORD_ERROR_MAX] = "";

	assert_non_null(out);
	if (recording__write(out, source, error))
		fail_msg("%s", error);
	assert_int_equal(fclose(out), 0);
}

static inline void rec_init(struct recorded *rec)
{
	struct recording_source source = {.large = rec_sizes, .large_count = 2};

	memset(rec, 0, sizeof(*rec));
	fix_init(&rec->fix);
	rec_fill_live(rec, NULL);
	rec_fill_cal(rec);
	rec_fill_others(rec);
	rec_fill_result(rec);
	rec->fix.facts.peek = rec_peek;
	rec->log = fact_log__new();
	assert_non_null(rec->log);
	rec->kept = fact_log__keep(rec->log, &rec->fix.facts);
	assert_int_equal(trace_result__build(&rec->fix.result, rec_sizes, 2, &rec->kept), 0);
	source.result = &rec->fix.result;
	source.facts = rec->log;
	assert_int_equal(recording__ask(&source, &rec->kept), 0);
	rec_write(&source, &rec->bytes, &rec->size);
}

static inline void rec_free(struct recorded *rec)
{
	struct process *others[] = {&rec->child, &rec->burst, &rec->killed};

	for (size_t i = 0; i < 3; i++) {
		live_view__unref(others[i]->live);
		fix_free_process(others[i]);
	}
	live_view__unref(rec->fix.cal.live);
	live_view__unref(rec->view);
	free(rec->fix.cal.classes);
	stack_weights__free(&rec->temporary);
	stack_weights__free(&rec->faults);
	fact_log__free(rec->log);
	fix_free(&rec->fix);
	free(rec->bytes);
}

/* A recording that was read, and the result of it. */
struct replayed {
	struct recording *recording;
	struct trace_result result;
};

/* 0, or what reading gave, with its message. */
static inline int rec_read(struct replayed *replayed, const void *bytes, size_t size,
			   char error[RECORD_ERROR_MAX])
{
	FILE *in = size ? fmemopen((void *)bytes, size, "r") : fopen("/dev/null", "r");
	int err;

	assert_non_null(in);
	*replayed = (struct replayed){0};
	err = recording__read(&replayed->recording, in, "some\033.mdr", error);
	fclose(in);
	if (!err) {
		recording__result(replayed->recording, &replayed->result);
		replayed->result.rules_match = rec_match;
		replayed->result.allocator_name = rec_allocator;
	}
	return err;
}

static inline void rec_build(struct replayed *replayed, const uint64_t *sizes, size_t count)
{
	struct large_facts facts = recording__facts(replayed->recording);

	if (!sizes)
		sizes = recording__large(replayed->recording, &count);
	assert_int_equal(trace_result__build(&replayed->result, sizes, count, &facts), 0);
}

static inline void rec_drop(struct replayed *replayed)
{
	trace_result__free(&replayed->result);
	recording__free(replayed->recording);
}

/* All that is written of a result, one output behind the other; freed by the caller. */
static inline char *rec_outputs(const struct trace_result *result, size_t *size)
{
	const struct text_options few = {.utf8 = true, .top = 3};
	const struct text_options all = {.all = true, .top = 10, .colour = true};
	struct profile *profile;
	char *bytes = NULL;
	FILE *out = open_memstream(&bytes, size);

	assert_non_null(out);
	assert_int_equal(trace_text__write(out, result, &few), 0);
	assert_int_equal(trace_text__write(out, result, &all), 0);
	assert_int_equal(trace_json__write(out, result), 0);
	assert_int_equal(profile__build(result, &profile), 0);
	for (int weight = 0; weight < WEIGHT_MAX; weight++)
		assert_int_equal(profile_folded__write(out, profile, (enum profile_weight)weight),
				 0);
	assert_int_equal(profile_pprof__write(out, profile), 0);
	profile__free(profile);
	assert_int_equal(fclose(out), 0);
	return bytes;
}

#endif
