/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_TRACE_FIXTURE_H
#define MEMDRIFT_TESTS_TRACE_FIXTURE_H

/*
 * A trace result made by hand: process "cal" (pid 8212), a Go program with cgo whose memory goes
 * into malloc arenas. Tests change what they are about before they build the result.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memdrift/record.h"
#include "output/result.h"

#define FIX_MB      (1ULL << 20)
#define FIX_STARTED 1000000000000ULL
#define FIX_ARENA   0x7f1ecc000000ULL
#define FIX_CHUNK   0x7f1e00000000ULL

enum { FIX_STACK_ARENA = 7, FIX_STACK_CHUNK = 8, FIX_STACK_HOSTILE = 9 };

struct fixture {
	struct model model;
	struct process cal;
	struct arena_event events[2];
	struct trace_result result;
	struct large_facts facts;
	struct stack_weights mmap_weights, alloc_weights;
	int go_heap;
	bool resident_unknown;
	uint64_t unread; /* an address whose residency alone is unknown */
};

#define FIX_FRAME(name, file)                                        \
	{                                                            \
		.text = (name), .function = (name), .object = (file) \
	}

static inline size_t fix_name(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
			      struct frame_name *frames, size_t max)
{
	static const struct frame_name arena[] = {
		FIX_FRAME("arena_get2", "libc.so.6"), FIX_FRAME("calloc", "libc.so.6"),
		FIX_FRAME("_cgo_0_Cfunc_calloc", "cal"), FIX_FRAME("main.main.func1", "cal")};
	static const struct frame_name chunk[] = {
		FIX_FRAME("syscall.Syscall6", "cal"),
		FIX_FRAME("golang.org/x/sys/unix.mmap", "cal"),
		FIX_FRAME("github.com/VictoriaMetrics/fastcache.getChunk", "cal"),
		FIX_FRAME("main.main", "cal")};
	static const struct frame_name hostile[] = {FIX_FRAME("a b;c\n\033[31m", "x"),
						    FIX_FRAME("root\xff", "x")};
	const struct frame_name *from = stack == FIX_STACK_ARENA   ? arena
					: stack == FIX_STACK_CHUNK ? chunk
								   : hostile;
	size_t n = stack == FIX_STACK_ARENA || stack == FIX_STACK_CHUNK ? 4
		   : stack == FIX_STACK_HOSTILE                         ? 2
									: 0;

	(void)ctx, (void)pid, (void)start_ns;
	for (size_t i = 0; i < n && i < max; i++)
		frames[i] = from[i];
	return n < max ? n : max;
}

static inline int fix_resident(void *ctx, const struct process *process, uint64_t start,
			       uint64_t end, uint64_t *bytes, double *age_s)
{
	const struct fixture *fix = ctx;

	(void)process;
	if (fix->resident_unknown || start == fix->unread)
		return -1;
	*bytes = (end - start) / 2;
	*age_s = 0.25;
	return 0;
}

static inline int fix_go_heap(void *ctx, const struct process *process)
{
	(void)process;
	return ((const struct fixture *)ctx)->go_heap;
}

static inline struct origin *fix_map(struct process *process, uint64_t addr, uint64_t len,
				     uint32_t prot, uint32_t flags, int32_t stack)
{
	const struct map_request request = {.time_ns = FIX_STARTED + 2000000000ULL,
					    .addr = addr,
					    .len = len,
					    .tid = 8219,
					    .prot = prot,
					    .map_flags = flags,
					    .stack = stack};

	assert_int_equal(space__map(process->space, &request), 0);
	return space__find(process->space, addr)->origin;
}

static inline struct origin *fix_map_anonymous(struct process *process, uint64_t addr, uint64_t len,
					       uint32_t prot)
{
	return fix_map(process, addr, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, STACK_NONE);
}

static inline struct process *fix_process(struct fixture *fix, struct process *process,
					  uint32_t pid, const char *comm)
{
	*process = (struct process){.pid = pid,
				    .parent_pid = 1,
				    .start_ns = pid * 1000ULL,
				    .start_ticks = pid,
				    .first_seen_ns = FIX_STARTED,
				    .covered_to_s = -1,
				    .space = space__new()};
	memcpy(process->comm, comm, strnlen(comm, sizeof(process->comm)));
	process->space->seeded = true;
	process->arenas.present = -1;
	process->arenas.limit = -1;
	ring__init(&process->intervals, sizeof(struct interval), 120);
	ring__init(&process->bucket_series, sizeof(uint64_t[SIZE_BUCKETS]), 120);
	HASH_ADD(hh, fix->model.running, pid, sizeof(process->pid), process);
	return process;
}

static inline void fix_free_process(struct process *process)
{
	space__unref(process->space);
	ring__free(&process->intervals);
	ring__free(&process->bucket_series);
}

static inline void fix_sample(struct process *process, double t_s, uint64_t rss_bytes)
{
	struct interval interval = {.t_s = t_s, .rss_bytes = rss_bytes};

	process__sample_rss(process, t_s, rss_bytes);
	assert_int_equal(ring__push(&process->intervals, &interval), 0);
}

