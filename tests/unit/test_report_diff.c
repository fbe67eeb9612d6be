// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "diff_fixture.h"

/* ---- what is compared --------------------------------------------------------------------------
 */

static void groups_are_matched_by_stack_and_size(void **state)
{
	struct compared c;
	const struct diff_pair *pair;

	compare(&c, report_a, report_b);
	assert_int_equal(c.diff.pair_count, 1);
	pair = &c.diff.pairs[0];
	assert_int_equal(pair->match, DIFF_SAME_PROCESS);
	assert_int_equal(diff_change__delta(&pair->live_bytes), 4600);
	assert_int_equal(diff_change__delta(&pair->live_count), 49);
	assert_int_equal(pair->group_count, 4);
	assert_string_equal(pair->groups[0].stack, "malloc\nleak\nmain");
	assert_int_equal(diff_change__delta(&pair->groups[0].bytes), 5000);
	assert_int_equal(diff_change__delta(&pair->groups[0].count), 50);
	/* The same stack in another bucket is another group. */
	assert_int_equal(diff_change__delta(&pair->groups[1].bytes), -400);
	assert_int_equal(pair->groups[1].bytes.b, 0);
	assert_int_equal(diff_change__delta(&pair->groups[2].bytes), 20);
	assert_null(pair->groups[3].stack);
	assert_int_equal(diff_change__delta(&pair->groups[3].bytes), -20);
	assert_int_equal(c.diff.totals.rss.b - c.diff.totals.rss.a, 4096000);
	check_folded(&c.diff);
	compared_free(&c);
}

static void stacks_of_the_same_names_are_one_group(void **state)
{
	struct compared c;

	compare(&c,
		REPORT(PROCESS(
			1, 2, "\"x\"", "null", 5,
			LIVE(30, 3, GROUP(LEAK, 8, 15, 1, 10) "," GROUP(LEAK, 8, 15, 2, 20)))),
		REPORT(PROCESS(1, 2, "\"x\"", "null", 5, LIVE(10, 1, GROUP(LEAK, 8, 15, 1, 10)))));
	assert_int_equal(c.diff.pairs[0].group_count, 1);
	assert_int_equal(diff_change__delta(&c.diff.pairs[0].groups[0].bytes), -20);
	assert_int_equal(diff_change__delta(&c.diff.pairs[0].groups[0].count), -2);
	compared_free(&c);
}

static const struct diff_pair *pair_of(const struct report_diff *diff, int64_t a, int64_t b)
{
	for (size_t i = 0; i < diff->pair_count; i++)
		if ((diff->pairs[i].a ? diff->pairs[i].a->pid : 0) == a &&
		    (diff->pairs[i].b ? diff->pairs[i].b->pid : 0) == b)
			return &diff->pairs[i];
	fail_msg("%d is not matched with %d", (int)a, (int)b);
	return NULL;
}

