// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "trace_fixture.h"

#include <errno.h>

#include "output/bar.h"
#include "output/table.h"

static char *report(struct fixture *fix, bool colour, bool utf8, bool all)
{
	const struct text_options options = {.colour = colour, .utf8 = utf8, .all = all};
	char *text = NULL;

	FIX_CAPTURE(text, trace_text__write(out, &fix->result, &options));
	return text;
}

/* Lines that were wrapped are one again. */
static void unwrap(char *text)
{
	for (char *at; (at = strstr(text, "\n    "));) {
		*at = ' ';
		memmove(at + 1, at + 5, strlen(at + 5) + 1);
	}
}

#define assert_has(text, part)                                                 \
	do {                                                                   \
		if (!strstr((text), (part)))                                   \
			fail_msg("\"%s\" is missing in:\n%s", (part), (text)); \
	} while (0)

#define assert_has_not(text, part)                                                \
	do {                                                                      \
		if (strstr((text), (part)))                                       \
			fail_msg("\"%s\" should not be in:\n%s", (part), (text)); \
	} while (0)

static void the_answer_comes_first(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix_build(&fix);
	text = report(&fix, false, true, false);
	assert_true(strstr(text, "cal (pid 8212)") < strstr(text, "new malloc arena"));
	assert_has(text, "30.0 s, 1 process, 3,676 allocator calls/s, 0.4 mappings/s; "
			 "nothing lost; cost to the target 2.9 %\n");
	assert_has(text,
		   "cal (pid 8212)                                                RSS "
		   "402.0 MB -> 1,002.0 MB  +20.0 MB/s\n"
		   "  Malloc arenas hold the growth: +550.0 MB of +600.0 MB; +44.0 MB in the "
		   "brk heap. The Go heap does\n"
		   "    not: 0 B.\n"
		   "  1 malloc arena was created; 16 are present, the limit is 16 (8 x 2 online "
		   "CPUs).\n"
		   "  2 large mappings were not released (all made during the trace): reserved "
		   "128.0 MB, resident\n"
		   "    64.0 MB.\n");
	free(text);
	fix_free(&fix);
}

static void tables_are_aligned(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix_build(&fix);
	text = report(&fix, false, true, false);
	assert_has(text,
		   "\n  new malloc arena       at  thread  resident  created by\n"
		   "  0x7f1ecc000000    2.114 s    8219   32.0 MB  calloc < main.main.func1\n");
	assert_has(text,
		   "\n  large mapping   kind         reserved  committed  resident     age  "
		   "thread  mapped by\n"
		   "  0x7f1e00000000  fastcache     64.0 MB    64.0 MB   32.0 MB  28.0 s    8219"
		   "  fastcache.getChunk < …\n");
	assert_has(text, "\n  mapping activity  calls  calls/s     bytes\n"
			 "  mmap                 12      0.4  200.0 MB\n"
			 "  munmap                2      0.1   72.0 MB\n"
			 "  brk                   4      0.1  +44.0 MB\n");
	assert_has(text, "  16 - 31 B        300       10      7.0 kB    240 B/s  ▏\n"
			 "  32 - 64 kB    60,000    2,000  2,288.8 MB  76.3 MB/s  "
			 "████████████████████████\n");
	assert_has(text, "  RSS ▁▂▂▃▄▅▅▆▇▇█ one column per 3.000 s\n");
	assert_has(text, "Lost: nothing.\nCost: 110,300 hits of 310 ns each: 2.9 % of the targets'"
			 " CPU time (budget 5.0 %).\n");
	unwrap(text);
	assert_has(text,
		   "They walked 60,000 call stacks of 15.0 frames on average: 420 ns more for "
		   "each and 42 ns for a frame.");
	free(text);
	fix_free(&fix);
}

static void no_line_is_wider_than_the_page(void **state)
{
	struct fixture fix;
	char *text, *line, *rest;

	fix_init(&fix);
	fix.cal.arenas.present = 1000000;
	memset(fix.cal.arenas.limit_source, 'x', 90);
	fix.cal.needs_reread = true;
	fix.result.losses[LOSS_inflight_full] = UINT32_MAX;
	fix_build(&fix);
	text = report(&fix, false, true, true);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (text_columns(line) > REPORT_COLUMNS)
			fail_msg("%zu columns: %s", text_columns(line), line);
	}
	free(text);
	fix_free(&fix);
}

