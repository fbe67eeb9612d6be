// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include "trace_fixture.h"

#define GO_HINT 0x00c000000000ULL

static const uint64_t sizes[] = LARGE_SIZES_DEFAULT;

static void the_sentence_names_what_holds_the_growth(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[256];

	fix_init(&fix);
	growth__measure(&fix.cal, &growth);
	assert_true(growth.moved_known && growth.rss_known);
	assert_int_equal(growth.rss_bytes, 600 * FIX_MB);
	assert_int_equal(growth.moved[GROWTH_ARENAS], 550 * FIX_MB);
	assert_int_equal(growth.moved[GROWTH_UNKNOWN], 6 * FIX_MB);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_string_equal(text, "Malloc arenas hold the growth: +550.0 MB of +600.0 MB; +44.0 MB "
				  "in the brk heap. The Go heap does not: 0 B.");
	growth__sentence(&growth, false, text, sizeof(text));
	assert_string_equal(text, "Malloc arenas hold the growth: +550.0 MB of +600.0 MB; +44.0 MB "
				  "in the brk heap.");
	/* What does not fit is cut, and ends. */
	growth__sentence(&growth, false, text, 8);
	assert_string_equal(text, "Malloc ");
	fix_free(&fix);
}

static void what_no_part_explains_is_unknown(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[256];

	fix_init(&fix);
	fix.cal.at_end.arenas = fix.cal.at_start.arenas;
	growth__measure(&fix.cal, &growth);
	growth__sentence(&growth, false, text, sizeof(text));
	assert_string_equal(text, "Unknown memory holds the growth: +556.0 MB of +600.0 MB; "
				  "+44.0 MB in the brk heap.");
	fix_free(&fix);
}

static void without_a_first_reading_nothing_is_said_to_have_moved(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[256];

	fix_init(&fix);
	fix.cal.at_start.known = false;
	growth__measure(&fix.cal, &growth);
	assert_false(growth.moved_known);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_string_equal(text, "At the end 850.0 MB in malloc arenas, 106.0 MB in unknown memory"
				  "; the Go heap had 2,048.0 kB. What it had before is unknown.");
	fix.cal.at_end.known = false;
	growth__measure(&fix.cal, &growth);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_string_equal(text,
			    "Which part of its memory moved is unknown: it could not be read.");
	fix_free(&fix);
}

static void a_sample_after_the_reading_is_not_blamed_on_a_part(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[384];

	fix_init(&fix);
	fix.cal.at_end.t_s = 29;
	fix_sample(&fix.cal, 30, 2002 * FIX_MB);
	growth__measure(&fix.cal, &growth);
	assert_true(growth.is_partial);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_string_equal(text,
			    "Malloc arenas hold the growth: +550.0 MB of +594.0 MB; +44.0 MB "
			    "in the brk heap. The Go heap does not: 0 B. That is from 0.000 s "
			    "to 29.0 s of the trace; RSS moved by +1,600.0 MB in all.");
	/* A sample of the same moment leaves nothing to be said. */
	fix.cal.at_end.t_s = 30;
	growth__measure(&fix.cal, &growth);
	assert_false(growth.is_partial);
	growth__sentence(&growth, false, text, sizeof(text));
	assert_non_null(
		strstr(text, "Unknown memory holds the growth: +1,006.0 MB of +1,600.0 MB"));
	fix_free(&fix);
}