static void processes_are_matched_best_evidence_first(void **state)
{
	struct compared c;

	/* 7 is another process in B; 5 was renamed, and is itself. */
	compare(&c,
		REPORT(PROCESS(5, 100, "\"init\"", "\"/i\"", 1, "null") "," PROCESS(
			7, 300, "\"web\"", "\"/w\"", 1,
			"null") "," PROCESS(6, 200, "\"web\"", "\"/w\"", 1,
					    "null") "," PROCESS(8, 400, "\"old\"", "\"/same\"", 1,
								"null") "," PROCESS(9, 500,
										    "\"moved\"",
										    "\"/from\"", 1,
										    "null") "," PROCESS(10,
													600,
													"\"ended\"",
													"\"/e\"",
													1,
													"null")),
		REPORT(PROCESS(9, 900, "\"web\"", "\"/w\"", 1, "null") "," PROCESS(
			7, 800, "\"web\"", "\"/w\"", 1,
			"null") "," PROCESS(12, 850, "\"web\"", "\"/w\"", 1,
					    "null") "," PROCESS(5, 100, "\"other\"", "\"/o\"", 1,
								"null") "," PROCESS(18, 870,
										    "\"new\"",
										    "\"/same\"", 1,
										    "null") "," PROCESS(19,
													880,
													"\"moved\"",
													"\"/to\"",
													1,
													"null")));
	assert_int_equal(pair_of(&c.diff, 5, 5)->match, DIFF_SAME_PROCESS);
	/* In the order of their start. */
	assert_int_equal(pair_of(&c.diff, 6, 7)->match, DIFF_COMM_AND_EXE);
	assert_int_equal(pair_of(&c.diff, 7, 12)->a_alike, 2);
	assert_int_equal(pair_of(&c.diff, 7, 12)->b_alike, 3);
	assert_int_equal(pair_of(&c.diff, 8, 18)->match, DIFF_EXE);
	assert_int_equal(pair_of(&c.diff, 9, 19)->match, DIFF_COMM);
	assert_int_equal(pair_of(&c.diff, 10, 0)->match, DIFF_UNMATCHED);
	assert_int_equal(pair_of(&c.diff, 0, 9)->match, DIFF_UNMATCHED);
	assert_int_equal(c.diff.totals.matched, 5);
	assert_int_equal(c.diff.totals.only_a, 1);
	assert_int_equal(c.diff.totals.only_b, 1);
	compared_free(&c);
}

static void an_unknown_start_or_name_matches_nothing(void **state)
{
	struct compared c;

	compare(&c, REPORT("{\"pid\":5},{\"pid\":6,\"start_time_ticks\":null,\"comm\":null}"),
		REPORT("{\"pid\":5},{\"pid\":6,\"start_time_ticks\":null,\"comm\":null}"));
	assert_int_equal(c.diff.totals.matched, 0);
	assert_int_equal(c.diff.pair_count, 4);
	check_text(&c.diff);
	check_json(&c.diff);
	compared_free(&c);
}

static void what_one_report_does_not_know_is_in_no_sum(void **state)
{
	struct compared c;
	char *text;

	compare(&c,
		REPORT(PROCESS(1, 1, "\"x\"", "\"/x\"", 1000,
			       LIVE(10, 1, GROUP(LEAK, 8, 15, 1, 10))) "," PROCESS(2, 1, "\"y\"",
										   "\"/y\"", null,
										   LIVE(7, 1, ""))),
		REPORT(PROCESS(1, 1, "\"x\"", "\"/x\"", null,
			       "null") "," PROCESS(2, 1, "\"y\"", "\"/y\"", 50, LIVE(7, 1, ""))));
	assert_int_equal(c.diff.totals.live_bytes.a, 7);
	assert_int_equal(c.diff.totals.live_bytes.b, 7);
	assert_int_equal(c.diff.totals.live_left_out, 1);
	assert_int_equal(c.diff.totals.rss.a, 0);
	assert_int_equal(c.diff.totals.rss.b, 0);
	assert_int_equal(c.diff.totals.rss_left_out, 2);
	check_folded(&c.diff);
	text = write_output(&c.diff, JSON);
	expect_in(text, "{\"a\": 10, \"b\": null, \"delta\": null, \"error\": null");
	expect_in(text, "{\"a\": 1000, \"b\": null, \"delta\": null}");
	free(text);
	compared_free(&c);
}

/* ---- samples -----------------------------------------------------------------------------------
 */

