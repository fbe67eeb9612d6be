// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "drift/series_file.h"

static char path[] = "/tmp/memdrift-series-XXXXXX";

#define SERIES_SEEN_MAX 8

struct seen {
	size_t count;
	char name[SERIES_SEEN_MAX][64];
	size_t samples[SERIES_SEEN_MAX];
	struct sample first;
	int64_t limit_bytes;
};

static int see(void *ctx, const struct series *series)
{
	struct seen *seen = ctx;

	assert_true(seen->count < SERIES_SEEN_MAX);
	snprintf(seen->name[seen->count], sizeof(seen->name[0]), "%s", series->name);
	seen->samples[seen->count] = series->count;
	seen->limit_bytes = series->limit_bytes;
	if (series->count && !seen->count)
		seen->first = series->samples[0];
	seen->count++;
	return 0;
}

static void write_bytes(const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static int read_text(const char *text, struct seen *seen, struct series_counts *counts, char *error)
{
	*seen = (struct seen){0};
	write_bytes(text, strlen(text));
	return series_file__read(path, see, seen, counts, error);
}

#define HEADER(name) "{\"series\": \"" name "\", \"interval_s\": 60, \"limit_bytes\": null}\n"
#define SAMPLE(name, t, rss)                     \
	"{\"series\": \"" name "\", \"t_s\": " t \
	", \"pid\": 1, \"start_time\": 2, \"rss_bytes\": " rss ", \"anon_bytes\": null}\n"

static void series_one_after_another_and_interleaved_are_read(void **state)
{
	struct series_counts counts;
	struct seen seen;
	char error[SERIES_ERROR_MAX];

	assert_int_equal(read_text(HEADER("a") SAMPLE("a", "0", "100") SAMPLE("a", "60", "300")
					   SAMPLE("a", "120", "200") HEADER("b")
						   SAMPLE("b", "0", "5") SAMPLE("a", "3600", "7")
							   SAMPLE("b", "7200", "6"),
				   &seen, &counts, error),
			 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.name[0], "a");
	/* Folded to hours: the median of three, then one. */
	assert_int_equal(seen.samples[0], 2);
	assert_int_equal(seen.first.value[COMPONENT_RSS], 200);
	assert_int_equal(seen.first.value[COMPONENT_ANON], SERIES_UNKNOWN);
	assert_int_equal(seen.first.value[COMPONENT_THREADS], SERIES_UNKNOWN);
	assert_int_equal(seen.limit_bytes, SERIES_UNKNOWN);
	assert_string_equal(seen.name[1], "b");
	assert_int_equal(seen.samples[1], 2);
	assert_int_equal(counts.samples, 6);
}

static void a_restart_within_an_hour_is_kept(void **state)
{
	struct series_counts counts;
	struct seen seen;
	char error[SERIES_ERROR_MAX];

	assert_int_equal(read_text(HEADER("a")
					   SAMPLE("a", "0", "1") "{\"series\": \"a\", \"t_s\": 60, "
								 "\"pid\": 9, \"rss_bytes\": 5}\n",
				   &seen, &counts, error),
			 0);
	assert_int_equal(seen.samples[0], 2);
}

static void values_that_cannot_be_are_unknown(void **state)
{
	static const char *const values[] = {"-5", "1e300", "NaN", "-Infinity", "null"};
	struct series_counts counts;
	struct seen seen;
	char error[SERIES_ERROR_MAX], text[512];

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		snprintf(text, sizeof(text),
			 HEADER("a") "{\"series\": \"a\", \"t_s\": 0, \"rss_bytes\": %s}\n",
			 values[i]);
		assert_int_equal(read_text(text, &seen, &counts, error), 0);
		assert_int_equal(seen.first.value[COMPONENT_RSS], SERIES_UNKNOWN);
		assert_int_equal(counts.odd, i != 4);
	}
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *line, *what;
	} cases[] = {
		{SAMPLE("a", "0", "1"), "line 1", "before the header"},
		{HEADER("a") SAMPLE("a", "60", "1") SAMPLE("a", "60", "1"), "line 3", "t_s"},
		{HEADER("a") SAMPLE("a", "60", "1") SAMPLE("a", "-5", "1"), "line 3", "t_s"},
		{HEADER("a") HEADER("a"), "line 2", "second header"},
		{HEADER("a") "\n[1, 2]\n", "line 3", "not an object"},
		{HEADER("a") "{\"series\": \"a\"", "line 2", "not JSON"},
		{"{\"interval_s\": 60}\n", "line 1", "series"},
		{HEADER("a") "{\"series\": \"a\", \"t_s\": \"x\"}\n", "line 2", "t_s"},
		{HEADER("a") "{\"series\": \"a\", \"t_s\": 1e300}\n", "line 2", "t_s"},
		{HEADER("a") "{\"series\": \"a\", \"t_s\": 1, \"pid\": -1}\n", "line 2", "pid"},
		{HEADER("a") "{\"series\": \"a\", \"t_s\": 1, \"rss_bytes\": []}\n", "line 2",
		 "rss_bytes"},
		{"{\"series\": \"a\", \"cpus\": -1}\n", "line 1", "cpus"},
	};
	struct series_counts counts;
	struct seen seen;
	char error[SERIES_ERROR_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(read_text(cases[i].text, &seen, &counts, error), -EINVAL);
		assert_non_null(strstr(error, cases[i].line));
		assert_non_null(strstr(error, cases[i].what));
	}
}

