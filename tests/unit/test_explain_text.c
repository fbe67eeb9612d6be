// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "explain_expect.h"
#include "explain_fixture.h"

static char *write_text(const struct explain_fixture *fixture, const struct text_options *options)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(explain_text__write(out, &fixture->report, options), 0);
	fclose(out);
	return text;
}

static const struct text_options utf8 = {.utf8 = true};

static void expect_not_in(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" is in:\n%s", part, text);
}

/* The text of lines wrapped anywhere, as one line. */
static char *unwrapped(const char *text)
{
	char *copy = malloc(strlen(text) + 1), *to = copy;

	assert_non_null(copy);
	for (; *text; text++) {
		if (*text == '\n' || *text == ' ') {
			if (to > copy && to[-1] != ' ')
				*to++ = ' ';
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return copy;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void expect_printable(const char *text)
{
	for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++)
		if ((*byte < 0x20 && *byte != '\n') || *byte == 0x7f)
			fail_msg("byte 0x%02x in:\n%s", *byte, text);
}

static void the_first_lines_answer(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	expect_in(text,
		  "cal (pid 8212, Go 1.19.8 with cgo, malloc of glibc 2.35 to 2.41)               "
		  "       RSS 1,016.2 MB\n"
		  "  Memory is held by glibc's arenas: 840.0 MB of it is free.\n"
		  "  What helps\n"
		  "    1. Set MALLOC_ARENA_MAX=2. Saves 500.0 MB to 800.0 MB.\n"
		  "      Evidence: 16 arenas, 840.0 MB free in them. Risk: threads wait for "
		  "each other.\n");
	expect_width(text);
	free(text);
	/* Where one line has no room for all of it there are two. */
	strcpy(fixture.explanation.comm, "\033\033\033\033\033\033\033\033\033");
	text = write_text(&fixture, &utf8);
	expect_in(text, "\\x1b (pid 8212)  RSS 1,016.2 MB\n"
			"  Go 1.19.8 with cgo, malloc of glibc 2.35 to 2.41\n");
	expect_width(text);
	free(text);
}

static void it_fits_one_screen(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	if (count_lines(text) > 52)
		fail_msg("%zu lines", count_lines(text));
	free(text);
}

static void gomemlimit_is_a_sum_line_by_line(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	expect_in(text, "      limit of the container   2,048.0 MB\n"
			"      malloc arenas           -1,048.0 MB\n"
			"      margin                    -400.0 MB\n"
			"      = GOMEMLIMIT               600.0 MB\n");
	expect_in(text, "Saving: it bounds the Go heap, which is small.");
	free(text);
}

static void components_by_resident_bytes(void **state)
{
	struct explain_fixture fixture;
	char *text, *line;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	expect_in(text, "  where                 resident            reserved\n"
			"  malloc arenas (15)    902.0 MB  88.8 %    960.0 MB  "
			"██████████████████████████████\n"
			"  brk heap              110.0 MB  10.8 %    110.0 MB  ███▋\n"
			"  binaries            2,048.0 kB   0.2 %  6,144.0 kB  ▏\n"
			"  Go heap             1,024.0 kB   0.1 %     64.0 MB  ▏\n"
			"  Go runtime          1,024.0 kB   0.1 %     36.0 MB  ▏\n"
			"  thread stacks (8)     200.0 kB   0.0 %     48.0 MB  ▏\n"
			"  unknown                    0 B   0.0 %         0 B\n"
			"                      1,016.2 MB\n");
	line = unwrapped(text);
	expect_in(line, "Checked: the sum of the table = Rss less the vDSO; bytes walked = "
			"system_mem in all arenas; chunks of own mappings = mmapped_mem; Go's heap "
			"in use = the sum over its counters.");
	expect_not_in(line, "Not consistent");
	expect_not_in(line, "swapped");
	free(line);
	free(text);
}

static void what_failed_its_check_is_said(void **state)
{
	struct explain_fixture fixture;
	char *text, *line;

	explain_fixture__fill(&fixture);
	fixture.explanation.ledger.rss.done = false;
	fixture.arenas[3].walked = check_of(60 * MB, 61 * MB);
	fixture.explanation.glibc.unwalked_bytes = MB;
	fixture.explanation.glibc.stood_still = false;
	fixture.explanation.glibc.in_use_error_bytes = 2 * MB;
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(line, "Not consistent: bytes walked 903.0 MB, system_mem 904.0 MB.");
	expect_in(line, "Could not be checked: the sum of the table against Rss less the vDSO.");
	expect_in(line, "64.0 MB ± 2,048.0 kB in use,");
	expect_in(line, "1,024.0 kB of it could not be walked");
	expect_in(line, "It changed while it was read (2 times)");
	free(line);
	expect_in(text,
		  "  0x7f1ecc000030      1        1  61.0 MB  4,096.0 kB  57.0 MB     56.0 MB "
		  "   1,024.0 kB  !\n");
	expect_in(text, "  ! what was walked differs from the arena's own system_mem;");
	free(text);
}

static void glibc_by_arena(void **state)
{
	struct text_options all = {.utf8 = true, .all = true};
	struct explain_fixture fixture;
	char *text, *line;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(line, "16 arenas, limit 512 (8 x 64 online CPUs), quota is 4 CPUs;");
	expect_in(line, "904.0 MB from the system: 64.0 MB in use, 840.0 MB free (caches 64.0 kB, "
			"tops 1,024.0 kB). malloc_trim(0) would return 824.0 MB now. Besides, 3 "
			"chunks of 5,120.0 kB in all have mappings of their own.");
	expect_in(text, "  … 12 more (--all)\n");
	expect_in(text,
		  "  main                1        0  64.0 MB  4,096.0 kB  60.0 MB     59.0 MB "
		  "   1,024.0 kB\n");
	free(line);
	free(text);
	text = write_text(&fixture, &all);
	expect_not_in(text, "more (--all)");
	expect_in(text, "0x7f1efc000030");
	expect_in(text, "  malloc arenas  heap_info headers, ring of arenas\n");
	expect_width(text);
	free(text);
}

static void go_by_size_class(void **state)
{
	struct explain_fixture fixture;
	char *text, *line;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	/* It is 0.1 % of what is resident. */
	expect_in(text, "  Go 1.19.8: heap in use");
	expect_not_in(text, "objects of");
	free(text);
	fixture.explanation.ledger.rows[LEDGER_GO_HEAP].resident_bytes = 100 * MB;
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(line, "Go 1.19.8: heap in use 1,024.0 kB, allocated 768.0 kB, so fragmentation "
			"256.0 kB;");
	expect_in(line,
		  "GOGC 100, GOMEMLIMIT not set; 7 collections. Known from symbols and DWARF.");
	expect_in(line, "objects 1,024.0 kB, goroutine stacks 320.0 kB, idle unknown.");
	expect_in(text, "        64 B     10   80.0 kB    1,000    62.0 kB  18.0 kB  "
			"████████████████████\n");
	free(line);
	free(text);
	fixture.explanation.go.known = false;
	fixture.explanation.go.why_unknown = "it is stripped";
	text = write_text(&fixture, &utf8);
	expect_in(text, "Go 1.19.8: its own figures are unknown: it is stripped.");
	expect_not_in(text, "fragmentation");
	free(text);
}

/* What is unknown is said so, and never 0. */
static void unknown_is_never_zero(void **state)
{
	struct explain_fixture fixture;
	struct explanation *explanation = &fixture.explanation;
	char *text, *line;

	explain_fixture__fill(&fixture);
	explanation->glibc.arena_limit = -1;
	fixture.arenas[0].threads = -1;
	explanation->thp_mode[0] = '\0';
	explanation->has_rollup = explanation->has_status = false;
	explanation->unplaced = 1234;
	explanation->thread_stacks_live = explanation->thread_stacks_cached = 0;
	explanation->thread_stack_bytes = -1;
	explanation->cgroup = (struct cgroup_facts){.limit_bytes = -1};
	explanation->go.gogc_percent = -1;
	explanation->go.heap_alloc_bytes = GO_UNKNOWN;
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(line, "limit unknown");
	expect_in(line, "main 1 unknown");
	expect_in(line, "Swap unknown; huge pages unknown (THP unknown); page tables unknown; PSS "
			"unknown; peak RSS unknown.");
	expect_in(line, "no stack of a thread but the main one was found");
	expect_in(line, "Control group: unknown.");
	expect_in(line, "1,234 ranges of allocators are beyond what is kept on record");
	expect_in(line, "GOGC unknown");
	expect_in(line, "allocated unknown, so fragmentation unknown");
	free(line);
	free(text);
}

static void other_allocators(void **state)
{
	struct explain_fixture fixture;
	struct allocators *allocators = &fixture.explanation.allocators;
	char *text, *line;

	explain_fixture__fill(&fixture);
	fixture.explanation.has_glibc = false;
	fixture.explanation.no_glibc = "mapped, but never used";
	fixture.explanation.has_go = false;
	strcpy(allocators->malloc_owner, "jemalloc");
	allocators->has_jemalloc = true;
	allocators->jemalloc = (struct jemalloc_facts){
		.layout = "5.3",
		.active_bytes = 90 * MB,
		.allocated_bytes = 50 * MB,
		.retained_bytes = 10 * MB,
		.extents = 1234,
		.extents_in_mappings = check_of(100 * MB, 100 * MB),
	};
	allocators->others[0] = (struct allocator_facts){
		.name = "pymalloc", .how = "its pools' headers", .bytes = 60 * MB};
	allocators->other_count = 1;
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(text, "cal (pid 8212, malloc of jemalloc 5.3)  ");
	expect_in(line, "No figures of glibc's malloc: mapped, but never used.");
	expect_in(line, "jemalloc 5.3: active 90.0 MB, of it allocated 50.0 MB and unused 40.0 MB; "
			"dirty 0 B, muzzy 0 B, retained 10.0 MB (address space only); metadata "
			"unknown; 1,234 extents.");
	expect_in(line, "pymalloc: 60.0 MB of address space, in use unknown; told by its pools' "
			"headers.");
	expect_in(line, "jemalloc's extents within mappings = all its extents.");
	free(line);
	free(text);
	/* Inside of a program without symbols. */
	allocators->malloc_owner[0] = '\0';
	text = write_text(&fixture, &utf8);
	expect_in(text, "cal (pid 8212, with jemalloc)  ");
	free(text);
}

static void what_is_beside_the_table(void **state)
{
	struct explain_fixture fixture;
	char *text, *line;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &utf8);
	line = unwrapped(text);
	expect_in(line, "Threads: 7; stacks of 6 hold 180.0 kB resident, 2 kept of ended threads "
			"20.0 kB; most have 8,192.0 kB of address space.");
	expect_in(line,
		  "Swap 0 B; huge pages 0 B (THP madvise); page tables 2,048.0 kB; PSS 1,015.0 MB; "
		  "peak RSS 1,100.0 MB.");
	expect_in(line,
		  "Control group /kubepods/burstable/pod1/0123456789abcdef (v2): usage 1,100.0 "
		  "MB, limit 2,048.0 MB of /kubepods; quota 4 CPUs; container 0123456789ab "
		  "(containerd).");
	expect_in(line, "This read 12.0 MB of its memory, which marks those pages as accessed, in "
			"0.140 s of CPU time and 0.200 s in all.");
	free(line);
	free(text);
}

/* Names are anyone's bytes: no control character leaves, and no line grows past its width. */
static void names_are_made_printable(void **state)
{
	static char long_path[4000], unit[] = "a\033[31m.service";
	struct explain_fixture fixture;
	struct explanation *explanation = &fixture.explanation;
	char *text;

	explain_fixture__fill(&fixture);
	memset(long_path, '\033', sizeof(long_path) - 1);
	strcpy(explanation->comm, "\033[2J\n\t\177x\xff\xfe");
	memset(explanation->comm + 9, '\a', 40);
	explanation->exe = long_path;
	explanation->cgroup.path = long_path;
	explanation->cgroup.limit_path = long_path;
	strcpy(explanation->cgroup.unit, unit);
	strcpy(explanation->go.version, "go1.\033[0m");
	strcpy(explanation->glibc.limit_source, "MALLOC_ARENA_MAX=\033[5m (environment)");
	strcpy(fixture.verdict.text, "a b");
	strcpy(fixture.advice.items[0].text, "do \033[1m this");
	text = write_text(&fixture, &utf8);
	expect_printable(text);
	expect_in(text, "\\x1b[2J\\x0a");
	free(text);
	memset(long_path, 'a', sizeof(long_path) - 1);
	text = write_text(&fixture, &utf8);
	expect_width(text);
	free(text);
}

static void swap_has_a_column_when_there_is_some(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	fixture.explanation.ledger.rows[LEDGER_BRK_HEAP].swapped_bytes = 7 * MB;
	fixture.explanation.ledger.rows[LEDGER_SHMEM].swapped_bytes = 3 * MB;
	text = write_text(&fixture, &utf8);
	expect_in(text, "  where                 resident            reserved     swapped\n");
	expect_in(text, "  brk heap              110.0 MB  10.8 %    110.0 MB  7,168.0 kB  ███▏\n");
	/* All of it swapped out: a row all the same. */
	expect_in(text, "  shared memory              0 B   0.0 %         0 B  3,072.0 kB\n");
	free(text);
}

/* Nothing above 0x7f where the terminal does not show UTF-8; colours only when asked for. */
static void bytes_of_the_terminal(void **state)
{
	struct text_options plain = {0}, colour = {.utf8 = true, .colour = true};
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &plain);
	for (const char *byte = text; *byte; byte++)
		assert_true((unsigned char)*byte < 0x80);
	expect_in(text, "##############################");
	expect_printable(text);
	free(text);
	text = write_text(&fixture, &colour);
	expect_in(text, "\033[1mcal (pid 8212");
	expect_width(text);
	free(text);
}

