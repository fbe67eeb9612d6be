// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/model.h"
#include "model/space.h"

#define MB   (1ull << 20)
#define PAGE SPACE_PAGE_BYTES
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define BASE 0x7f0000000000ull

/* xorshift64: the same sequence on every run. */
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

static int map_at(struct space *space, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags)
{
	struct map_request request = {
		.time_ns = 1000,
		.addr = addr,
		.len = len,
		.tid = 7,
		.prot = prot,
		.map_flags = flags,
		.stack = 3,
	};

	return space__map(space, &request);
}

/* Every sum and address recomputed from the pieces. */
static void check_sums(const struct space *space)
{
	const struct mapping *piece, *other, *before = NULL;
	uint64_t bytes = 0, count = 0;

	space__for_each (piece, space) {
		uint64_t live = 0, committed = 0, lowest = UINT64_MAX;
		uint32_t pieces = 0;

		assert_true(piece->start < piece->end);
		assert_true(piece->start % PAGE == 0 && piece->end % PAGE == 0);
		if (before) {
			assert_true(before->end <= piece->start);
			assert_false(before->end == piece->start &&
				     before->origin == piece->origin &&
				     before->prot == piece->prot);
		}
		before = piece;
		bytes += piece->end - piece->start;
		count++;
		space__for_each (other, space) {
			if (other->origin != piece->origin)
				continue;
			pieces++;
			live += other->end - other->start;
			if ((other->prot & RW) == RW)
				committed += other->end - other->start;
			if (other->start < lowest)
				lowest = other->start;
		}
		assert_int_equal(piece->origin->live_bytes, live);
		assert_int_equal(piece->origin->committed_bytes, committed);
		assert_int_equal(piece->origin->address, lowest);
		assert_int_equal(piece->origin->pieces, pieces);
		assert_null(piece->origin->twin);
	}
	assert_int_equal(space->mapped_bytes, bytes);
	assert_int_equal(space->mapping_count, count);
}

/*
 * The oracle: one cell for each page, with its protection and the tag of the request that it comes
 * from (file_offset carries the tag into the model).
 */
#define CELLS 96

struct cell {
	bool mapped;
	uint32_t prot;
	uint64_t tag;
};

struct oracle {
	struct cell cells[CELLS];
	uint64_t next_tag;
};

static void check_cells(const struct space *space, const struct oracle *oracle)
{
	for (int i = 0; i < CELLS; i++) {
		uint64_t addr = BASE + i * PAGE;
		const struct mapping *piece = space__find(space, addr);
		bool mapped = piece && piece->start <= addr;

		assert_int_equal(mapped, oracle->cells[i].mapped);
		if (!mapped)
			continue;
		assert_int_equal(piece->prot, oracle->cells[i].prot);
		assert_int_equal(piece->origin->file_offset, oracle->cells[i].tag);
	}
}

static uint32_t random_prot(void)
{
	static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC};

	return prots[random_below(4)];
}

/* What MAP_FIXED over this range does by the rule of space__map. */
static bool oracle_commits(const struct oracle *oracle, const bool *reserved, int at, int n)
{
	bool several = false, all_reserved = true;

	for (int i = at; i < at + n; i++) {
		if (!oracle->cells[i].mapped)
			return false;
		several |= oracle->cells[i].tag != oracle->cells[at].tag;
		all_reserved &= reserved[oracle->cells[i].tag];
	}
	return !several || all_reserved;
}

#define TAGS 20000
static bool tag_reserved[TAGS];

static void do_map(struct space *space, struct oracle *oracle, int at, int n)
{
	uint32_t prot = random_prot();
	bool fixed = random_below(2);
	bool commits = fixed && oracle_commits(oracle, tag_reserved, at, n);
	uint64_t tag = oracle->next_tag++;
	struct map_request request = {
		.addr = BASE + at * PAGE,
		.len = n * PAGE - random_below(PAGE),
		.file_offset = tag,
		.prot = prot,
		.map_flags = ANON | (fixed ? MAP_FIXED : 0),
		.stack = -1,
	};

	tag_reserved[tag] = prot == PROT_NONE;
	assert_int_equal(space__map(space, &request), 0);
	for (int i = at; i < at + n; i++)
		oracle->cells[i] = (struct cell){true, prot, commits ? oracle->cells[i].tag : tag};
}

