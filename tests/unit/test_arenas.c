// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "records.h"

#define PID     7
#define HEAP    ARENA_HEAP_BYTES
#define AREA    0x7f4000000000ull
#define RESERVE (ANON | MAP_NORESERVE)

struct trace {
	struct model model;
	struct process *process;
	uint64_t now_ns;
	int first_heap; /* what read_heap answers */
	struct maps_entry *lines;
	size_t line_count;
};

static int read_maps(void *ctx, uint32_t pid, uint64_t ticks, struct maps_entry **entries,
		     size_t *n)
{
	struct trace *trace = ctx;

	*entries = calloc(trace->line_count + 1, sizeof(**entries));
	*n = trace->line_count + 1;
	for (size_t i = 0; i < trace->line_count; i++) {
		(*entries)[i] = trace->lines[i];
		(*entries)[i].path = strdup(trace->lines[i].path);
	}
	(*entries)[trace->line_count] = (struct maps_entry){.start = 0x7ffd00000000,
							    .end = 0x7ffd00021000,
							    .prot = RW,
							    .path = strdup("[stack]")};
	return 0;
}

static int read_heap(void *ctx, uint32_t pid, uint64_t base)
{
	return ((struct trace *)ctx)->first_heap;
}

static uint64_t now_ns(void *ctx)
{
	return ((struct trace *)ctx)->now_ns;
}

static void start(struct trace *trace, struct maps_entry *lines, size_t n)
{
	struct model_reader reader = {
		.ctx = trace, .read_maps = read_maps, .read_heap = read_heap, .now_ns = now_ns};

	*trace = (struct trace){
		.now_ns = 1000000, .first_heap = -EAGAIN, .lines = lines, .line_count = n};
	assert_int_equal(model__init(&trace->model, &reader, 0, 1, 4), 0);
	trace->process = model__add(&trace->model, PID, START_NS, "x", 1);
	assert_non_null(trace->process);
}

static void mmap_(struct trace *trace, uint32_t tid, uint64_t hint, uint64_t addr, uint64_t len,
		  uint32_t prot, uint32_t flags, int32_t stack)
{
	struct rec_mapping rec = mapping(REC_MMAP, PID, tid, trace->now_ns, trace->now_ns + 5);

	trace->now_ns += 10;
	rec.addr = hint;
	rec.len = len;
	rec.prot = prot;
	rec.map_flags = flags;
	rec.result = (int64_t)addr;
	rec.stack = stack;
	feed(&trace->model, &rec);
}

static void munmap_(struct trace *trace, uint32_t tid, uint64_t addr, uint64_t len)
{
	struct rec_mapping rec = mapping(REC_MUNMAP, PID, tid, trace->now_ns, trace->now_ns + 1);

	trace->now_ns += 10;
	rec.addr = addr;
	rec.len = len;
	feed(&trace->model, &rec);
}

static void mprotect_(struct trace *trace, uint32_t tid, uint64_t addr, uint64_t len)
{
	struct rec_mapping rec = mapping(REC_MPROTECT, PID, tid, trace->now_ns, trace->now_ns + 5);

	trace->now_ns += 10;
	rec.addr = addr;
	rec.len = len;
	rec.prot = RW;
	feed(&trace->model, &rec);
}

static void arena_(struct trace *trace, uint32_t type, uint32_t tid, uint64_t enter_ns,
		   uint64_t address, int32_t stack)
{
	struct rec_arena rec = {
		.hdr = header(type, PID, tid, ++trace->now_ns),
		.enter_ns = enter_ns,
		.address = address,
		.stack = stack,
	};

	model__handle(&trace->model, &rec.hdr, sizeof(rec));
}

/* glibc's new_heap at `base`, out of 128 MiB that begin `below` under it. */
static void new_heap(struct trace *trace, uint32_t tid, uint64_t base, uint64_t below)
{
	mmap_(trace, tid, 0, base - below, 2 * HEAP, PROT_NONE, RESERVE, 5);
	if (below)
		munmap_(trace, tid, base - below, below);
	munmap_(trace, tid, base + HEAP, HEAP - below);
	mprotect_(trace, tid, base, 132 * 1024);
}

static void end(struct trace *trace)
{
	assert_int_equal(trace->model.losses[LOSS_bad_records], 0);
	assert_false(trace->process->needs_reread);
	model__free(&trace->model);
}

