// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/report_diff.h"
#include "output/bar.h"
#include "output/diff.h"
#include "output/table.h"

/* ---- reports made by hand ----------------------------------------------------------------------
 */

/* One group of a live set; stack in JSON. */
#define GROUP(stack, min, max, count, bytes)                                                   \
	"{\"stack\":" stack ",\"min_bytes\":" #min ",\"max_bytes\":" #max ",\"count\":" #count \
	",\"bytes\":" #bytes "}"
#define LIVE(bytes, count, groups)                                  \
	"{\"bytes\":" #bytes ",\"bytes_error\":0,\"count\":" #count \
	",\"count_error\":0,\"sampled\":false,\"groups\":[" groups "]}"
#define PROCESS(pid, start, comm, exe, rss, live)                                          \
	"{\"pid\":" #pid ",\"start_time_ticks\":" #start ",\"comm\":" comm ",\"exe\":" exe \
	",\"rss\":{\"start_bytes\":1,\"end_bytes\":" #rss "},\"live\":" live "}"
#define REPORT(processes)                                                             \
	"{\"schema\":\"memdrift.trace/1\",\"version\":\"0.1.0\",\"duration_s\":10.5," \
	"\"host\":{\"kernel\":\"6.18\"},\"losses\":{\"total\":0},\"processes\":[" processes "]}"

#define LEAK  "[\"malloc\",\"leak\",\"main\"]"
#define CACHE "[\"malloc\",\"cache\",\"main\"]"

static const char report_a[] =
	REPORT(PROCESS(10, 500, "\"server\"", "\"/bin/server\"", 4096000,
		       LIVE(1500, 15,
			    GROUP(LEAK, 64, 127, 10, 1000) "," GROUP(
				    CACHE, 64, 127, 4, 400) "," GROUP("null", 64, 127, 1, 100))));
static const char report_b[] =
	REPORT(PROCESS(10, 500, "\"server\"", "\"/bin/server\"", 8192000,
		       LIVE(6100, 64,
			    GROUP(LEAK, 64, 127, 60, 6000) "," GROUP(
				    "null", 64, 127, 1, 80) "," GROUP(CACHE, 16, 31, 3, 20))));

static int parse_bytes(struct report *report, const char *text, size_t size, char *error)
{
	/* fmemopen() takes no empty buffer on some libraries. */
	FILE *in = size ? fmemopen((void *)(uintptr_t)text, size, "r") : fopen("/dev/null", "r");
	int err;

	assert_non_null(in);
	*error = '\0';
	err = report__parse(report, in, "some.json", error);
	fclose(in);
	return err;
}

static void parse(struct report *report, const char *text)
{
	char error[REPORT_ERROR_MAX];

	if (parse_bytes(report, text, strlen(text), error))
		fail_msg("%s\n%s", error, text);
}

static void expect_refused(const char *text, const char *message)
{
	char error[REPORT_ERROR_MAX];
	struct report report;

	if (!parse_bytes(&report, text, strlen(text), error))
		fail_msg("taken: %s", text);
	if (!strstr(error, message))
		fail_msg("\"%s\" is not \"%s\"", error, message);
}

/* Two reports and what they differ by. */
struct compared {
	struct report a, b;
	struct report_diff diff;
};

static void compare(struct compared *compared, const char *a, const char *b)
{
	parse(&compared->a, a);
	parse(&compared->b, b);
	assert_int_equal(report_diff__build(&compared->diff, &compared->a, &compared->b), 0);
}

static void compared_free(struct compared *compared)
{
	report_diff__free(&compared->diff);
	report__free(&compared->a);
	report__free(&compared->b);
}

enum output { TEXT, JSON, FOLDED };

static char *write_output(const struct report_diff *diff, enum output output)
{
	struct text_options options = {.top = 10};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int err;

	assert_non_null(out);
	err = output == TEXT   ? diff_text__write(out, diff, &options)
	      : output == JSON ? diff_json__write(out, diff)
			       : diff_folded__write(out, diff);
	assert_int_equal(err, 0);
	fclose(out);
	return text;
}

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

/* The lines are well-formed and add up to the totals. */
static void check_folded(const struct report_diff *diff)
{
	char *text = write_output(diff, FOLDED), *save = NULL;
	int64_t a = 0, b = 0;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *second = strrchr(line, ' '), *first;

		assert_non_null(second);
		*second++ = '\0';
		first = strrchr(line, ' ');
		assert_non_null(first);
		*first++ = '\0';
		assert_null(strchr(line, ' '));
		assert_non_null(strchr(line, ';'));
		a += strtoll(first, NULL, 10);
		b += strtoll(second, NULL, 10);
	}
	assert_int_equal(a, diff->totals.live_bytes.a);
	assert_int_equal(b, diff->totals.live_bytes.b);
	free(text);
}

/* Printable, and no line wider than it may be. */
static void check_text(const struct report_diff *diff)
{
	char *text = write_output(diff, TEXT), *save = NULL;

	for (const char *at = text; *at; at++)
		if (((unsigned char)*at < 0x20 && *at != '\n') || *at == 0x7f)
			fail_msg("byte %d in\n%s", *at, text);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (text_columns(line) > REPORT_COLUMNS)
			fail_msg("too wide: %s", line);
	free(text);
}