static void do_unmap(struct space *space, struct oracle *oracle, int at, int n)
{
	uint64_t expected = 0;
	bool whole;

	for (int i = at; i < at + n; i++) {
		expected += oracle->cells[i].mapped;
		oracle->cells[i] = (struct cell){0};
	}
	assert_int_equal(
		space__unmap(space, BASE + at * PAGE, n * PAGE - random_below(PAGE), &whole),
		expected * PAGE);
	assert_int_equal(whole, expected == (uint64_t)n);
}

static void do_protect(struct space *space, struct oracle *oracle, int at, int n)
{
	uint32_t prot = random_prot();
	uint64_t before = space->contradictions;
	bool whole = true;

	for (int i = at; i < at + n; i++) {
		whole &= oracle->cells[i].mapped;
		if (oracle->cells[i].mapped)
			oracle->cells[i].prot = prot;
	}
	assert_int_equal(space__protect(space, BASE + at * PAGE, n * PAGE, prot), 0);
	assert_int_equal(space->contradictions - before, !whole);
}

static void do_move(struct space *space, struct oracle *oracle, int at, int n)
{
	int to = random_below(CELLS), len = 1 + random_below(CELLS - to);
	struct moved_range *moved = space__take(space, BASE + at * PAGE, n * PAGE);
	struct cell old[CELLS];

	assert_non_null(moved);
	memcpy(old, oracle->cells + at, n * sizeof(*old));
	for (int i = at; i < at + n; i++)
		oracle->cells[i] = (struct cell){0};
	check_cells(space, oracle);
	if (random_below(3) == 0) {
		assert_int_equal(space__put_back(space, moved), 0);
		memcpy(oracle->cells + at, old, n * sizeof(*old));
		return;
	}
	if (!moved_range__bytes(moved)) {
		moved_range__free(moved);
		return;
	}
	assert_int_equal(space__place(space, moved, BASE + to * PAGE, len * PAGE), 0);
	for (int i = 0; i < len; i++)
		oracle->cells[to + i] = i < n ? old[i] : old[n - 1];
}

static void random_operations_match_the_oracle(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct space *space = space__new(), *copy;
		struct oracle oracle = {.next_tag = 1};

		random_state = seed * 0x9e3779b97f4a7c15ull;
		for (int step = 0; step < 3000; step++) {
			int at = random_below(CELLS);
			int n = 1 + random_below(random_below(4) ? 6 : CELLS);

			if (n > CELLS - at)
				n = CELLS - at;
			switch (random_below(7)) {
			case 0:
			case 1:
				do_map(space, &oracle, at, n);
				break;
			case 2:
			case 3:
				do_unmap(space, &oracle, at, n);
				break;
			case 4:
			case 5:
				do_protect(space, &oracle, at, n);
				break;
			default:
				do_move(space, &oracle, at, n);
			}
			check_cells(space, &oracle);
			if (step % 8 == 0)
				check_sums(space);
		}
		copy = space__copy(space);
		check_cells(copy, &oracle);
		check_sums(copy);
		space__unref(space);
		check_cells(copy, &oracle);
		space__unref(copy);
	}
}

static void adjacent_requests_stay_apart(void **state)
{
	struct space *space = space__new();
	struct mapping *first, *second;

	assert_int_equal(map_at(space, BASE, 64 * MB, RW, ANON), 0);
	assert_int_equal(map_at(space, BASE + 64 * MB, 64 * MB, RW, ANON), 0);
	first = space__find(space, BASE);
	second = space__next(first);
	assert_int_equal(first->end, second->start);
	assert_ptr_not_equal(first->origin, second->origin);
	assert_int_equal(first->origin->live_bytes, 64 * MB);
	assert_int_equal(first->origin->stack, 3);
	space__unref(space);
}

