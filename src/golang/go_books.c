// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_books.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "base/clock.h"

/* A reading takes some microseconds and what it can fall between some nanoseconds: ten at most were
 * needed in processes that do nothing but allocate. */
#define TRIES_MAX 500

/* heapStats is a ring of so many deltas (mstats.go, consistentHeapStats). */
#define DELTAS 3

#define CONTROLLER_FIRST GO_GC_PERCENT
#define CONTROLLER_LAST  GO_TRIGGERED
#define STATS_FIRST      GO_STACKS_SYS
#define STATS_LAST       GO_NUM_GC
#define DELTA_FIRST      GO_COMMITTED
#define DELTA_LAST       GO_IN_PTR_SCALAR_BITS
#define DELTA_FIELDS     (DELTA_LAST - DELTA_FIRST + 1)

#define WORDS_MAX (CONTROLLER_LAST + STATS_LAST + DELTAS * DELTA_FIELDS)

/* What one system call reads: its words, and where each belongs. */
struct reading {
	size_t n;
	uint64_t addrs[WORDS_MAX];
	uint64_t words[WORDS_MAX];
	uint8_t valid[WORDS_MAX];
	enum go_field fields[WORDS_MAX];
};

static void add_word(struct reading *reading, uint64_t base, uint32_t offset, enum go_field field)
{
	if (offset == GO_ABSENT)
		return;
	reading->fields[reading->n] = field;
	reading->addrs[reading->n++] = base + offset;
}

static void plan(const struct go_program *program, struct reading *reading)
{
	const uint32_t *at = program->layout.at;

	reading->n = 0;
	for (enum go_field f = CONTROLLER_FIRST; f <= CONTROLLER_LAST; f++)
		add_word(reading, program->at[GO_CONTROLLER], at[f], f);
	for (enum go_field f = STATS_FIRST; f <= STATS_LAST; f++)
		add_word(reading, program->at[GO_MEMSTATS], at[f], f);
	for (int i = 0; i < DELTAS; i++) {
		uint64_t base = program->at[GO_MEMSTATS] + at[GO_HEAP_STATS] +
				(uint64_t)i * at[GO_DELTA_BYTES];

		for (enum go_field f = DELTA_FIRST; f <= DELTA_LAST; f++)
			add_word(reading, base, at[f], f);
	}
}

static void sum_up(const struct reading *reading, struct go_books *books)
{
	uint64_t sums[GO_FIELD_COUNT] = {0};

	for (size_t i = 0; i < reading->n; i++)
		sums[reading->fields[i]] += reading->words[i];
	*books = (struct go_books){
		.gc_percent = (int32_t)sums[GO_GC_PERCENT],
		.memory_limit = (int64_t)sums[GO_MEMORY_LIMIT],
		.heap_minimum = sums[GO_HEAP_MINIMUM],
		.heap_marked = sums[GO_HEAP_MARKED],
		.heap_in_use = sums[GO_HEAP_IN_USE],
		.heap_released = sums[GO_HEAP_RELEASED],
		.heap_free = sums[GO_HEAP_FREE],
		.total_alloc = sums[GO_TOTAL_ALLOC],
		.total_free = sums[GO_TOTAL_FREE],
		.mapped_ready = sums[GO_MAPPED_READY],
		.percent_goal = sums[GO_PERCENT_GOAL],
		.sweep_trigger = sums[GO_SWEEP_TRIGGER],
		.triggered = sums[GO_TRIGGERED],
		.num_gc = (uint32_t)sums[GO_NUM_GC],
		.committed = (int64_t)sums[GO_COMMITTED],
		.released = (int64_t)sums[GO_RELEASED],
		.in_heap = (int64_t)sums[GO_IN_HEAP],
		.in_stacks = (int64_t)sums[GO_IN_STACKS],
		.in_work_bufs = (int64_t)sums[GO_IN_WORK_BUFS],
		.in_ptr_scalar_bits = (int64_t)sums[GO_IN_PTR_SCALAR_BITS],
	};
	for (enum go_field f = GO_STACKS_SYS; f <= GO_OTHER_SYS; f++)
		books->other_sys += sums[f];
}