/* A terminal of 80 columns: bars give way, figures do not. */
static void a_narrow_terminal(void **state)
{
	const struct text_options narrow = {.utf8 = true, .columns = 80};
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	text = write_text(&fixture, &narrow);
	expect_columns(text, 80);
	expect_in(text, "  malloc arenas (15)    902.0 MB  88.8 %    960.0 MB  "
			"██████████████████\n");
	expect_in(text, "  arena ");
	expect_in(text, "  returnable\n");
	expect_not_in(text, "largest free");
	expect_not_in(strstr(text, "  where"), "…\n");
	free(text);
}

static void no_advice_without_evidence(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	fixture.advice = (struct advice_list){0};
	text = write_text(&fixture, &utf8);
	expect_in(text, "No change is advised: there is no evidence for one.");
	expect_not_in(text, "GOMEMLIMIT  ");
	free(text);
}

static void nothing_known_is_no_crash(void **state)
{
	struct explain_fixture fixture;
	char *text;

	explain_fixture__fill(&fixture);
	fixture.explanation = (struct explanation){.pid = 1,
						   .thread_stack_bytes = -1,
						   .glibc.arena_limit = -1,
						   .cgroup.limit_bytes = -1};
	fixture.advice = (struct advice_list){0};
	text = write_text(&fixture, &utf8);
	expect_in(text, "unnamed process (pid 1, whose malloc is unknown)");
	expect_in(text, "  unknown       0 B");
	expect_width(text);
	free(text);
	fixture.explanation.has_glibc = true;
	fixture.explanation.has_go = true;
	free(write_text(&fixture, &utf8));
}