static void a_commit_inside_a_reservation_keeps_it(void **state)
{
	struct space *space = space__new();
	struct origin *first, *second;

	assert_int_equal(map_at(space, BASE, 64 * MB, PROT_NONE, ANON), 0);
	assert_int_equal(map_at(space, BASE + 64 * MB, 64 * MB, PROT_NONE, ANON), 0);
	first = space__find(space, BASE)->origin;
	second = space__find(space, BASE + 64 * MB)->origin;
	assert_int_equal(map_at(space, BASE, 4 * MB, RW, ANON | MAP_FIXED), 0);
	assert_int_equal(first->committed_bytes, 4 * MB);
	/* Across the border of two reservations. */
	assert_int_equal(map_at(space, BASE + 60 * MB, 8 * MB, RW, ANON | MAP_FIXED), 0);
	assert_int_equal(first->live_bytes, 64 * MB);
	assert_int_equal(first->committed_bytes, 8 * MB);
	assert_int_equal(second->live_bytes, 64 * MB);
	assert_int_equal(second->committed_bytes, 4 * MB);
	/* And back. */
	assert_int_equal(map_at(space, BASE, 64 * MB, PROT_NONE, ANON | MAP_FIXED), 0);
	assert_int_equal(first->committed_bytes, 0);
	assert_ptr_equal(space__find(space, BASE)->origin, first);
	assert_int_equal(space->contradictions, 0);
	/* Shared memory or a file is no commit. */
	assert_int_equal(map_at(space, BASE, 4 * MB, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED),
			 0);
	assert_int_equal(first->live_bytes, 60 * MB);
	assert_int_equal(first->address, BASE + 4 * MB);
	assert_int_equal(map_at(space, BASE + 8 * MB, 4 * MB, RW, MAP_PRIVATE | MAP_FIXED), 0);
	assert_int_equal(first->live_bytes, 56 * MB);
	/* Nor what reaches beyond. */
	assert_int_equal(map_at(space, BASE + 127 * MB, 2 * MB, RW, ANON | MAP_FIXED), 0);
	assert_int_equal(second->live_bytes, 63 * MB);
	check_sums(space);
	space__unref(space);
}

static void noreplace_replaces_nothing(void **state)
{
	struct space *space = space__new();

	assert_int_equal(map_at(space, BASE, 4 * MB, RW, ANON), 0);
	/* It succeeded: so what the model has there is wrong, and it is no commit. */
	assert_int_equal(map_at(space, BASE, 1 * MB, RW, ANON | MAP_FIXED | MAP_FIXED_NOREPLACE),
			 0);
	assert_int_equal(space->contradictions, 1);
	assert_int_equal(space__find(space, BASE)->end, BASE + 1 * MB);
	space__unref(space);
}

static void lengths_are_rounded_as_the_kernel_does(void **state)
{
	struct space *space = space__new();

	assert_int_equal(map_at(space, BASE, 1, RW, ANON), 0);
	assert_int_equal(space->mapped_bytes, PAGE);
	assert_int_equal(map_at(space, BASE + 2 * MB, 1, RW, ANON | MAP_HUGETLB), 0);
	assert_int_equal(space->mapped_bytes, PAGE + 2 * MB);
	assert_int_equal(map_at(space, 1ull << 40, 1, RW, ANON | MAP_HUGETLB | 30 << 26), 0);
	assert_int_equal(space->mapped_bytes, PAGE + 2 * MB + (1ull << 30));
	assert_int_equal(map_at(space, BASE, 0, RW, ANON), -EINVAL);
	assert_int_equal(map_at(space, BASE + 1, PAGE, RW, ANON), -EINVAL);
	assert_int_equal(map_at(space, BASE, UINT64_MAX, RW, ANON), -EINVAL);
	assert_int_equal(map_at(space, UINT64_MAX - PAGE + 1, 2 * PAGE, RW, ANON), -EINVAL);
	assert_int_equal(map_at(space, BASE, PAGE, RW, ANON | MAP_HUGETLB | 63u << 26), -EINVAL);
	assert_int_equal(space__unmap(space, BASE + 1, PAGE, NULL), 0);
	assert_int_equal(space__unmap(space, BASE, 0, NULL), 0);
	assert_int_equal(space__unmap(space, BASE, UINT64_MAX, NULL), 0);
	assert_null(space__take(space, BASE, UINT64_MAX - 10));
	assert_int_equal(space__protect(space, BASE, UINT64_MAX, RW), -EINVAL);
	assert_int_equal(space__unmap(space, BASE, 1, NULL), PAGE);
	check_sums(space);
	space__unref(space);
}