static void a_process_first_read_when_it_had_grown_began_with_nothing(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[384];

	fix_init(&fix);
	/* Its only reading is the last: taken alone, nothing would have moved. */
	fix.cal.at_start = fix.cal.at_end;
	fix.cal.rss_first.rss_bytes = FIX_MB;
	growth__measure(&fix.cal, &growth);
	assert_true(growth.moved_known);
	assert_int_equal(growth.moved[GROWTH_ARENAS], 850 * FIX_MB);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_non_null(strstr(text, "Malloc arenas hold the growth: +850.0 MB of +1,001.0 MB"));

	/* One that had something then is only known at that one time. */
	fix.cal.rss_first.rss_bytes = 402 * FIX_MB;
	growth__measure(&fix.cal, &growth);
	assert_false(growth.moved_known);
	growth__sentence(&growth, false, text, sizeof(text));
	assert_string_equal(text, "At the end 850.0 MB in malloc arenas, 106.0 MB in unknown memory"
				  ". What it had before is unknown.");

	/* Two readings inside the run say what moved between them. */
	fix.cal.at_start.t_s = 10;
	fix.cal.at_start.arenas = 400 * FIX_MB;
	growth__measure(&fix.cal, &growth);
	growth__sentence(&growth, false, text, sizeof(text));
	assert_string_equal(text, "Malloc arenas hold the growth: +450.0 MB of +450.0 MB. That is "
				  "from 10.0 s to 30.0 s of the trace; RSS moved by +600.0 MB in "
				  "all.");
	fix_free(&fix);
}

static void a_process_that_stood_still_says_so(void **state)
{
	struct fixture fix;
	struct growth growth;
	char text[256];

	fix_init(&fix);
	fix.cal.at_end = fix.cal.at_start;
	fix.cal.rss_last = fix.cal.rss_first;
	growth__measure(&fix.cal, &growth);
	growth__sentence(&growth, true, text, sizeof(text));
	assert_string_equal(text, "No part of its memory moved by 1 MB or more.");
	fix_free(&fix);
}

/* Large mappings of a process without any of the fixture's. */
struct chosen {
	struct fixture fix;
	struct large_mapping *mappings;
	size_t count;
};

static void empty_init(struct chosen *chosen)
{
	fix_init(&chosen->fix);
	space__unref(chosen->fix.cal.space);
	chosen->fix.cal.space = space__new();
	chosen->mappings = NULL;
}

static void choose(struct chosen *chosen)
{
	const struct large_options options = {.sizes = sizes,
					      .size_count = 2,
					      .now_ns = chosen->fix.result.ended_ns,
					      .started_ns = FIX_STARTED};

	free(chosen->mappings);
	assert_int_equal(large__choose(&chosen->fix.cal, &options, &chosen->fix.facts,
				       &chosen->fix.result.namer, &chosen->mappings,
				       &chosen->count),
			 0);
}

static void empty_free(struct chosen *chosen)
{
	free(chosen->mappings);
	fix_free(&chosen->fix);
}

static void only_multiples_of_the_sizes_are_large(void **state)
{
	struct chosen chosen;
	struct process *cal = &chosen.fix.cal;

	empty_init(&chosen);
	fix_map_anonymous(cal, 0x7e0000000000, 63 * FIX_MB, PROT_READ | PROT_WRITE);
	fix_map_anonymous(cal, 0x7e1000000000, 96 * FIX_MB, PROT_READ | PROT_WRITE);
	fix_map_anonymous(cal, 0x7e2000000000, 192 * FIX_MB, PROT_READ | PROT_WRITE);
	choose(&chosen);
	assert_int_equal(chosen.count, 1);
	assert_int_equal(chosen.mappings[0].address, 0x7e2000000000);
	assert_int_equal(chosen.mappings[0].kind, LARGE_ANONYMOUS);
	assert_int_equal(chosen.mappings[0].resident_bytes, 96 * FIX_MB);
	assert_int_equal(chosen.mappings[0].tid, 8219);
	assert_true(fabs(chosen.mappings[0].age_s - 28) < 1e-6);
	assert_false(chosen.mappings[0].before_attach);
	empty_free(&chosen);
}

static void a_trimmed_reservation_is_one_mapping_of_what_is_left(void **state)
{
	const uint64_t reserved = 0x7e0003000000, base = 0x7e0004000000;
	struct chosen chosen;
	struct process *cal = &chosen.fix.cal;
	struct origin *origin;

	empty_init(&chosen);
	origin = fix_map_anonymous(cal, reserved, 128 * FIX_MB, PROT_NONE);
	space__unmap(cal->space, reserved, base - reserved, NULL);
	space__unmap(cal->space, base + 64 * FIX_MB, reserved + 64 * FIX_MB - base, NULL);
	space__protect(cal->space, base, 132 * 1024, PROT_READ | PROT_WRITE);
	origin->arena_signature = true;
	choose(&chosen);
	assert_int_equal(chosen.count, 1);
	assert_int_equal(chosen.mappings[0].address, base);
	assert_int_equal(chosen.mappings[0].reserved_bytes, 64 * FIX_MB);
	assert_int_equal(chosen.mappings[0].committed_bytes, 132 * 1024);
	assert_int_equal(chosen.mappings[0].kind, LARGE_GLIBC_ARENA);
	empty_free(&chosen);
}