static void names_cannot_reach_the_terminal(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	memcpy(fix.cal.comm,
	       "\033[2J\n\xff\xc2\x9b"
	       "bad",
	       10);
	fix.events[0].stack = FIX_STACK_HOSTILE;
	fix.result.rows[0].name = "mal\033loc";
	strcpy(fix.cal.arenas.limit_source, "\033]0;x\007");
	fix_build(&fix);
	text = report(&fix, false, true, true);
	assert_has_not(text, "\033");
	assert_has_not(text, "\007");
	assert_has_not(text, "\xc2\x9b");
	assert_has(text, "\\x1b[2J\\x0a\\xff");
	assert_has(text, "mal\\x1bloc");
	free(text);
	text = report(&fix, false, false, true);
	for (const char *at = text; *at; at++)
		assert_true((*at >= ' ' && *at <= '~') || *at == '\n');
	free(text);
	fix_free(&fix);
}

static void a_comm_of_sixteen_bytes_ends(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	memset(fix.cal.comm, 'c', sizeof(fix.cal.comm));
	fix_build(&fix);
	text = report(&fix, false, true, false);
	assert_has(text, "\ncccccccccccccccc (pid 8212) ");
	free(text);
	fix_free(&fix);
}

static void colour_is_only_used_when_told(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix.result.losses[LOSS_ring_full] = 12;
	fix_build(&fix);
	text = report(&fix, true, true, false);
	assert_has(text, "\033[1mcal (pid 8212)\033[0m");
	assert_has(text, "\033[33m12 events lost\033[0m");
	free(text);
	text = report(&fix, false, true, false);
	assert_has_not(text, "\033");
	assert_has(text, "; 12 events lost; ");
	assert_has(text, "  ring_full     12  records that found the ring buffer full\n");
	free(text);
	fix_free(&fix);
}

static void the_end_of_a_process_is_told(void **state)
{
	static const struct {
		enum process_end end;
		int status;
		bool oom;
		const char *text;
	} cases[] = {
		{PROCESS_EXITED, 3 << 8, false,
		 "It exited with status 3, 12.0 s after the trace began: this is its state then."},
		{PROCESS_EXITED, 9, false,
		 "It was killed by signal 9 (Killed), 12.0 s after the trace began: this is its "
		 "state then."},
		{PROCESS_EXITED, 9, true,
		 "It was killed by the OOM killer, 12.0 s after the trace began: this is its last "
		 "state."},
		{PROCESS_EXITING, 0, false,
		 "It called exit_group and had not ended yet, 12.0 s after the trace began: this "
		 "is its state then."},
	};
	struct fixture fix;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text;

		fix_init(&fix);
		fix.cal.end = cases[i].end;
		fix.cal.exit_status = cases[i].status;
		fix.cal.oom_killed = cases[i].oom;
		fix.cal.ended_ns = FIX_STARTED + 12000000000ULL;
		fix.cal.at_end.t_s = 11.5;
		fix_build(&fix);
		text = report(&fix, false, true, false);
		unwrap(text);
		assert_has(text, cases[i].text);
		assert_has(text, "Resident figures were read 0.500 s before its end.");
		/* Ages count to its end. */
		assert_has(text, "32.0 MB  10.0 s    8219");
		free(text);
		fix_free(&fix);
	}
}

static void what_is_not_known_is_said_to_be_unknown(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix.resident_unknown = true;
	fix.cal.at_start.known = fix.cal.at_end.known = false;
	fix.cal.rss_first = fix.cal.rss_last = fix.cal.rss_min = fix.cal.rss_max =
		(struct rss_sample){0};
	fix.events[0].tid = 0;
	fix.events[0].stack = STACK_NONE;
	fix.result.overhead.cost_share = NAN;
	fix.result.overhead.hit_ns = NAN;
	fix.result.overhead.stack_ns = fix.result.overhead.frame_ns = NAN;
	fix_build(&fix);
	text = report(&fix, false, true, false);
	unwrap(text);
	assert_has(text, "RSS unknown\n");
	assert_has(text, "Which part of its memory moved is unknown: it could not be read.");
	assert_has(text, "reserved 128.0 MB, resident unknown.");
	assert_has(text, "  0x7f1ecc000000    2.114 s  unknown   unknown  unknown\n");
	assert_has(text, "hits of an unknown time each: share of CPU time unknown (budget 5.0 %)");
	assert_has(text, "60,000 call stacks of 15.0 frames on average: at an unknown cost.");
	free(text);
	fix_free(&fix);
}