static inline void fix_count_calls(struct fixture *fix)
{
	struct process *cal = &fix->cal;
	uint64_t series[SIZE_BUCKETS] = {0};

	fix->result.rows[0] = (struct call_row){"malloc", ROW_ALLOC};
	fix->result.rows[1] = (struct call_row){"calloc", ROW_ALLOC};
	fix->result.rows[2] = (struct call_row){"free", ROW_FREE};
	fix->result.rows[3] = (struct call_row){"aligned_alloc|memalign", ROW_ALLOC};
	fix->result.mallocs_counted = true;
	cal->counted = true;
	cal->alloc.calls[0] = 300;
	cal->alloc.calls[1] = 60000;
	cal->alloc.calls[2] = 50000;
	cal->alloc.buckets[5].count = 300;
	cal->alloc.buckets[5].bytes = 300 * 24;
	cal->alloc.buckets[16].count = 60000;
	cal->alloc.buckets[16].bytes = 60000 * 40000ULL;
	series[5] = 10;
	assert_int_equal(ring__push(&cal->bucket_series, series), 0);
	series[5] = 20;
	assert_int_equal(ring__push(&cal->bucket_series, series), 0);
}

static inline void fix_fill_cal(struct fixture *fix)
{
	struct process *cal = fix_process(fix, &fix->cal, 8212, "cal");
	struct origin *arena;

	cal->is_target = true;
	cal->exe = (char *)"/usr/bin/cal";
	for (int i = 0; i <= 10; i++)
		fix_sample(cal, 3.0 * i, (402 + 60 * (uint64_t)i) * FIX_MB);
	cal->at_start = (struct residency){.known = true, .arenas = 300 * FIX_MB};
	cal->at_start.go_heap = 2 * FIX_MB;
	cal->at_end = (struct residency){.known = true, .t_s = 30, .arenas = 850 * FIX_MB};
	cal->at_end.brk = 44 * FIX_MB;
	cal->at_end.go_heap = 2 * FIX_MB;
	cal->mapping = (struct mapping_counts){.mmap_calls = 12,
					       .mmap_bytes = 200 * FIX_MB,
					       .munmap_calls = 2,
					       .munmap_bytes = 72 * FIX_MB,
					       .brk_calls = 4,
					       .brk_delta_bytes = 44 * FIX_MB,
					       .failed_calls = 1};
	arena = fix_map_anonymous(cal, FIX_ARENA, 64 * FIX_MB, PROT_READ | PROT_WRITE);
	arena->stack = FIX_STACK_ARENA;
	arena->arena_signature = true;
	fix_map(cal, FIX_CHUNK, 64 * FIX_MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		FIX_STACK_CHUNK);
	fix->events[0] = (struct arena_event){.t_s = 2.114,
					      .tid = 8219,
					      .address = FIX_ARENA,
					      .stack = FIX_STACK_ARENA,
					      .seen_by_mapping = true};
	cal->arenas.events = fix->events;
	cal->arenas.event_count = 1;
	cal->arenas.created_by_mapping = 1;
	cal->arenas.present = 16;
	cal->arenas.limit = 16;
	strcpy(cal->arenas.limit_source, "8 x 2 online CPUs");
}

static inline void fix_init(struct fixture *fix)
{
	memset(fix, 0, sizeof(*fix));
	fix->go_heap = GO_HEAP_HINTED;
	fix->model.started_ns = FIX_STARTED;
	fix->model.interval_s = 3;
	fix->model.intervals = 120;
	fix_fill_cal(fix);
	fix->facts =
		(struct large_facts){.ctx = fix, .resident = fix_resident, .go_heap = fix_go_heap};
	fix->result.model = &fix->model;
	fix->result.duration_s = 30;
	fix->result.ended_ns = FIX_STARTED + 30000000000ULL;
	fix->result.ended_by = "after 30 s";
	strcpy(fix->result.host.kernel, "6.1.0-25-amd64");
	fix->result.host.cpus_online = 2;
	fix->result.host.page_bytes = 4096;
	fix->result.namer = (struct stack_namer){.name = fix_name};
	fix->result.mmap_weights = &fix->mmap_weights;
	fix->result.alloc_weights = &fix->alloc_weights;
	fix->result.overhead = (struct trace_overhead){.hit_ns = 310,
						       .hits = 110300,
						       .stack_ns = 420,
						       .frame_ns = 41.5,
						       .stacks = 60000,
						       .frames = 900000,
						       .covered = 1,
						       .cost_share = 0.029,
						       .budget = 0.05,
						       .detached_at_s = -1};
	fix_count_calls(fix);
}

static inline void fix_build(struct fixture *fix)
{
	static const uint64_t sizes[] = LARGE_SIZES_DEFAULT;

	assert_int_equal(trace_result__build(&fix->result, sizes, 2, &fix->facts), 0);
}

static inline void fix_free(struct fixture *fix)
{
	trace_result__free(&fix->result);
	stack_weights__free(&fix->mmap_weights);
	stack_weights__free(&fix->alloc_weights);
	HASH_CLEAR(hh, fix->model.running);
	fix_free_process(&fix->cal);
}

/* What a writer printed; freed by the caller. */
#define FIX_CAPTURE(text, call)                                     \
	do {                                                        \
		size_t capture_size;                                \
		FILE *out = open_memstream(&(text), &capture_size); \
                                                                    \
		assert_non_null(out);                               \
		assert_int_equal((call), 0);                        \
		assert_int_equal(fclose(out), 0);                   \
	} while (0)

#endif