static void check_json(const struct report_diff *diff)
{
	char *text = write_output(diff, JSON);
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s at %d:%d in\n%s", error.text, error.line, error.column, text);
	assert_int_equal(json_array_size(json_object_get(root, "processes")), diff->pair_count);
	json_decref(root);
	free(text);
}

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

#define SAMPLE(bytes, error, groups)                                                         \
	REPORT(PROCESS(1, 1, "\"x\"", "\"/x\"", 1,                                           \
		       "{\"bytes\":" #bytes ",\"bytes_error\":" #error                       \
		       ",\"count\":9,\"count_error\":3,\"sampled\":true,\"groups\":[" groups \
		       "]}"))
#define ESTIMATE(bytes, error)                                                               \
	"{\"stack\":" LEAK ",\"min_bytes\":8,\"max_bytes\":15,\"count\":9,\"bytes\":" #bytes \
	",\"bytes_error\":" #error "}"

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

/* ---- what is no report -------------------------------------------------------------------------
 */

static void errors_name_file_place_and_expectation(void **state)
{
	expect_refused("", "some.json: the file is empty; expected a report");
	expect_refused("{\"schema\":", "some.json: line 1, column 10: expected a report in JSON:");
	expect_refused("[]", "some.json: the file: expected an object; it is a list");
	expect_refused("{}", "some.json: schema: expected \"memdrift.trace/1\"; it is missing");
	expect_refused("{\"schema\":\"memdrift.explain/1\"}", "this is \"memdrift.explain/1\"");
	expect_refused("{\"schema\":\"\\u001b[2J\"}", "this is \"\\x1b[2J\"");
	expect_refused("{\"schema\":\"memdrift.trace/1\"}",
		       "some.json: processes: expected a list; it is missing");
	expect_refused(REPORT("5"), "some.json: processes[0]: expected an object; it is 5");
	expect_refused(
		REPORT("{\"pid\":1},{\"pid\":-1}"),
		"some.json: processes[1].pid: expected a whole number from 0 to 2^63 - 1; it "
		"is -1");
	expect_refused(REPORT("{\"pid\":4194305}"),
		       "some.json: processes[0].pid: expected a PID from 1 to 4194304");
	expect_refused(REPORT("{\"pid\":1,\"pid\":1}"), "duplicate object key");
	expect_refused(REPORT("{\"pid\":9223372036854775808}"), "too big integer");
	expect_refused(REPORT("{\"pid\":1,\"comm\":[]}"),
		       "processes[0].comm: expected a text, or null; it is a list");
	expect_refused(REPORT(PROCESS(1, 1, "null", "null", 1.5, "null")),
		       "processes[0].rss.end_bytes: expected a whole number from 0 to 2^63 - 1; it "
		       "is 1.5");
	expect_refused(REPORT(PROCESS(1, 1, "null", "null", 1,
				      LIVE(9, 1, GROUP("[\"a\",7]", 8, 15, 1, 9)))),
		       "processes[0].live.groups[0].stack: expected frames that are text; it is 7");
	expect_refused(
		REPORT(PROCESS(1, 1, "null", "null", 1, LIVE(9, 1, GROUP("null", 16, 15, 1, 9)))),
		"processes[0].live.groups[0].max_bytes: expected no less than min_bytes");
	/* Sums that no report can have. */
	expect_refused(REPORT(PROCESS(1, 1, "null", "null", 9223372036854775807,
				      "null") "," PROCESS(2, 1, "null", "null", 1, "null")),
		       "processes[1].rss.end_bytes: expected figures that add up to at most");
}

static void nesting_has_a_limit(void **state)
{
	size_t depth = 200000;
	char *text = malloc(depth + 1);

	assert_non_null(text);
	memset(text, '[', depth);
	text[depth] = '\0';
	expect_refused(text, "maximum parsing depth");
	free(text);
}

static void the_greatest_figures_are_fine(void **state)
{
	static const char most[] =
		REPORT(PROCESS(4194304, 9223372036854775807, "\"x\"", "\"/x\"", 9223372036854775807,
			       LIVE(9223372036854775807, 9223372036854775807,
				    GROUP(LEAK, 0, 9223372036854775807, 9223372036854775807,
					  9223372036854775807))));
	static const char least[] =
		REPORT(PROCESS(1, 0, "\"x\"", "\"/x\"", 0, LIVE(0, 0, GROUP(LEAK, 0, 0, 0, 0))));
	const char *const sides[] = {most, least};

	for (int i = 0; i < 4; i++) {
		struct compared c;

		compare(&c, sides[i & 1], sides[i >> 1]);
		check_text(&c.diff);
		check_json(&c.diff);
		check_folded(&c.diff);
		compared_free(&c);
	}
}

/* ---- mutations ---------------------------------------------------------------------------------
 */