static void a_sum_that_lacks_some_is_a_lower_bound(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix_map_anonymous(&fix.cal, 0x7d0000000000, 64 * FIX_MB, PROT_READ | PROT_WRITE)->stack =
		FIX_STACK_CHUNK;
	fix.unread = FIX_CHUNK;
	fix_build(&fix);
	text = report(&fix, false, true, false);
	unwrap(text);
	assert_has(text, "reserved 192.0 MB, resident at least 64.0 MB (of 1 unknown).");
	assert_has(text, "  fastcache                   2  128.0 MB   128.0 MB  > 32.0 MB  28.0 s");
	free(text);
	fix_free(&fix);
}

static void coverage_that_is_not_whole_is_told(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix.cal.covered_from_s = 3;
	fix.cal.covered_to_s = 13;
	fix.result.overhead.covered = 1.0 / 3;
	fix.result.overhead.bystander_hits = 1234;
	fix_build(&fix);
	text = report(&fix, false, true, false);
	unwrap(text);
	assert_has(text, "Its allocator calls are counted from 3.000 s of the trace on");
	assert_has(text, "Its allocator calls are counted until 13.0 s of the trace.");
	assert_has(text, "Never called: aligned_alloc|memalign.");
	/* Rates are those of the time that was covered. */
	assert_has(text, "  calloc           60,000    6,000\n");
	assert_has(text, "The allocator probes covered 33 % of the trace.");
	assert_has(text, "1,234 more hits were paid for by processes that are not targets.");
	free(text);
	fix_free(&fix);

	fix_init(&fix);
	fix.cal.counted = false;
	fix_build(&fix);
	text = report(&fix, false, true, false);
	assert_has(text, "Its allocator calls were not counted");
	assert_has_not(text, "request size");
	free(text);
	fix_free(&fix);
}

/* 300 + 60,000 requests and 50,000 frees were seen: see trace_fixture.h. */
static struct alloc_estimate *an_estimate(void)
{
	static struct alloc_estimate estimate;

	estimate = (struct alloc_estimate){
		.bursts = 38,
		.covered_s = 1.2,
		.present_s = 30,
		.covered_cpu = 0.041,
		.calls = {2.0e6, 2.5e6, 3.5e6},
		.calls_per_s = {2.0e6 / 30, 2.5e6 / 30, 3.5e6 / 30},
		.requests_per_call = 0.5,
		.bytes_per_request = 40000,
		.row_share = {[0] = 0.1, [1] = 0.5, [2] = 0.4},
		.request_share = {[5] = 0.01, [16] = 0.99},
		.byte_share = {[5] = 0.001, [16] = 0.999},
	};
	return &estimate;
}

static char *report_of_bursts(struct fixture *fix, struct alloc_estimate *estimate)
{
	char *text;

	fix_init(fix);
	fix->cal.estimate = estimate;
	fix->result.overhead.detached_at_s = 0.04;
	fix->result.overhead.detached = 1;
	fix->result.overhead.bursts = 37;
	fix->result.overhead.covered = 0.04;
	fix->result.overhead.attach_ns = 4.2e6;
	fix->result.overhead.detach_ns = 22.9e6;
	fix_build(fix);
	text = report(fix, false, true, false);
	unwrap(text);
	fix->cal.estimate = NULL;
	return text;
}