static void a_difference_within_the_error_is_marked(void **state)
{
	struct compared c;
	char *text;

	compare(&c, SAMPLE(1000, 30, ESTIMATE(1000, 30)), SAMPLE(1050, 40, ESTIMATE(1050, 40)));
	/* 3-4-5. */
	assert_true(fabs(c.diff.pairs[0].live_bytes.error - 50) < 1e-9);
	assert_true(diff_change__within_error(&c.diff.pairs[0].groups[0].bytes));
	text = write_output(&c.diff, TEXT);
	expect_in(text, "+50 B ± 50 B, within the error.\n");
	expect_in(text, "+50 B ± 50 B      0  within the error");
	assert_null(strstr(text, "Grew most"));
	free(text);
	compared_free(&c);

	compare(&c, SAMPLE(1000, 30, ESTIMATE(1000, 30)), SAMPLE(1051, 40, ESTIMATE(1051, 40)));
	assert_false(diff_change__within_error(&c.diff.pairs[0].groups[0].bytes));
	text = write_output(&c.diff, TEXT);
	assert_null(strstr(text, "within the error"));
	expect_in(text, "Grew most");
	free(text);
	compared_free(&c);
}

static void a_group_without_its_error_has_that_of_the_whole(void **state)
{
	struct compared c;

	compare(&c, SAMPLE(1000, 30, GROUP(LEAK, 8, 15, 9, 900)), report_b);
	assert_true(c.a.processes[0].live.groups[0].bytes_error == 30);
	compared_free(&c);
	compare(&c, SAMPLE(1000, null, GROUP(LEAK, 8, 15, 9, 900)), report_b);
	assert_true(isnan(c.a.processes[0].live.groups[0].bytes_error));
	check_text(&c.diff);
	check_json(&c.diff);
	compared_free(&c);
}

/* Two halves are rounded up to one each, their sum is one. */
static void rounded_estimates_add_up_to_the_total(void **state)
{
	struct compared c;

	compare(&c, SAMPLE(1, 1, GROUP(LEAK, 1, 1, 1, 1) "," GROUP(CACHE, 1, 1, 1, 1)), report_b);
	assert_int_equal(c.diff.totals.live_bytes.a, 1);
	check_folded(&c.diff);
	compared_free(&c);
	expect_refused(SAMPLE(0, 1, GROUP(LEAK, 1, 1, 1, 3) "," GROUP(CACHE, 1, 1, 1, 1)),
		       "some.json: processes[0].live.bytes: expected no less than its groups add "
		       "up to");
}

/* ---- output ------------------------------------------------------------------------------------
 */

static void folded_stacks_have_both_weights(void **state)
{
	struct compared c;
	char *text;

	compare(&c, report_a, report_b);
	text = write_output(&c.diff, FOLDED);
	assert_string_equal(text, "server-10;[no-stack] 100 80\n"
				  "server-10;main;cache;malloc 400 20\n"
				  "server-10;main;leak;malloc 1000 6000\n");
	free(text);
	compared_free(&c);

	compare(&c, report_a,
		REPORT(PROCESS(
			11, 600, "\"a b;c\"", "\"/bin/server\"", 1,
			LIVE(50, 2,
			     GROUP("[\"f(int, x);y\",\"\"]", 8, 15, 1,
				   40))) "," PROCESS(12, 601, "\"new\"", "\"/bin/new\"", 1,
						     LIVE(5, 1, GROUP("null", 4, 7, 1, 5)))));
	text = write_output(&c.diff, FOLDED);
	assert_string_equal(text, "a_b:c-10/11;;f(int,_x):y 0 40\n"
				  "a_b:c-10/11;[no-stack] 100 0\n"
				  "a_b:c-10/11;[not-listed] 0 10\n"
				  "a_b:c-10/11;main;cache;malloc 400 0\n"
				  "a_b:c-10/11;main;leak;malloc 1000 0\n"
				  "new-12;[no-stack] 0 5\n");
	free(text);
	check_folded(&c.diff);
	compared_free(&c);
}

