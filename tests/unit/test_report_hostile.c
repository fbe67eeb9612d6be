// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "diff_fixture.h"

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