static void bursts_are_told_from_the_whole(void **state)
{
	struct fixture fix;
	char *text = report_of_bursts(&fix, an_estimate());

	assert_has(text, "30.0 s, 1 process, about 83,333 allocator calls/s, ");
	assert_has(text, "Its allocator calls were seen in 38 bursts only: their figures are "
			 "estimates.");
	assert_has(text, "Estimates: 38 bursts cover 4 % of the time and 4.1 % of its CPU time. "
			 "110,300 allocator calls were seen, there were about 2,500,000 (95 % "
			 "interval: 2,000,000 to 3,500,000).");
	assert_has(text, "  32 - 64 kB    60,000  99.0 %   41,250  1,587.9 MB  "
			 "████████████████████████\n");
	assert_has(text, "came and went from 0.040 s on: 37 bursts. All in all they covered 4 % of "
			 "the time.");
	assert_has(text, "Their coming cost the targets 4.2 ms of CPU time, their going 22.9 ms.");
	assert_has_not(text, "The budget was not kept");
	assert_has_not(text, "requests for 2,288.8 MB in all");
	free(text);
	fix_free(&fix);
}

static void an_upper_end_that_nobody_knows(void **state)
{
	struct alloc_estimate *estimate = an_estimate();
	struct fixture fix;
	char *text;

	estimate->calls.best = estimate->calls_per_s.best = NAN;
	text = report_of_bursts(&fix, estimate);
	assert_has(text, "there were 2,000,000 to 3,500,000 (95 % interval).");
	assert_has(text, "30.0 s, 1 process, 66,666 - 116,666 allocator calls/s, ");
	assert_has(text, "  33,000 - 57,750  ");
	free(text);
	fix_free(&fix);
	estimate->calls.high = estimate->calls_per_s.high = NAN;
	text = report_of_bursts(&fix, estimate);
	assert_has(text, "there were at least 2,000,000.");
	assert_has(text, "How many more is not known: in a burst nearly all of its time is the "
			 "probes' cost.");
	assert_has(text, "30.0 s, 1 process, > 66,666 allocator calls/s, ");
	assert_has(text, "  > 33,000  ");
	free(text);
	fix_free(&fix);
}

static void sources_that_disagree_are_told(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix.cal.arenas.symbol_probed = true;
	fix.cal.arenas.created_by_symbol = 3;
	fix_build(&fix);
	text = report(&fix, false, true, false);
	assert_has(text, "The sources disagree on its new arenas: 1 by mapping, 3 by arena_get2");
	assert_has(text, "Known by the results of arena_get2");
	free(text);
	fix_free(&fix);
}

static void many_processes_are_cut_to_those_that_matter(void **state)
{
	static struct process others[40];
	struct fixture fix;
	char *text;

	fix_init(&fix);
	for (uint32_t i = 0; i < 40; i++) {
		char comm[16];

		snprintf(comm, sizeof(comm), "other%u", i);
		fix_process(&fix, &others[i], 9000 + i, comm);
		others[i].mapping.mmap_bytes = i * FIX_MB;
	}
	fix_build(&fix);
	assert_ptr_equal(fix.result.processes[0].process, &fix.cal);
	assert_ptr_equal(fix.result.processes[1].process, &others[39]);
	text = report(&fix, false, true, false);
	assert_has(text, "30.0 s, 41 processes, ");
	assert_has(text, "\n  other39        9039  unknown  unknown     39.0 MB           0 B\n");
	assert_has_not(text, "other19 ");
	assert_has(text, "\n  … 20 more\n");
	free(text);
	text = report(&fix, false, true, true);
	assert_has(text, "other0 ");
	assert_has_not(text, " more\n");
	free(text);
	HASH_CLEAR(hh, fix.model.running);
	for (int i = 0; i < 40; i++)
		fix_free_process(&others[i]);
	fix_free(&fix);
}

static void what_mapped_much_comes_before_what_wavered(void **state)
{
	struct process waverer, mapper;
	struct fixture fix;

	fix_init(&fix);
	fix_process(&fix, &waverer, 9001, "waverer");
	fix_process(&fix, &mapper, 9002, "mapper");
	fix_sample(&waverer, 0, 4096);
	fix_sample(&waverer, 1, 40960);
	/* It ended before its RSS was sampled. */
	mapper.mapping.mmap_bytes = 150 * FIX_MB;
	fix_build(&fix);
	assert_ptr_equal(fix.result.processes[0].process, &fix.cal);
	assert_ptr_equal(fix.result.processes[1].process, &mapper);
	assert_true(process_result__matters(&fix.result.processes[1]));
	assert_ptr_equal(fix.result.processes[2].process, &waverer);
	assert_false(process_result__matters(&fix.result.processes[2]));
	HASH_CLEAR(hh, fix.model.running);
	fix_free_process(&waverer);
	fix_free_process(&mapper);
	fix_free(&fix);
}