/* No figure is larger than an address space, so that sums of them cannot overflow either. */
static bool are_possible(const struct go_books *books)
{
	const uint64_t figures[] = {
		books->heap_in_use,
		books->heap_released,
		books->heap_free,
		books->mapped_ready,
		books->other_sys,
		books->heap_marked,
		(uint64_t)books->in_stacks,
		(uint64_t)books->in_work_bufs,
		(uint64_t)books->in_ptr_scalar_bits,
		(uint64_t)books->committed,
		books->total_alloc - books->total_free,
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		if (figures[i] >= SPACE_ADDRESS_MAX)
			return false;
	}
	/* What was marked, or is allocated, lies in memory that is in use. */
	if (books->heap_marked > books->mapped_ready ||
	    books->total_alloc - books->total_free > books->mapped_ready)
		return false;
	/* debug.SetGCPercent makes every negative number -1; SetMemoryLimit takes none. */
	return books->gc_percent >= -1 && books->memory_limit >= 0 && books->mapped_ready;
}

/* mgcpacer.go, setGCPercent: it follows from GOGC, with the overflow of "off". What tells that
 * fields which no other figure depends on lie where they are thought to. */
static bool heap_minimum_fits(const struct go_books *books)
{
	return books->heap_minimum == (4ull << 20) * (uint64_t)books->gc_percent / 100;
}

uint64_t go_books__sys(const struct go_books *books)
{
	return books->heap_in_use + books->heap_free + books->heap_released + books->other_sys +
	       (uint64_t)(books->in_stacks + books->in_work_bufs + books->in_ptr_scalar_bits);
}

/* The runtime throws where one of them does not hold. */
static bool hold_invariants(struct go_books *books)
{
	uint64_t retained = (uint64_t)(books->committed - books->in_stacks - books->in_work_bufs -
				       books->in_ptr_scalar_bits);

	if (!are_possible(books))
		return false;
	books->invariants.done = true;
	books->invariants.found = go_books__sys(books) - books->heap_released;
	books->invariants.expected = books->mapped_ready;
	books->invariants.ok = books->heap_in_use == (uint64_t)books->in_heap &&
			       books->heap_released == (uint64_t)books->released &&
			       books->heap_in_use + books->heap_free == retained &&
			       books->invariants.found == books->invariants.expected;
	return books->invariants.ok;
}

int go_books__read(const struct go_program *program, struct memory *memory, struct go_books *books)
{
	struct reading reading;

	plan(program, &reading);
	for (int i = 0; i < TRIES_MAX; i++) {
		int err = memory__gather(memory, reading.addrs, reading.n, sizeof(uint64_t),
					 reading.words, reading.valid);

		if (err)
			return err;
		if (memchr(reading.valid, 0, reading.n))
			return -ENODATA;
		sum_up(&reading, books);
		if (hold_invariants(books) && (!program->by_version || heap_minimum_fits(books)))
			return 0;
	}
	return -EAGAIN;
}

/* mgcpacer.go, memoryLimitHeapGoal: what the limit leaves to the heap. Until 1.20 a fixed headroom
 * is kept, then 3 % of it (mgcpacer.go, memoryLimitHeapGoalHeadroomPercent). */
static uint64_t limit_goal(const struct go_books *books, unsigned int minor)
{
	const uint64_t headroom_min = 1 << 20;
	uint64_t limit = (uint64_t)books->memory_limit, goal, headroom = headroom_min;
	uint64_t alloc = books->total_alloc - books->total_free, other;

	if (books->heap_free + alloc > books->mapped_ready)
		return books->heap_marked;
	other = books->mapped_ready - books->heap_free - alloc;
	if (books->mapped_ready > limit)
		other += books->mapped_ready - limit;
	if (other >= limit)
		return books->heap_marked;
	goal = limit - other;
	if (minor >= 21)
		headroom = MAX(goal / 100 * 3, headroom_min);
	goal = goal < 2 * headroom ? headroom : goal - headroom;
	return MAX(goal, books->heap_marked);
}

/* mgcpacer.go, heapGoalInternal */
uint64_t go_books__heap_goal(const struct go_books *books, unsigned int minor)
{
	const uint64_t runway_min = 64 << 10;
	uint64_t goal = books->percent_goal, of_limit = limit_goal(books, minor);

	if (of_limit < goal)
		return of_limit;
	goal = MAX(goal, books->sweep_trigger);
	if (books->triggered != UINT64_MAX && goal < books->triggered + runway_min)
		goal = books->triggered + runway_min;
	return goal;
}