/* Figures that no process has: nothing overflows, and no line grows past its width. */
static void extreme_figures(void **state)
{
	struct explain_fixture fixture;
	struct explanation *explanation = &fixture.explanation;
	char *text;

	explain_fixture__fill(&fixture);
	memset(&explanation->ledger.rows, 0xff, sizeof(explanation->ledger.rows));
	for (int i = 0; i < LEDGER_COMPONENTS; i++)
		explanation->ledger.rows[i].how = NULL;
	for (size_t i = 0; i < FIXTURE_ARENAS; i++) {
		struct glibc_arena *arena = &fixture.arenas[i];

		arena->system_bytes = arena->in_use_bytes = arena->free_bytes = UINT64_MAX;
		arena->trimmable_bytes = arena->largest_free_bytes = UINT64_MAX - i;
		arena->walked = check_of(UINT64_MAX, UINT64_MAX - i);
		arena->threads = INT64_MAX;
		arena->heaps = UINT32_MAX;
	}
	explanation->glibc.arena_limit = INT64_MAX;
	explanation->glibc.in_use_error_bytes = UINT64_MAX;
	explanation->go.heap_inuse_bytes = INT64_MAX;
	explanation->go.heap_alloc_bytes = INT64_MIN;
	explanation->go.num_gc = explanation->go.gogc_percent = INT64_MAX;
	memset(explanation->go.classes, 0xff, sizeof(explanation->go.classes));
	explanation->go.class_count = UINT32_MAX;
	explanation->cgroup.cpu_quota = 1e300;
	explanation->cgroup.limit_bytes = explanation->cgroup.high_bytes = INT64_MAX;
	explanation->swap_bytes = explanation->pss_bytes = UINT64_MAX;
	explanation->thread_stacks_live = explanation->thread_stacks_cached = UINT64_MAX;
	explanation->wall_ns = explanation->cpu_ns = explanation->bytes_read = UINT64_MAX;
	explanation->allocators.other_count = 0;
	text = write_text(&fixture, &utf8);
	expect_width(text);
	free(text);
	json_decref(explain_json__build(&fixture.report));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_lines_answer),
		cmocka_unit_test(it_fits_one_screen),
		cmocka_unit_test(gomemlimit_is_a_sum_line_by_line),
		cmocka_unit_test(components_by_resident_bytes),
		cmocka_unit_test(what_failed_its_check_is_said),
		cmocka_unit_test(glibc_by_arena),
		cmocka_unit_test(go_by_size_class),
		cmocka_unit_test(unknown_is_never_zero),
		cmocka_unit_test(other_allocators),
		cmocka_unit_test(what_is_beside_the_table),
		cmocka_unit_test(names_are_made_printable),
		cmocka_unit_test(swap_has_a_column_when_there_is_some),
		cmocka_unit_test(bytes_of_the_terminal),
		cmocka_unit_test(a_narrow_terminal),
		cmocka_unit_test(no_advice_without_evidence),
		cmocka_unit_test(nothing_known_is_no_crash),
		cmocka_unit_test(extreme_figures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