static void the_signature_is_recognised_in_its_three_forms(void **state)
{
	struct trace trace;
	struct arenas *arenas;
	struct origin *origin;

	start(&trace, NULL, 0);
	arenas = &trace.process->arenas;
	assert_int_equal(arenas->present, -1);
	new_heap(&trace, 8, AREA, 10 * MB);
	assert_int_equal(arenas->created_by_mapping, 1);
	assert_int_equal(arenas->events[0].address, AREA);
	assert_int_equal(arenas->events[0].tid, 8);
	assert_int_equal(arenas->events[0].stack, 5);
	assert_true(arenas->events[0].t_s > 0.001);
	origin = space__find(trace.process->space, AREA)->origin;
	assert_true(origin->arena_signature);
	assert_int_equal(origin->live_bytes, HEAP);
	assert_int_equal(origin->created_bytes, 2 * HEAP);
	assert_int_equal(origin->committed_bytes, 132 * 1024);
	/* It came out aligned: one munmap, and the rest is the hint of the next. */
	new_heap(&trace, 9, AREA + 4 * HEAP, 0);
	assert_int_equal(arenas->created_by_mapping, 2);
	mmap_(&trace, 10, AREA + 5 * HEAP, AREA + 5 * HEAP, HEAP, PROT_NONE, RESERVE, 6);
	mprotect_(&trace, 10, AREA + 5 * HEAP, 132 * 1024);
	assert_int_equal(arenas->created_by_mapping, 3);
	/* Growing is no creation. */
	mprotect_(&trace, 10, AREA + 5 * HEAP + 132 * 1024, 64 * 1024);
	assert_int_equal(arenas->created_by_mapping, 3);
	assert_int_equal(arenas->undecided_count, 0);
	assert_int_equal(arenas__source(arenas), ARENA_FROM_MAPPING);
	assert_int_equal(arenas__created(arenas), 3);
	assert_true(arenas__sources_agree(arenas));
	end(&trace);
}

static void threads_interleave(void **state)
{
	struct trace trace;

	start(&trace, NULL, 0);
	mmap_(&trace, 8, 0, AREA - MB, 2 * HEAP, PROT_NONE, RESERVE, 1);
	mmap_(&trace, 9, 0, AREA + 4 * HEAP - MB, 2 * HEAP, PROT_NONE, RESERVE, 2);
	munmap_(&trace, 9, AREA + 4 * HEAP - MB, MB);
	munmap_(&trace, 8, AREA - MB, MB);
	munmap_(&trace, 8, AREA + HEAP, HEAP - MB);
	mprotect_(&trace, 8, AREA, 132 * 1024);
	munmap_(&trace, 9, AREA + 5 * HEAP, HEAP - MB);
	mprotect_(&trace, 9, AREA + 4 * HEAP, 132 * 1024);
	assert_int_equal(trace.process->arenas.created_by_mapping, 2);
	assert_int_equal(trace.process->arenas.events[0].tid, 8);
	assert_int_equal(trace.process->arenas.events[1].tid, 9);
	end(&trace);
}

static void what_only_looks_similar_is_none(void **state)
{
	struct trace trace;

	start(&trace, NULL, 0);
	/* Go: no MAP_NORESERVE, and committed by MAP_FIXED. */
	mmap_(&trace, 8, 0xc000000000, 0xc000000000, HEAP, PROT_NONE, ANON, 1);
	mprotect_(&trace, 8, 0xc000000000, 4 * MB);
	/* fastcache: readable and writable at once. */
	mmap_(&trace, 8, 0, AREA, HEAP, RW, ANON, 1);
	mprotect_(&trace, 8, AREA, HEAP);
	/* Another thread commits; not from its base; not aligned; another size. */
	mmap_(&trace, 8, 0, AREA + 2 * HEAP, HEAP, PROT_NONE, RESERVE, 1);
	mprotect_(&trace, 9, AREA + 2 * HEAP, MB);
	mmap_(&trace, 8, 0, AREA + 4 * HEAP, HEAP, PROT_NONE, RESERVE, 1);
	mprotect_(&trace, 8, AREA + 4 * HEAP + MB, MB);
	mmap_(&trace, 8, 0, AREA + 6 * HEAP + MB, HEAP, PROT_NONE, RESERVE, 1);
	mprotect_(&trace, 8, AREA + 6 * HEAP + MB, MB);
	mmap_(&trace, 8, 0, AREA + 8 * HEAP, 2 * HEAP, PROT_NONE, RESERVE, 1);
	mprotect_(&trace, 8, AREA + 8 * HEAP, MB);
	assert_int_equal(trace.process->arenas.created_by_mapping, 0);
	assert_int_equal(trace.process->arenas.undecided_count, 0);
	end(&trace);
}

