// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "explain_expect.h"
#include "explain_fixture.h"

static const struct text_options utf8 = {.utf8 = true};

static char *json_of(const struct explain_fixture *fixture)
{
	json_t *root = explain_json__build(&fixture->report);
	char *text = json_dumps(root, 0);

	assert_non_null(text);
	json_decref(root);
	return text;
}

static int parse(struct explain_side *side, const char *text, char error[EXPLAIN_ERROR_MAX])
{
	FILE *in = *text ? fmemopen((void *)(uintptr_t)text, strlen(text), "r")
			 : fopen("/dev/null", "r");
	int err;

	assert_non_null(in);
	*error = '\0';
	err = explain_side__parse(side, in, "then.json", error);
	fclose(in);
	return err;
}

static void side_of(struct explain_side *side, const struct explain_fixture *fixture)
{
	char *text = json_of(fixture), error[EXPLAIN_ERROR_MAX];

	if (parse(side, text, error))
		fail_msg("%s", error);
	free(text);
}

static void expect_refused(const char *text, const char *message)
{
	char error[EXPLAIN_ERROR_MAX];
	struct explain_side side;

	if (!parse(&side, text, error))
		fail_msg("taken: %s", text);
	if (!strstr(error, message))
		fail_msg("\"%s\" is not in \"%s\"", message, error);
	/* What was refused is empty. */
	assert_null(side.comm);
	assert_null(side.file);
}

static char *write_diff(const struct explain_side *then, const struct explain_side *now, bool json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(json ? explain_diff_json__write(out, then, now)
			      : explain_diff_text__write(out, then, now, &utf8),
			 0);
	fclose(out);
	return text;
}

/* The same process a while later: arenas grew, the thread stacks went. */
static void grow(struct explain_fixture *fixture)
{
	struct ledger *ledger = &fixture->explanation.ledger;

	ledger->rows[LEDGER_MALLOC_ARENAS].resident_bytes += 100 * MB;
	ledger->rows[LEDGER_THREAD_STACKS].resident_bytes = 0;
	ledger->resident_bytes += 100 * MB - 200 * KB;
	ledger->rss = check_of(ledger->resident_bytes, ledger->resident_bytes);
	fixture->explanation.glibc.in_use_bytes += 10 * MB;
	fixture->explanation.glibc.arena_count--;
	fixture->explanation.go.heap_alloc_bytes = GO_UNKNOWN;
}

static void changes_side_by_side(void **state)
{
	struct explain_fixture before, after;
	struct explain_side then, now;
	char *text;

	explain_fixture__fill(&before);
	explain_fixture__fill(&after);
	grow(&after);
	side_of(&then, &before);
	side_of(&now, &after);
	text = write_diff(&then, &now, false);
	expect_in(text, "then  cal (pid 8212, Go 1.19.8, malloc of glibc) in then.json  ");
	expect_in(text,
		  "  RSS is 99.8 MB more: malloc arenas +100.0 MB, thread stacks -200.0 kB.\n");
	expect_in(text, "  resident             then         now     change  then           now\n"
			"  malloc arenas    902.0 MB  1,002.0 MB  +100.0 MB  ████████████▋  "
			"██████████████\n"
			"  thread stacks    200.0 kB         0 B  -200.0 kB  ▏\n"
			"  brk heap         110.0 MB    110.0 MB        0 B  █▌             █▌\n");
	expect_in(text, "  glibc    arenas                    16          15        -1\n");
	expect_in(text, "           in use               64.0 MB     74.0 MB  +10.0 MB\n");
	expect_in(text, "           allocated           768.0 kB     unknown   unknown\n");
	expect_width(text);
	free(text);
	explain_side__free(&then);
	explain_side__free(&now);
}

/* A reading and itself. */
static void a_reading_and_itself(void **state)
{
	struct explain_fixture fixture;
	struct explain_side then, now;
	char *text;

	explain_fixture__fill(&fixture);
	side_of(&then, &fixture);
	side_of(&now, &fixture);
	text = write_diff(&then, &now, false);
	expect_in(text, "  RSS is the same.\n");
	assert_null(strstr(text, "two processes"));
	free(text);
	explain_side__free(&then);
	explain_side__free(&now);
}