static void the_brk_area_is_one_origin(void **state)
{
	struct space *space = space__new();
	struct origin *heap;

	space->brk_start = BASE;
	space->brk_end = BASE;
	assert_int_equal(space__set_brk(space, BASE + 100, 50, 9), 0);
	heap = space->heap;
	assert_true(heap->is_heap);
	assert_int_equal(heap->live_bytes, PAGE);
	assert_int_equal(space__set_brk(space, BASE + 10 * PAGE, 60, 9), 0);
	assert_int_equal(heap->live_bytes, 10 * PAGE);
	assert_int_equal(heap->created_bytes, 10 * PAGE);
	assert_int_equal(space->mapping_count, 1);
	assert_int_equal(space__protect(space, BASE + PAGE, PAGE, PROT_NONE), 0);
	/* What was mapped over it goes with it. */
	assert_int_equal(map_at(space, BASE + 8 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_FIXED), 0);
	assert_int_equal(space__set_brk(space, BASE + 5 * PAGE, 70, 9), 0);
	assert_int_equal(heap->live_bytes, 5 * PAGE);
	assert_int_equal(space->mapped_bytes, 5 * PAGE);
	assert_int_equal(space__set_brk(space, BASE, 80, 9), 0);
	assert_null(space->heap);
	assert_int_equal(space->mapping_count, 0);
	assert_int_equal(space__set_brk(space, UINT64_MAX - 5, 80, 9), -EINVAL);
	assert_int_equal(space__set_brk(space, BASE + PAGE, 90, 9), 0);
	assert_non_null(space->heap);
	check_sums(space);
	space__unref(space);
}

static void an_mremap_takes_its_origin_along(void **state)
{
	struct space *space = space__new();
	struct moved_range *moved;
	struct origin *origin;

	assert_int_equal(map_at(space, BASE, 4 * PAGE, RW, ANON), 0);
	origin = space__find(space, BASE)->origin;
	moved = space__take(space, BASE, 4 * PAGE);
	assert_true(moved_range__covers(moved, UINT64_MAX));
	assert_int_equal(space->mapped_bytes, 0);
	assert_int_equal(space__place(space, moved, BASE + 64 * PAGE, 6 * PAGE), 0);
	assert_ptr_equal(space__find(space, BASE)->origin, origin);
	assert_int_equal(origin->address, BASE + 64 * PAGE);
	assert_int_equal(origin->live_bytes, 6 * PAGE);
	/* A part of it moves below: two pieces of one origin. */
	moved = space__take(space, BASE + 66 * PAGE, 2 * PAGE);
	assert_int_equal(space__place(space, moved, BASE, 2 * PAGE), 0);
	assert_int_equal(origin->pieces, 3);
	assert_int_equal(origin->address, BASE);
	assert_int_equal(space__unmap(space, BASE, 2 * PAGE, NULL), 2 * PAGE);
	assert_int_equal(origin->address, BASE + 64 * PAGE);
	/* Nothing known of what moved, and nothing of where it went. */
	moved = space__take(space, BASE, PAGE);
	assert_int_equal(space__place(space, moved, BASE + 8 * PAGE, PAGE), -ENOENT);
	/* But right when /proc has shown it already. */
	moved = space__take(space, BASE, PAGE);
	assert_int_equal(space__place(space, moved, BASE + 64 * PAGE, PAGE), 0);
	assert_int_equal(space->contradictions, 0);
	check_sums(space);
	space__unref(space);
}

static void what_is_put_back_fills_only_what_is_free(void **state)
{
	struct space *space = space__new();
	struct moved_range *moved;
	struct origin *old;

	assert_int_equal(map_at(space, BASE, 8 * PAGE, RW, ANON), 0);
	old = space__find(space, BASE)->origin;
	moved = space__take(space, BASE, 8 * PAGE);
	assert_int_equal(map_at(space, BASE + 2 * PAGE, PAGE, PROT_READ, ANON), 0);
	assert_int_equal(space__put_back(space, moved), 0);
	assert_int_equal(old->live_bytes, 7 * PAGE);
	assert_int_equal(old->pieces, 2);
	assert_int_equal(space__find(space, BASE + 2 * PAGE)->prot, PROT_READ);
	check_sums(space);
	space__unref(space);
}

static void a_full_space_keeps_its_ranges_right(void **state)
{
	struct space *space = space__new();

	for (uint64_t i = 0; i < SPACE_MAPPINGS_MAX; i++)
		assert_int_equal(map_at(space, BASE + i * PAGE, PAGE, RW, ANON), 0);
	assert_int_equal(map_at(space, BASE + SPACE_MAPPINGS_MAX * PAGE, PAGE, RW, ANON), -ENOSPC);
	assert_int_equal(space->mapping_count, SPACE_MAPPINGS_MAX);
	assert_int_equal(space->mapped_bytes, (SPACE_MAPPINGS_MAX + 1) * PAGE);
	assert_true(space__covers(space, BASE, (SPACE_MAPPINGS_MAX + 1) * PAGE));
	space__unref(space);
}