static void a_further_heap_needs_a_full_one(void **state)
{
	struct trace trace;
	struct arenas *arenas;

	start(&trace, NULL, 0);
	arenas = &trace.process->arenas;
	new_heap(&trace, 8, AREA, MB);
	/* The first heap is full: now it may be either. */
	mprotect_(&trace, 8, AREA + 132 * 1024, HEAP - 132 * 1024);
	new_heap(&trace, 8, AREA + 4 * HEAP, MB);
	assert_int_equal(arenas->created_by_mapping, 1);
	assert_int_equal(arenas->undecided_count, 1);
	assert_int_equal(arenas->event_count, 1);
	assert_int_equal(arenas__created(arenas), 1);
	/* Its memory tells, once it can be read. */
	trace.process->needs_reread = false;
	assert_true(arenas__decide(arenas, AREA + 4 * HEAP, false));
	assert_int_equal(arenas->heaps, 1);
	assert_int_equal(arenas->undecided_count, 0);
	assert_false(arenas__decide(arenas, AREA + 4 * HEAP, false));
	new_heap(&trace, 9, AREA + 8 * HEAP, MB);
	new_heap(&trace, 9, AREA + 12 * HEAP, MB);
	assert_int_equal(arenas->undecided_count, 2);
	assert_true(arenas__decide(arenas, AREA + 8 * HEAP + 0x30, true));
	assert_int_equal(arenas->created_by_mapping, 2);
	assert_int_equal(arenas->event_count, 2);
	assert_int_equal(arenas->events[1].address, AREA + 8 * HEAP);
	end(&trace);
}

static void memory_is_asked_at_each_reading(void **state)
{
	struct maps_entry lines[] = {
		/* A heap of before the trace, full as far as anyone can tell. */
		{.start = AREA, .end = AREA + HEAP, .prot = RW, .path = ""},
	};
	struct trace trace;

	start(&trace, lines, 1);
	new_heap(&trace, 8, AREA + 4 * HEAP, MB);
	assert_int_equal(trace.process->arenas.undecided_count, 1);
	model__heal(&trace.model, true);
	assert_int_equal(trace.process->arenas.undecided_count, 1);
	trace.first_heap = 1;
	model__heal(&trace.model, true);
	assert_int_equal(trace.process->arenas.undecided_count, 0);
	assert_int_equal(trace.process->arenas.created_by_mapping, 1);
	end(&trace);
}

static void arena_get2_tells_creation_from_reuse(void **state)
{
	struct trace trace;
	struct arenas *arenas;
	uint64_t enter_ns;

	start(&trace, NULL, 0);
	arenas = &trace.process->arenas;
	arenas->symbol_probed = true;
	enter_ns = trace.now_ns;
	new_heap(&trace, 8, AREA, MB);
	arena_(&trace, REC_ARENA_GET, 8, enter_ns, AREA + 0x30, 42);
	assert_int_equal(arenas->created_by_symbol, 1);
	assert_int_equal(arenas->event_count, 1);
	assert_true(arenas->events[0].seen_by_mapping);
	assert_true(arenas->events[0].seen_by_symbol);
	assert_int_equal(arenas->events[0].stack, 42);
	assert_true(arenas__sources_agree(arenas));
	/* Another thread gets the same; the same thread later; the main arena; none. */
	arena_(&trace, REC_ARENA_GET, 9, trace.now_ns, AREA + 0x30, 43);
	arena_(&trace, REC_ARENA_GET, 8, trace.now_ns, AREA + 0x30, 43);
	arena_(&trace, REC_ARENA_GET, 8, trace.now_ns, 0x7ffd00000100, 43);
	arena_(&trace, REC_ARENA_GET, 8, trace.now_ns, 0, 43);
	/* In memory that nobody saw being mapped. */
	arena_(&trace, REC_ARENA_GET, 8, trace.now_ns, 0x100000, 43);
	assert_int_equal(arenas->created_by_symbol, 1);
	assert_int_equal(arenas->get_calls, 5);
	assert_int_equal(arenas->reused, 3);
	assert_int_equal(arenas->unclear, 1);
	assert_int_equal(arenas__source(arenas), ARENA_FROM_SYMBOL);
	assert_int_equal(arenas__created(arenas), 1);
	/* A creation that the symbol's probe did not see. */
	new_heap(&trace, 8, AREA + 4 * HEAP, MB);
	assert_false(arenas__sources_agree(arenas));
	/* From before it was attached it need not have. */
	arenas->symbol_from_s = 10;
	assert_true(arenas__sources_agree(arenas));
	end(&trace);
}

static void a_probe_decides_what_the_mapping_cannot(void **state)
{
	struct trace trace;
	struct arenas *arenas;
	uint64_t enter_ns;

	start(&trace, NULL, 0);
	arenas = &trace.process->arenas;
	arenas->symbol_probed = true;
	enter_ns = trace.now_ns;
	new_heap(&trace, 8, AREA, MB);
	arena_(&trace, REC_ARENA_GET, 8, enter_ns, AREA + 0x30, 1);
	mprotect_(&trace, 8, AREA + 132 * 1024, HEAP - 132 * 1024);
	enter_ns = trace.now_ns;
	new_heap(&trace, 9, AREA + 4 * HEAP, MB);
	assert_int_equal(arenas->undecided_count, 1);
	arena_(&trace, REC_ARENA_GET, 9, enter_ns, AREA + 4 * HEAP + 0x30, 2);
	assert_int_equal(arenas->undecided_count, 0);
	assert_int_equal(arenas->created_by_mapping, 2);
	assert_int_equal(arenas->created_by_symbol, 2);
	assert_int_equal(arenas->event_count, 2);
	assert_true(arenas__sources_agree(arenas));
	end(&trace);
}