static void long_lines_and_bytes_0_are_refused(void **state)
{
	static const char zero[] = "{\"series\": \"a\"}\n\0\n{}\n{}\n";
	struct series_counts counts;
	struct seen seen = {0};
	char error[SERIES_ERROR_MAX];
	char *text = malloc(SERIES_LINE_MAX * 2);

	assert_non_null(text);
	memset(text, ' ', SERIES_LINE_MAX * 2);
	write_bytes(text, SERIES_LINE_MAX * 2);
	assert_int_equal(series_file__read(path, see, &seen, &counts, error), -EINVAL);
	assert_non_null(strstr(error, "longer"));
	free(text);
	write_bytes(zero, sizeof(zero));
	assert_int_equal(series_file__read(path, see, &seen, &counts, error), -EINVAL);
}

static void gzip_is_read_and_a_cut_one_refused(void **state)
{
	struct series_counts counts;
	struct seen seen = {0};
	char error[SERIES_ERROR_MAX];
	gzFile file = gzopen(path, "w");

	assert_non_null(file);
	gzputs(file, HEADER("a"));
	for (int i = 0; i < 5000; i++)
		gzprintf(file, "{\"series\": \"a\", \"t_s\": %d, \"rss_bytes\": %d}\n", i * 60,
			 i * 7919 % 100003);
	assert_int_equal(gzclose(file), Z_OK);
	assert_int_equal(series_file__read(path, see, &seen, &counts, error), 0);
	assert_int_equal(counts.samples, 5000);
	assert_int_equal(seen.samples[0], 84);
	assert_int_equal(truncate(path, 20000), 0);
	seen = (struct seen){0};
	assert_int_equal(series_file__read(path, see, &seen, &counts, error), -EINVAL);
	assert_true(strlen(error) > 0);
}

static void no_file_is_an_error(void **state)
{
	struct series_counts counts;
	struct seen seen = {0};
	char error[SERIES_ERROR_MAX];

	assert_int_equal(series_file__read("/nonexistent", see, &seen, &counts, error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent"));
	assert_int_equal(series_file__read("/", see, &seen, &counts, error), -EINVAL);
}

/* Random changes of a good file: whatever comes of it, nothing is read or written astray. */
static void changed_bytes_are_survived(void **state)
{
	static const char good[] = HEADER("a") SAMPLE("a", "0", "100") SAMPLE("a", "60", "300");
	uint64_t random = 1;
	struct series_counts counts;
	char error[SERIES_ERROR_MAX], text[sizeof(good)];
	struct seen seen;

	for (int round = 0; round < 3000; round++) {
		memcpy(text, good, sizeof(good));
		for (int i = 0; i < 3; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			text[(random >> 33) % (sizeof(good) - 1)] = (char)(random >> 20);
		}
		seen = (struct seen){0};
		write_bytes(text, sizeof(good) - 1);
		series_file__read(path, see, &seen, &counts, error);
	}
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(series_one_after_another_and_interleaved_are_read),
		cmocka_unit_test(a_restart_within_an_hour_is_kept),
		cmocka_unit_test(values_that_cannot_be_are_unknown),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(long_lines_and_bytes_0_are_refused),
		cmocka_unit_test(gzip_is_read_and_a_cut_one_refused),
		cmocka_unit_test(no_file_is_an_error),
		cmocka_unit_test(changed_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
