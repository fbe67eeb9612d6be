/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_UNIT_DIFF_FIXTURE_H
#define MEMDRIFT_TESTS_UNIT_DIFF_FIXTURE_H

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

/* The same as samples with their error. */
#define SAMPLE(bytes, error, groups)                                                         \
	REPORT(PROCESS(1, 1, "\"x\"", "\"/x\"", 1,                                           \
		       "{\"bytes\":" #bytes ",\"bytes_error\":" #error                       \
		       ",\"count\":9,\"count_error\":3,\"sampled\":true,\"groups\":[" groups \
		       "]}"))
#define ESTIMATE(bytes, error)                                                               \
	"{\"stack\":" LEAK ",\"min_bytes\":8,\"max_bytes\":15,\"count\":9,\"bytes\":" #bytes \
	",\"bytes_error\":" #error "}"

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

static inline int parse_bytes(struct report *report, const char *text, size_t size, char *error)
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

static inline void parse(struct report *report, const char *text)
{
	char error[REPORT_ERROR_MAX];

	if (parse_bytes(report, text, strlen(text), error))
		fail_msg("%s\n%s", error, text);
}

static inline void expect_refused(const char *text, const char *message)
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

static inline void compare(struct compared *compared, const char *a, const char *b)
{
	parse(&compared->a, a);
	parse(&compared->b, b);
	assert_int_equal(report_diff__build(&compared->diff, &compared->a, &compared->b), 0);
}

static inline void compared_free(struct compared *compared)
{
	report_diff__free(&compared->diff);
	report__free(&compared->a);
	report__free(&compared->b);
}

enum output { TEXT, JSON, FOLDED };

static inline char *write_output(const struct report_diff *diff, enum output output)
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

static inline void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in\n%s", part, text);
}

/* The lines are well-formed and add up to the totals. */
static inline void check_folded(const struct report_diff *diff)
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
static inline void check_text(const struct report_diff *diff)
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

static inline void check_json(const struct report_diff *diff)
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

#endif