static void usdt_notes_are_merged_too(void **state)
{
	struct trace trace;
	struct arenas *arenas;
	uint64_t enter_ns;

	start(&trace, NULL, 0);
	arenas = &trace.process->arenas;
	arenas->usdt_probed = true;
	arenas->symbol_probed = true;
	enter_ns = trace.now_ns;
	new_heap(&trace, 8, AREA, MB);
	arena_(&trace, REC_HEAP_NEW, 8, 0, AREA, STACK_NONE);
	arena_(&trace, REC_ARENA_NEW, 8, 0, AREA + 0x20, 77);
	arena_(&trace, REC_ARENA_GET, 8, enter_ns, AREA + 0x20, 42);
	assert_int_equal(arenas->event_count, 1);
	assert_int_equal(arenas->events[0].stack, 77);
	assert_int_equal(arenas->usdt_heaps, 1);
	assert_int_equal(arenas__source(arenas), ARENA_FROM_USDT);
	assert_int_equal(arenas__created(arenas), 1);
	assert_true(arenas__sources_agree(arenas));
	end(&trace);
}

static void an_address_may_come_back(void **state)
{
	struct trace trace;

	start(&trace, NULL, 0);
	new_heap(&trace, 8, AREA, MB);
	munmap_(&trace, 8, AREA, HEAP);
	new_heap(&trace, 8, AREA, MB);
	assert_int_equal(trace.process->arenas.event_count, 2);
	assert_int_equal(trace.process->arenas.created_by_mapping, 2);
	end(&trace);
}

static void a_new_program_has_no_arenas_yet(void **state)
{
	struct trace trace;

	start(&trace, NULL, 0);
	trace.process->arenas.symbol_probed = true;
	new_heap(&trace, 8, AREA, MB);
	feed_process(&trace.model, REC_EXEC, 0, PID, PID, trace.now_ns, 0, "new");
	assert_int_equal(trace.process->arenas.event_count, 0);
	assert_int_equal(trace.process->arenas.created_by_mapping, 0);
	assert_false(trace.process->arenas.symbol_probed);
	assert_int_equal(trace.process->arenas.limit, -1);
	end(&trace);
}

/* Two CPUs' records come in the order in which the ring was entered, not in that of their time. */
static void events_are_in_the_order_of_their_time(void **state)
{
	const double times[] = {2, 5, 3, 1, 4};
	struct arenas arenas;

	arenas__init(&arenas);
	for (uint32_t i = 0; i < 5; i++) {
		struct arena_note note = {.source = ARENA_FROM_SYMBOL,
					  .t_s = times[i],
					  .tid = (uint32_t)times[i],
					  .stack = STACK_NONE,
					  .address = AREA + i * HEAP};

		assert_int_equal(arenas__note(&arenas, &note), 0);
	}
	assert_int_equal(arenas.event_count, 5);
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(arenas.events[i].t_s == i + 1);
		assert_int_equal(arenas.events[i].tid, i + 1);
	}
	arenas__free(&arenas);
}

static void more_events_than_are_kept_are_counted(void **state)
{
	struct arenas arenas;

	arenas__init(&arenas);
	for (uint32_t i = 0; i < ARENA_EVENTS_MAX + 10; i++) {
		struct arena_note note = {
			.source = ARENA_FROM_MAPPING, .stack = STACK_NONE, .address = i * HEAP};

		assert_int_equal(arenas__note(&arenas, &note), 0);
	}
	assert_int_equal(arenas.event_count, ARENA_EVENTS_MAX);
	assert_int_equal(arenas.created_by_mapping, ARENA_EVENTS_MAX + 10);
	arenas__free(&arenas);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_signature_is_recognised_in_its_three_forms),
		cmocka_unit_test(threads_interleave),
		cmocka_unit_test(what_only_looks_similar_is_none),
		cmocka_unit_test(a_further_heap_needs_a_full_one),
		cmocka_unit_test(memory_is_asked_at_each_reading),
		cmocka_unit_test(arena_get2_tells_creation_from_reuse),
		cmocka_unit_test(a_probe_decides_what_the_mapping_cannot),
		cmocka_unit_test(usdt_notes_are_merged_too),
		cmocka_unit_test(an_address_may_come_back),
		cmocka_unit_test(a_new_program_has_no_arenas_yet),
		cmocka_unit_test(events_are_in_the_order_of_their_time),
		cmocka_unit_test(more_events_than_are_kept_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