/* A Go build against a Rust build of the same job. */
static void two_builds_of_a_job(void **state)
{
	struct explain_fixture before, after;
	struct explain_side then, now;
	char *text;

	explain_fixture__fill(&before);
	explain_fixture__fill(&after);
	after.explanation.pid = 9000;
	after.explanation.has_go = false;
	strcpy(after.explanation.comm, "nitro-rs\033[2J");
	strcpy(after.explanation.allocators.malloc_owner, "jemalloc");
	after.explanation.allocators.has_jemalloc = true;
	after.explanation.allocators.jemalloc.active_bytes = 20 * MB;
	side_of(&then, &before);
	side_of(&now, &after);
	assert_false(explain_side__same_process(&then, &now));
	text = write_diff(&then, &now, false);
	expect_in(text, "These are two processes");
	expect_in(text, "cal (pid 8212, Go 1.19.8, malloc of glibc)");
	expect_in(text, "nitro-rs\\x1b[2J (pid 9000, malloc of jemalloc)");
	expect_in(text, " none     20.0 MB\n");
	expect_in(text, "  256.0 kB        none\n");
	free(text);
	explain_side__free(&then);
	explain_side__free(&now);
}

static void differences_in_json(void **state)
{
	struct explain_fixture before, after;
	struct explain_side then, now;
	int unknown_found, arenas_then, change, rss;
	const char *schema;
	json_t *root;
	char *text;

	explain_fixture__fill(&before);
	explain_fixture__fill(&after);
	grow(&after);
	side_of(&then, &before);
	side_of(&now, &after);
	text = write_diff(&then, &now, true);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	unknown_found = json_is_null(json_object_get(
		json_object_get(json_object_get(json_object_get(root, "figures"), "go"),
				"heap_alloc_bytes"),
		"change"));
	assert_true(unknown_found);
	assert_int_equal(json_unpack(root, "{s:s, s:{s:{s:{s:i, s:i}}}, s:{s:i}}", "schema",
				     &schema, "figures", "glibc", "arenas", "then", &arenas_then,
				     "change", &change, "rss_bytes", "change", &rss),
			 0);
	assert_string_equal(schema, "memdrift.explain-diff/1");
	assert_int_equal(arenas_then, 16);
	assert_int_equal(change, -1);
	assert_int_equal(rss, 100 * MB - 200 * KB);
	assert_true(json_is_true(json_object_get(root, "same_process")));
	assert_int_equal(json_array_size(json_object_get(root, "ledger")), LEDGER_COMPONENTS);
	json_decref(root);
	free(text);
	explain_side__free(&then);
	explain_side__free(&now);
}

/* A reading with one member replaced, removed where value is NULL. path: "ledger.0.component". */
static char *with(const char *path, const char *value)
{
	struct explain_fixture fixture;
	json_t *root, *at;
	char *text, name[64];

	explain_fixture__fill(&fixture);
	root = at = explain_json__build(&fixture.report);
	for (; strchr(path, '.'); path = strchr(path, '.') + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "."), path);
		at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
				       : json_object_get(at, name);
	}
	if (value)
		json_object_set_new(at, path, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(at, path);
	text = json_dumps(root, 0);
	json_decref(root);
	return text;
}