/* Whatever it is: refused with a message that names the file, or compared without harm. */
static int try_bytes(const char *text, size_t size)
{
	struct report mutant, good;
	char error[REPORT_ERROR_MAX];
	int err = parse_bytes(&mutant, text, size, error);

	if (err) {
		assert_non_null(strstr(error, "some.json: "));
		assert_int_equal(mutant.process_count, 0);
		return 0;
	}
	parse(&good, report_b);
	for (int i = 0; i < 2; i++) {
		struct report_diff diff;

		assert_int_equal(
			report_diff__build(&diff, i ? &good : &mutant, i ? &mutant : &good), 0);
		check_text(&diff);
		check_json(&diff);
		check_folded(&diff);
		report_diff__free(&diff);
	}
	report__free(&good);
	report__free(&mutant);
	return 1;
}

static void every_truncation_is_refused(void **state)
{
	for (size_t size = 0; size < sizeof(report_a) - 1; size++)
		assert_int_equal(try_bytes(report_a, size), 0);
	assert_int_equal(try_bytes(report_a, sizeof(report_a) - 1), 1);
}

static void every_byte_can_be_another(void **state)
{
	static const char bytes[] = "\"{}[]:,\\-0n \x1b\x7f\x80\xff";
	char text[sizeof(report_a)];
	int taken = 0;

	for (size_t at = 0; at < sizeof(report_a) - 1; at++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			memcpy(text, report_a, sizeof(text));
			text[at] = bytes[i];
			taken += try_bytes(text, sizeof(text) - 1);
		}
	}
	/* Names and digits can be others. */
	assert_true(taken > 100);
}

/* Replaces the value number *left in the order of a walk, or drops it when there is no value. */
static bool mutate(json_t *parent, const char *key, size_t index, json_t *value, int *left,
		   const char *with)
{
	const char *name;
	json_t *child;
	void *next;
	size_t i;

	if (!(*left)--) {
		json_t *other = with ? json_loads(with, JSON_DECODE_ANY, NULL) : NULL;

		if (key && with)
			json_object_set_new(parent, key, other);
		else if (key)
			json_object_del(parent, key);
		else if (with)
			json_array_set_new(parent, index, other);
		else
			json_array_remove(parent, index);
		return true;
	}
	json_object_foreach_safe(value, next, name,
				 child) if (mutate(value, name, 0, child, left, with)) return true;
	json_array_foreach (value, i, child)
		if (mutate(value, NULL, i, child, left, with))
			return true;
	return false;
}

static int try_mutant(const char *base, int at, const char *with, bool *reached)
{
	json_t *root = json_pack("[o]", json_loads(base, 0, NULL));
	char *text;
	int taken;

	/* From the object within on. */
	at++;
	*reached = mutate(NULL, NULL, 0, root, &at, with);
	text = json_dumps(json_array_get(root, 0) ? json_array_get(root, 0) : root,
			  JSON_ENCODE_ANY);
	taken = try_bytes(text, strlen(text));
	free(text);
	json_decref(root);
	return taken;
}

static void every_value_can_be_another(void **state)
{
	static const char *const others[] = {
		NULL,
		"null",
		"true",
		"-1",
		"0",
		"1",
		"9223372036854775807",
		"-9223372036854775808",
		"0.5",
		"-0.5",
		"1e308",
		"9.3e18",
		"\"\"",
		"\"a;b c\\u001b[31m\\n\\u202e\"",
		"\"memdrift.diff/1\"",
		"[]",
		"[[]]",
		"[null]",
		"[\"a\",\"a\"]",
		"[\"[]+0x\",\"[a]+0x1\",\"]+0x\",\"[\"]",
		"\"[x]+0x12\"",
		"{}",
		"{\"pid\":1,\"stack\":null,\"groups\":[]}",
	};
	static const char *const bases[] = {report_a, SAMPLE(1000, 30, ESTIMATE(1000, 30))};
	int taken = 0, tried = 0;

	for (size_t base = 0; base < 2; base++) {
		for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
			bool reached = true;

			for (int at = 0; reached; at++, tried++)
				taken += try_mutant(bases[base], at, others[i], &reached);
		}
	}
	assert_true(taken > 100 && tried - taken > 100);
}

/* Several changes at once, the same in each run. */
static void random_bytes_do_no_harm(void **state)
{
	char text[sizeof(report_a)];
	uint64_t random = 88172645463325252ull;

	for (int round = 0; round < 5000; round++) {
		memcpy(text, report_a, sizeof(text));
		for (int i = 0; i < 1 + round % 4; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			text[random % (sizeof(text) - 1)] =
				round % 2 ? (char)(random >> 32)
					  : text[(random >> 32) % (sizeof(text) - 1)];
		}
		try_bytes(text, sizeof(text) - 1);
	}
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
		cmocka_unit_test(errors_name_file_place_and_expectation),
		cmocka_unit_test(nesting_has_a_limit),
		cmocka_unit_test(the_greatest_figures_are_fine),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_byte_can_be_another),
		cmocka_unit_test(every_value_can_be_another),
		cmocka_unit_test(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