static void the_answer_comes_first(void **state)
{
	struct compared c;
	char *text;

	compare(&c, report_a, report_b);
	text = write_output(&c.diff, TEXT);
	assert_ptr_equal(strstr(text, "  Live bytes grew: 1.5 kB in 15 allocations -> 6.0 kB in "
				      "64, +4.5 kB.\n  Grew most:\n    +4.9 kB (count +50)"),
			 text);
	expect_in(text, " of 64 - 127 B in server (pid 10), by malloc < leak < main\n");
	expect_in(text, "RSS grew: 4,000.0 kB -> 8,000.0 kB, +4,000.0 kB.\n");
	expect_in(text, "  the same process  pid                  A           B       change\n"
			"  server            10   RSS    4,000.0 kB  8,000.0 kB  +4,000.0 kB\n"
			"                         live       1.5 kB      6.0 kB      +4.5 kB\n"
			"                         count          15          64          +49\n");
	expect_in(text, "1000 B  5.9 kB  +4.9 kB    +50  malloc < leak < main\n");
	free(text);
	check_json(&c.diff);
	compared_free(&c);
}

static void lists_are_as_long_as_wanted(void **state)
{
	struct text_options options = {.top = 2};
	struct compared c;

	compare(&c, report_a, report_b);
	for (int all = 0; all < 2; all++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		assert_non_null(out);
		options.all = all;
		assert_int_equal(diff_text__write(out, &c.diff, &options), 0);
		fclose(out);
		assert_int_equal(strstr(text, "  … 2 more\n") != NULL, !all);
		free(text);
	}
	compared_free(&c);
}

static void addresses_of_two_processes_are_not_compared(void **state)
{
	static const char one[] =
		REPORT(PROCESS(1, 1, "\"x\"", "\"/x\"", 1,
			       LIVE(9, 1, GROUP("[\"[unknown]+0x55aa\",\"main\"]", 8, 15, 1, 9))));
	struct compared c;
	char *text;

	compare(&c, one, one);
	assert_string_equal(c.diff.pairs[0].groups[0].stack, "[unknown]+0x55aa\nmain");
	text = write_output(&c.diff, TEXT);
	assert_null(strstr(text, "address"));
	free(text);
	compared_free(&c);
	compare(&c, one,
		REPORT(PROCESS(
			2, 2, "\"x\"", "\"/x\"", 1,
			LIVE(34, 3,
			     GROUP("[\"[unknown]+0x66aa\",\"main\"]", 8, 15, 1, 8) "," GROUP(
				     "[\"[unknown]+0x77\",\"main\"]", 8, 15, 1,
				     14) "," GROUP("[\"[vdso]+0x77\",\"main\"]", 8, 15, 1, 12)))));
	assert_int_equal(c.diff.pairs[0].group_count, 2);
	assert_string_equal(c.diff.pairs[0].groups[0].stack, "[unknown]\nmain");
	assert_int_equal(diff_change__delta(&c.diff.pairs[0].groups[0].bytes), 13);
	assert_string_equal(c.diff.pairs[0].groups[1].stack, "[vdso]+0x77\nmain");
	text = write_output(&c.diff, TEXT);
	expect_in(text, "9 B of A's and 22 B of B's live bytes have a caller that is known by its "
			"address");
	free(text);
	check_folded(&c.diff);
	compared_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_matched_by_stack_and_size),
		cmocka_unit_test(stacks_of_the_same_names_are_one_group),
		cmocka_unit_test(processes_are_matched_best_evidence_first),
		cmocka_unit_test(an_unknown_start_or_name_matches_nothing),
		cmocka_unit_test(what_one_report_does_not_know_is_in_no_sum),
		cmocka_unit_test(a_difference_within_the_error_is_marked),
		cmocka_unit_test(a_group_without_its_error_has_that_of_the_whole),
		cmocka_unit_test(rounded_estimates_add_up_to_the_total),
		cmocka_unit_test(folded_stacks_have_both_weights),
		cmocka_unit_test(the_answer_comes_first),
		cmocka_unit_test(lists_are_as_long_as_wanted),
		cmocka_unit_test(addresses_of_two_processes_are_not_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