static struct maps_entry line(uint64_t start, uint64_t end, uint32_t prot, char *path)
{
	return (struct maps_entry){
		.start = start,
		.end = end,
		.prot = prot,
		.inode = path[0] == '/' ? 12 : 0,
		.path = path,
	};
}

#define LINES(entries) (entries), sizeof(entries) / sizeof(*(entries))

static void a_first_reading_is_older_than_the_trace(void **state)
{
	struct maps_entry entries[] = {
		line(BASE, BASE + PAGE, PROT_READ | PROT_EXEC, "/bin/x"),
		line(BASE + PAGE, BASE + 2 * PAGE, RW, ""),
		line(BASE + 2 * PAGE, BASE + 4 * PAGE, RW, "[heap]"),
		line(BASE + 6 * PAGE, BASE + 7 * PAGE, RW, "[stack]"),
		line(BASE + 8 * PAGE, BASE + 9 * PAGE, PROT_READ, "[vvar]"),
		line(BASE + 9 * PAGE, BASE + 10 * PAGE, PROT_READ | PROT_EXEC, "[vdso]"),
		line(BASE + 10 * PAGE, BASE + 11 * PAGE, PROT_EXEC, "[uprobes]"),
		line(0xffffffffff600000ull, 0xffffffffff601000ull, PROT_EXEC, "[vsyscall]"),
	};
	struct space *space = space__new();
	struct origin *file, *heap;

	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0), 4);
	assert_true(space->seeded);
	assert_int_equal(space->mapped_bytes, 5 * PAGE);
	file = space__find(space, BASE)->origin;
	assert_true(file->before_trace);
	assert_int_equal(file->created_ns, 0);
	assert_string_equal(file->path, "/bin/x");
	assert_int_equal(file->map_flags, MAP_PRIVATE);
	heap = space__find(space, BASE + 2 * PAGE)->origin;
	assert_true(heap->is_heap);
	assert_ptr_equal(space->heap, heap);
	assert_int_equal(space->brk_start, BASE + 2 * PAGE);
	assert_int_equal(space->brk_end, BASE + 4 * PAGE);
	assert_int_equal(space__compare(space, LINES(entries), NULL, NULL), 0);
	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0), 0);
	check_sums(space);
	space__unref(space);
}

static void a_reread_keeps_what_is_known(void **state)
{
	struct space *space = space__new();
	/* The kernel has merged the two, has grown the stack, and knows of one more. */
	struct maps_entry entries[] = {
		line(BASE, BASE + 8 * PAGE, RW, ""),
		line(BASE + 9 * PAGE, BASE + 10 * PAGE, PROT_READ, ""),
		line(BASE + 20 * PAGE, BASE + 24 * PAGE, RW, "[stack]"),
		line(BASE + 30 * PAGE, BASE + 31 * PAGE, PROT_READ, "/lib/y"),
	};
	struct maps_entry stack[] = {line(BASE + 22 * PAGE, BASE + 24 * PAGE, RW, "[stack]")};
	struct origin *first, *second;

	assert_int_equal(space__reconcile(space, LINES(stack), 0, UINT64_MAX, NULL, 0), 1);
	space->read_ns = 77;
	assert_int_equal(map_at(space, BASE, 4 * PAGE, RW, ANON), 0);
	assert_int_equal(map_at(space, BASE + 4 * PAGE, 4 * PAGE, RW, ANON), 0);
	/* A file that was mapped during the trace: its name comes with the reading. */
	assert_int_equal(map_at(space, BASE + 30 * PAGE, PAGE, PROT_READ, MAP_PRIVATE), 0);
	/* Gone in truth. */
	assert_int_equal(map_at(space, BASE + 15 * PAGE, PAGE, RW, ANON), 0);
	first = space__find(space, BASE)->origin;
	second = space__find(space, BASE + 4 * PAGE)->origin;
	assert_int_equal(space__compare(space, LINES(entries), NULL, NULL), 2);
	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0), 2);
	assert_ptr_equal(space__find(space, BASE)->origin, first);
	assert_ptr_equal(space__find(space, BASE + 4 * PAGE)->origin, second);
	assert_int_equal(first->live_bytes, 4 * PAGE);
	assert_false(first->before_trace);
	assert_true(space__find(space, BASE + 9 * PAGE)->origin->found_late);
	assert_false(space__find(space, BASE + 9 * PAGE)->origin->before_trace);
	assert_int_equal(space__find(space, BASE + 9 * PAGE)->origin->created_ns, 77);
	assert_int_equal(space__find(space, BASE + 20 * PAGE)->origin->live_bytes, 4 * PAGE);
	assert_string_equal(space__find(space, BASE + 30 * PAGE)->origin->path, "/lib/y");
	assert_int_equal(space__compare(space, LINES(entries), NULL, NULL), 0);
	check_sums(space);
	space__unref(space);
}