static void a_report_that_cannot_be_written_fails(void **state)
{
	const struct text_options options = {.utf8 = true};
	struct fixture fix;
	FILE *full = fopen("/dev/full", "we");

	assert_non_null(full);
	fix_init(&fix);
	fix_build(&fix);
	assert_int_equal(trace_text__write(full, &fix.result, &options), -ENOSPC);
	fclose(full);
	full = fopen("/dev/full", "we");
	assert_int_equal(trace_json__write(full, &fix.result), -ENOSPC);
	fclose(full);
	fix_free(&fix);
}

static void bars_and_sparklines_show_their_ends(void **state)
{
	const uint64_t rising[] = {10, 0, 20, 30}, flat[] = {5, 5};
	char buf[BAR_TEXT_MAX(10)];

	assert_string_equal(bar__draw(buf, 0, 100, 10, true), "");
	assert_string_equal(bar__draw(buf, 1, 100000, 10, true), "▏");
	assert_string_equal(bar__draw(buf, 50, 100, 3, true), "█▌");
	assert_string_equal(bar__draw(buf, 100, 100, 3, true), "███");
	assert_string_equal(bar__draw(buf, UINT64_MAX, UINT64_MAX, 3, false), "###");
	assert_string_equal(bar__draw(buf, 5, 0, 3, true), "▏");
	assert_string_equal(sparkline__draw(buf, rising, 4, 10, true), "▁ ▅█");
	assert_string_equal(sparkline__draw(buf, rising, 4, 2, true), "▁█");
	assert_string_equal(sparkline__draw(buf, flat, 2, 10, true), "▁▁");
	assert_string_equal(sparkline__draw(buf, flat, 0, 10, true), "");
}

static void the_progress_line_fits(void **state)
{
	struct trace_overhead overhead = {.cost_share = 0.0412, .detached = 2};
	struct fixture fix;
	char buf[256];

	fix_init(&fix);
	assert_string_equal(trace_progress(buf, sizeof(buf), &fix.model, 12, 30, 0, NULL, 120),
			    "12 of 30 s  1 process  RSS 1,002.0 MB (+600.0 MB)  1 new arenas  "
			    "mapped 200.0 MB  ^C reports");
	assert_string_equal(trace_progress(buf, sizeof(buf), &fix.model, 12, 30, 0, &overhead, 120),
			    "12 of 30 s  1 process  RSS 1,002.0 MB (+600.0 MB)  cost 4.1 % in "
			    "bursts  1 new arenas  mapped 200.0 MB  ^C reports");
	for (unsigned int columns = 0; columns < 100; columns++) {
		trace_progress(buf, sizeof(buf), &fix.model, 12, -1, 7, &overhead, columns);
		assert_true(text_columns(buf) <= columns);
	}
	trace_progress(buf, 10, &fix.model, 12, -1, 7, NULL, 100);
	assert_true(strlen(buf) < 10);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answer_comes_first),
		cmocka_unit_test(tables_are_aligned),
		cmocka_unit_test(no_line_is_wider_than_the_page),
		cmocka_unit_test(names_cannot_reach_the_terminal),
		cmocka_unit_test(a_comm_of_sixteen_bytes_ends),
		cmocka_unit_test(colour_is_only_used_when_told),
		cmocka_unit_test(the_end_of_a_process_is_told),
		cmocka_unit_test(what_is_not_known_is_said_to_be_unknown),
		cmocka_unit_test(a_sum_that_lacks_some_is_a_lower_bound),
		cmocka_unit_test(coverage_that_is_not_whole_is_told),
		cmocka_unit_test(bursts_are_told_from_the_whole),
		cmocka_unit_test(an_upper_end_that_nobody_knows),
		cmocka_unit_test(sources_that_disagree_are_told),
		cmocka_unit_test(many_processes_are_cut_to_those_that_matter),
		cmocka_unit_test(what_mapped_much_comes_before_what_wavered),
		cmocka_unit_test(a_report_that_cannot_be_written_fails),
		cmocka_unit_test(bars_and_sparklines_show_their_ends),
		cmocka_unit_test(the_progress_line_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