static void residency_that_is_unknown_is_not_zero(void **state)
{
	struct chosen chosen;

	empty_init(&chosen);
	fix_map_anonymous(&chosen.fix.cal, FIX_CHUNK, 64 * FIX_MB, PROT_READ | PROT_WRITE);
	chosen.fix.resident_unknown = true;
	choose(&chosen);
	assert_int_equal(chosen.mappings[0].resident_bytes, -1);
	chosen.fix.facts.resident = NULL;
	choose(&chosen);
	assert_int_equal(chosen.mappings[0].resident_bytes, -1);
	empty_free(&chosen);
}

static void kinds_follow_the_evidence(void **state)
{
	const uint32_t plain = MAP_PRIVATE | MAP_ANONYMOUS, rw = PROT_READ | PROT_WRITE;
	struct chosen chosen;
	struct process *cal = &chosen.fix.cal;
	enum large_kind expected[] = {LARGE_GO_ARENA,  LARGE_MIMALLOC, LARGE_FASTCACHE,
				      LARGE_ANONYMOUS, LARGE_FILE,     LARGE_THREAD_STACK,
				      LARGE_GO_RUNTIME};

	empty_init(&chosen);
	fix_map(cal, GO_HINT, 64 * FIX_MB, rw, plain, STACK_NONE)->hinted = true;
	fix_map(cal, 5ULL << 40, 64 * FIX_MB, rw, plain, STACK_NONE)->hinted = true;
	fix_map(cal, 0x7d0000000000, 64 * FIX_MB, rw, plain, FIX_STACK_CHUNK);
	/* In Go's range by the kernel's choice: no evidence. */
	fix_map(cal, 0x7dc000000000, 64 * FIX_MB, rw, plain, STACK_NONE);
	fix_map(cal, 0x7e2000000000, 64 * FIX_MB, rw, MAP_PRIVATE, STACK_NONE);
	fix_map(cal, 0x7e3000000000, 64 * FIX_MB, rw, plain | MAP_STACK, STACK_NONE);
	fix_map(cal, 0x7e4000000000, 64 * FIX_MB, PROT_NONE, plain, STACK_NONE)->first_prot =
		PROT_NONE;
	choose(&chosen);
	assert_int_equal(chosen.count, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(chosen.mappings[i].kind, expected[i]);
	/* In a program that is not Go's neither its heap nor its tables are. */
	chosen.fix.go_heap = GO_HEAP_NONE;
	choose(&chosen);
	assert_int_equal(chosen.mappings[0].kind, LARGE_ANONYMOUS);
	assert_int_equal(chosen.mappings[6].kind, LARGE_ANONYMOUS);
	empty_free(&chosen);
}

static int peek_chunk(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		      size_t n)
{
	memset(words, 0, n * sizeof(*words));
	words[1] = 64 * FIX_MB | 2;
	return 0;
}

static void a_chunk_that_malloc_mapped_is_told_by_its_header(void **state)
{
	struct chosen chosen;

	empty_init(&chosen);
	fix_map_anonymous(&chosen.fix.cal, 0x7e0000001000, 64 * FIX_MB, PROT_READ | PROT_WRITE);
	fix_map_anonymous(&chosen.fix.cal, 0x7e1000001000, 128 * FIX_MB, PROT_READ | PROT_WRITE);
	chosen.fix.facts.peek = peek_chunk;
	choose(&chosen);
	assert_int_equal(chosen.count, 2);
	assert_int_equal(chosen.mappings[0].kind, LARGE_MALLOC_CHUNK);
	assert_int_equal(chosen.mappings[1].kind, LARGE_ANONYMOUS);
	empty_free(&chosen);
}

/* Heaps at two of the aligned addresses, as struct heap_info. */
static int peek_heaps(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		      size_t n)
{
	memset(words, 0, n * sizeof(*words));
	if (addr != 0x7e0004000000 && addr != 0x7e000c000000)
		return 0;
	words[0] = addr + 0x30;
	words[2] = words[3] = 64 * FIX_MB;
	return 0;
}

static void old_heaps_that_maps_shows_merged_are_told_apart(void **state)
{
	struct chosen chosen;
	struct process *cal = &chosen.fix.cal;

	empty_init(&chosen);
	/* Two heaps with 64 MiB of something else between them, one line of /proc/PID/maps. */
	fix_map_anonymous(cal, 0x7e0004000000, 192 * FIX_MB, PROT_READ | PROT_WRITE)->before_trace =
		true;
	chosen.fix.facts.peek = peek_heaps;
	choose(&chosen);
	assert_int_equal(chosen.count, 3);
	assert_int_equal(chosen.mappings[0].kind, LARGE_GLIBC_ARENA);
	assert_int_equal(chosen.mappings[1].kind, LARGE_ANONYMOUS);
	assert_int_equal(chosen.mappings[1].reserved_bytes, 64 * FIX_MB);
	assert_int_equal(chosen.mappings[2].kind, LARGE_GLIBC_ARENA);
	assert_true(chosen.mappings[2].before_attach);
	assert_int_equal(chosen.mappings[2].tid, 8219);
	empty_free(&chosen);
}

static int peek_nothing(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
			size_t n)
{
	return -ENODATA;
}

static void an_old_heap_that_maps_shows_cut_is_put_together(void **state)
{
	const uint64_t base = 0x7e0004000000;
	struct chosen chosen;
	struct process *cal = &chosen.fix.cal;

	empty_init(&chosen);
	fix_map_anonymous(cal, base, 10 * FIX_MB, PROT_READ | PROT_WRITE)->before_trace = true;
	fix_map_anonymous(cal, base + 10 * FIX_MB, 54 * FIX_MB, PROT_NONE)->before_trace = true;
	/* Its memory cannot be read: its layout tells. */
	choose(&chosen);
	assert_int_equal(chosen.count, 1);
	assert_int_equal(chosen.mappings[0].kind, LARGE_GLIBC_ARENA);
	assert_int_equal(chosen.mappings[0].reserved_bytes, 64 * FIX_MB);
	assert_int_equal(chosen.mappings[0].committed_bytes, 10 * FIX_MB);
	/* It can be read and is no heap. */
	chosen.fix.facts.peek = peek_chunk;
	choose(&chosen);
	assert_int_equal(chosen.count, 0);
	/* Its first page was never touched: Go's summaries are laid out like that. */
	chosen.fix.facts.peek = peek_nothing;
	choose(&chosen);
	assert_int_equal(chosen.count, 0);
	empty_free(&chosen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sentence_names_what_holds_the_growth),
		cmocka_unit_test(what_no_part_explains_is_unknown),
		cmocka_unit_test(without_a_first_reading_nothing_is_said_to_have_moved),
		cmocka_unit_test(a_sample_after_the_reading_is_not_blamed_on_a_part),
		cmocka_unit_test(a_process_first_read_when_it_had_grown_began_with_nothing),
		cmocka_unit_test(a_process_that_stood_still_says_so),
		cmocka_unit_test(only_multiples_of_the_sizes_are_large),
		cmocka_unit_test(a_trimmed_reservation_is_one_mapping_of_what_is_left),
		cmocka_unit_test(residency_that_is_unknown_is_not_zero),
		cmocka_unit_test(kinds_follow_the_evidence),
		cmocka_unit_test(a_chunk_that_malloc_mapped_is_told_by_its_header),
		cmocka_unit_test(old_heaps_that_maps_shows_merged_are_told_apart),
		cmocka_unit_test(an_old_heap_that_maps_shows_cut_is_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