static void errors_name_place_and_expectation(void **state)
{
	static const struct {
		const char *path, *value, *message;
	} cases[] = {
		{"schema", "\"memdrift.trace/1\"", "it is memdrift.trace/1"},
		{"schema", "\"memdrift.explain/2\"", "schema: expected \"memdrift.explain/1\""},
		{"schema", NULL, "it is missing"},
		{"schema", "7", "schema: expected"},
		{"pid", "0", "pid: expected a PID from 1 to 4194304"},
		{"pid", "4194305", "pid: expected a PID"},
		{"pid", "\"8212\"", "pid: expected a whole number"},
		{"pid", NULL, "pid: expected a whole number from 0 to 2^63 - 1; it is missing"},
		{"comm", "[]", "comm: expected a text, or null; it is a list"},
		{"rss_bytes", "-1", "rss_bytes: expected a whole number"},
		{"rss_bytes", "9223372036854775807", "rss_bytes: expected at most 2^56"},
		{"rss_bytes", "1.5", "rss_bytes: expected a whole number"},
		{"rss_bytes", "null", "rss_bytes: expected"},
		{"ledger", "{}", "ledger: expected a list"},
		{"ledger", NULL, "ledger: expected a list"},
		{"ledger", "[1]", "ledger[0]: expected an object; it is 1"},
		{"ledger.2.component", "\"gremlins\"", "ledger[2].component: expected"},
		{"ledger.2.component", "\"v8\"", "each component once; v8 is twice"},
		{"ledger.2.component", "null", "ledger[2].component: expected"},
		{"ledger.3.resident_bytes", "-5", "ledger[3].resident_bytes: expected"},
		{"ledger.3.resident_bytes", "72057594037927937", "at most 2^56"},
		{"ledger.3.reserved_bytes", "true", "ledger[3].reserved_bytes: expected"},
		{"glibc", "[]", "glibc: expected an object"},
		{"glibc.in_use_bytes", "1e30", "glibc.in_use_bytes: expected a whole number"},
		{"glibc.arenas", "72057594037927937", "glibc.arenas: expected at most 2^56"},
		{"go.version", "{}", "version: expected a text"},
		{"go.gomemlimit_bytes", "9223372036854775806", "go.gomemlimit_bytes: expected"},
		{"swap_bytes", "\"many\"", "swap_bytes: expected"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = with(cases[i].path, cases[i].value);

		expect_refused(text, cases[i].message);
		free(text);
	}
}

static void what_is_no_json(void **state)
{
	char error[EXPLAIN_ERROR_MAX], *deep = malloc(100001);
	struct explain_side side;

	expect_refused("", "the file is empty; expected a report of `memdrift explain --json`");
	expect_refused("not json", "then.json: line 1, column");
	expect_refused("[]", "expected an object");
	expect_refused("7", "expected");
	assert_non_null(deep);
	memset(deep, '[', 100000);
	deep[100000] = '\0';
	expect_refused(deep, "expected a report in JSON");
	free(deep);
	assert_int_equal(explain_side__read(&side, "/nonexistent/\033.json", error), -ENOENT);
	expect_in(error, "cannot read /nonexistent/");
	assert_int_equal(explain_side__read(&side, "/", error), -EISDIR);
}

/* Cut anywhere it is refused; with any byte changed it is taken or refused, and that is all. */
static void damage_does_no_harm(void **state)
{
	char error[EXPLAIN_ERROR_MAX], *text = with("swap_bytes", "0");
	size_t size = strlen(text);
	struct explain_side side;

	for (size_t i = 0; i < size; i += 37) {
		char kept = text[i];

		text[i] = '\0';
		assert_int_not_equal(parse(&side, text, error), 0);
		assert_true(*error);
		for (const char *byte = "\"0}[\xff"; *byte; byte++) {
			text[i] = *byte;
			if (!parse(&side, text, error))
				explain_side__free(&side);
		}
		text[i] = kept;
	}
	free(text);
}

/* A report of an older build may lack figures: they are unknown. */
static void missing_figures_are_unknown(void **state)
{
	static const char *const optional[] = {"glibc",     "go",   "jemalloc", "swap_bytes",
					       "pss_bytes", "comm", "exe",      "start_time_ticks"};
	char error[EXPLAIN_ERROR_MAX];
	struct explain_side side;

	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++) {
		char *text = with(optional[i], NULL);

		if (parse(&side, text, error))
			fail_msg("%s", error);
		free(text);
		explain_side__free(&side);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_side_by_side),
		cmocka_unit_test(a_reading_and_itself),
		cmocka_unit_test(two_builds_of_a_job),
		cmocka_unit_test(differences_in_json),
		cmocka_unit_test(errors_name_place_and_expectation),
		cmocka_unit_test(what_is_no_json),
		cmocka_unit_test(damage_does_no_harm),
		cmocka_unit_test(missing_figures_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