static void exceptions_are_left_as_the_events_have_them(void **state)
{
	struct space *space = space__new();
	struct maps_entry entries[] = {line(BASE, BASE + 16 * PAGE, RW, "")};
	struct address_range except[] = {
		{BASE + 8 * PAGE, BASE + 10 * PAGE},
		{BASE - PAGE, BASE + 2 * PAGE},
		{BASE + 9 * PAGE, BASE + 11 * PAGE},
	};

	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, except, 3), 2);
	assert_int_equal(space->mapped_bytes, 11 * PAGE);
	assert_false(space__covers(space, BASE, PAGE));
	assert_true(space__covers(space, BASE + 2 * PAGE, 6 * PAGE));
	assert_false(space__covers(space, BASE + 10 * PAGE, PAGE));
	/* A reading of a part leaves the rest. */
	assert_int_equal(
		space__reconcile(space, entries, 0, BASE + 4 * PAGE, BASE + 6 * PAGE, NULL, 0), 1);
	assert_int_equal(space->mapped_bytes, 9 * PAGE);
	check_sums(space);
	space__unref(space);
}

static void reservations_are_told_apart_when_first_seen(void **state)
{
	uint64_t base = 0x7f4000000000ull;
	/* Two heaps side by side, something else merged in front of the first, and a Go arena. */
	struct maps_entry entries[] = {
		line(0xc000000000ull, 0xc000400000ull, RW, ""),
		line(0xc000400000ull, 0xc004000000ull, PROT_NONE, ""),
		line(base - 3 * MB, base + 5 * MB, RW, ""),
		line(base + 5 * MB, base + 64 * MB, PROT_NONE, ""),
		line(base + 64 * MB, base + 65 * MB, RW, ""),
		line(base + 65 * MB, base + 130 * MB, PROT_NONE, ""),
	};
	struct space *space = space__new();
	struct origin *origin;

	assert_true(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0) > 0);
	origin = space__find(space, 0xc000000000ull)->origin;
	assert_int_equal(origin->live_bytes, 64 * MB);
	assert_int_equal(origin->created_bytes, 64 * MB);
	assert_int_equal(origin->committed_bytes, 4 * MB);
	origin = space__find(space, base)->origin;
	assert_int_equal(origin->address, base);
	assert_int_equal(origin->live_bytes, 64 * MB);
	assert_int_equal(origin->committed_bytes, 5 * MB);
	assert_true(origin->before_trace);
	assert_int_equal(space__find(space, base - MB)->origin->live_bytes, 3 * MB);
	origin = space__find(space, base + 64 * MB)->origin;
	assert_int_equal(origin->live_bytes, 64 * MB);
	assert_int_equal(space__find(space, base + 129 * MB)->origin->live_bytes, 2 * MB);
	assert_int_equal(space__compare(space, LINES(entries), NULL, NULL), 0);
	assert_int_equal(space__carve(space, base, base + 1), -EINVAL);
	assert_int_equal(space__carve(space, base - 4 * MB, base), -EINVAL);
	check_sums(space);
	space__unref(space);
}

static void a_bss_that_is_called_heap_is_none(void **state)
{
	struct maps_entry entries[] = {line(BASE, BASE + 8 * PAGE, RW, "[heap]")};
	struct space *space = space__new();

	space->brk_start = BASE + 3 * PAGE;
	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0), 1);
	assert_false(space__find(space, BASE)->origin->is_heap);
	assert_int_equal(space->heap->address, BASE + 3 * PAGE);
	assert_int_equal(space->heap->live_bytes, 5 * PAGE);
	check_sums(space);
	space__unref(space);
}

static void a_space_made_by_an_exec_is_not_older_than_the_trace(void **state)
{
	struct maps_entry entries[] = {line(BASE, BASE + PAGE, RW, "/bin/x")};
	struct space *space = space__new();

	space->born_ns = 5000;
	assert_int_equal(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0), 1);
	assert_false(space__find(space, BASE)->origin->before_trace);
	assert_int_equal(space__find(space, BASE)->origin->created_ns, 5000);
	space__unref(space);
}

static void hostile_lines_do_no_harm(void **state)
{
	struct maps_entry entries[] = {
		line(BASE + 4 * PAGE, BASE + 2 * PAGE, RW, ""),
		line(0, UINT64_MAX, RW, ""),
		line(BASE + 1, BASE + PAGE, RW, ""),
		line(BASE, BASE + 2 * PAGE, RW, ""),
		line(BASE, BASE + 3 * PAGE, PROT_READ, ""),
		line(BASE, BASE + PAGE, RW, "[heap]"),
	};
	struct space *space = space__new();

	assert_true(space__reconcile(space, LINES(entries), 0, UINT64_MAX, NULL, 0) >= 0);
	assert_int_equal(space->mapped_bytes, 3 * PAGE);
	check_sums(space);
	space__unref(space);
}

static void a_copy_is_independent(void **state)
{
	struct space *space = space__new(), *copy;

	space->brk_start = space->brk_end = BASE + 100 * PAGE;
	assert_int_equal(space__set_brk(space, BASE + 101 * PAGE, 1, 1), 0);
	assert_int_equal(map_at(space, BASE, 8 * PAGE, RW, ANON), 0);
	assert_int_equal(space__protect(space, BASE + PAGE, PAGE, PROT_NONE), 0);
	copy = space__copy(space);
	assert_int_equal(copy->mapped_bytes, space->mapped_bytes);
	assert_int_equal(space__find(copy, BASE)->origin->id, space__find(space, BASE)->origin->id);
	assert_ptr_not_equal(copy->heap, space->heap);
	assert_true(copy->heap->is_heap);
	assert_int_equal(space__unmap(copy, BASE, 8 * PAGE, NULL), 8 * PAGE);
	assert_int_equal(space->mapped_bytes, 9 * PAGE);
	check_sums(space);
	check_sums(copy);
	space__unref(space);
	assert_int_equal(space__set_brk(copy, BASE + 102 * PAGE, 1, 1), 0);
	assert_int_equal(copy->mapped_bytes, 2 * PAGE);
	space__unref(copy);
}

static void a_trimmed_space_keeps_its_sums(void **state)
{
	struct space *space = space__new();

	assert_int_equal(map_at(space, BASE, 64 * MB, RW, ANON), 0);
	assert_int_equal(map_at(space, BASE + 64 * MB, PAGE, RW, ANON), 0);
	assert_int_equal(map_at(space, BASE + 65 * MB, 3 * PAGE, RW, ANON), 0);
	assert_int_equal(space__protect(space, BASE + 65 * MB + PAGE, PAGE, PROT_NONE), 0);
	space__trim(space, MB);
	assert_int_equal(space->mapped_bytes, 64 * MB + 4 * PAGE);
	assert_int_equal(space->mapping_count, 5);
	assert_null(space__next(space__find(space, 0)));
	space__unref(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_match_the_oracle),
		cmocka_unit_test(adjacent_requests_stay_apart),
		cmocka_unit_test(a_commit_inside_a_reservation_keeps_it),
		cmocka_unit_test(noreplace_replaces_nothing),
		cmocka_unit_test(lengths_are_rounded_as_the_kernel_does),
		cmocka_unit_test(the_brk_area_is_one_origin),
		cmocka_unit_test(an_mremap_takes_its_origin_along),
		cmocka_unit_test(what_is_put_back_fills_only_what_is_free),
		cmocka_unit_test(a_full_space_keeps_its_ranges_right),
		cmocka_unit_test(a_first_reading_is_older_than_the_trace),
		cmocka_unit_test(a_reread_keeps_what_is_known),
		cmocka_unit_test(exceptions_are_left_as_the_events_have_them),
		cmocka_unit_test(reservations_are_told_apart_when_first_seen),
		cmocka_unit_test(a_bss_that_is_called_heap_is_none),
		cmocka_unit_test(a_space_made_by_an_exec_is_not_older_than_the_trace),
		cmocka_unit_test(hostile_lines_do_no_harm),
		cmocka_unit_test(a_copy_is_independent),
		cmocka_unit_test(a_trimmed_space_keeps_its_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
