// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/units.h"

#define MB (1024ULL * 1024)

static void bytes_are_read_with_every_suffix(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"0", 0},
		{"4096", 4096},
		{"28B", 28},
		{"28b", 28},
		{"64M", 64 * MB},
		{"64m", 64 * MB},
		{"64MB", 64 * MB},
		{"64MiB", 64 * MB},
		{"64mb", 64 * MB},
		{"1.5G", 1536 * MB},
		{"0.5K", 512},
		{"1k", 1024},
		{"2T", 2048 * 1024 * MB},
		{"007", 7},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t bytes = UINT64_MAX;

		assert_int_equal(units_parse_bytes(cases[i].text, &bytes), 0);
		assert_true(bytes == cases[i].bytes);
	}
}

static void bad_bytes_are_refused_and_leave_the_result(void **state)
{
	static const char *const bad[] = {
		"",     " ",  " 1",   "1 ",       "-1",   "+1",   "M",    ".5M", "0x10",
		"0X10", "1x", "inf",  "nan",      "1MM",  "1Mi ", "1Bi",  "1iB", "1BB",
		"1Mx",  "1P", "1,5M", "64M,128M", "\xff", "1\n",  "1M\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint64_t bytes = 42;

		assert_int_equal(units_parse_bytes(bad[i], &bytes), -EINVAL);
		assert_true(bytes == 42);
	}
}

static void bytes_past_the_range_are_told_apart(void **state)
{
	uint64_t bytes = 42;

	assert_int_equal(units_parse_bytes("9223372036854775808", &bytes), -ERANGE);
	assert_int_equal(units_parse_bytes("8388608T", &bytes), -ERANGE);
	assert_int_equal(units_parse_bytes("99999999999999999999999999", &bytes), -ERANGE);
	assert_true(bytes == 42);
	assert_int_equal(units_parse_bytes("8388607T", &bytes), 0);
	assert_true(bytes == 8388607ULL << 40);
}

static void seconds_are_read_with_every_suffix(void **state)
{
	static const struct {
		const char *text;
		double seconds;
	} cases[] = {
		{"0", 0},    {"30", 30},   {"1.5s", 1.5},  {"200ms", 0.2},
		{"5m", 300}, {"2h", 7200}, {"7d", 604800}, {"0.25h", 900},
	};
	static const char *const bad[] = {"",    "s",  "-1",  "1 s", "1S",   "1sec", "1us",
					  "1ns", "1w", "1mm", "0x1", "1ms ", "inf",  "nan"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double seconds = -1;

		assert_int_equal(units_parse_seconds(cases[i].text, &seconds), 0);
		assert_true(fabs(seconds - cases[i].seconds) < 1e-9);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		double seconds = 42;

		assert_int_equal(units_parse_seconds(bad[i], &seconds), -EINVAL);
		assert_true(seconds == 42);
	}
}

static void percentages_are_bounded(void **state)
{
	static const char *const bad[] = {"",    "%",   "0",  "0%",  "1000.1", "1001%", "-5",
					  "5%%", "5 %", "5x", "0x5", "inf",    "nan"};
	double share;

	assert_int_equal(units_parse_percent("5%", &share), 0);
	assert_true(fabs(share - 0.05) < 1e-12);
	assert_int_equal(units_parse_percent("5", &share), 0);
	assert_true(fabs(share - 0.05) < 1e-12);
	assert_int_equal(units_parse_percent("0.1%", &share), 0);
	assert_true(fabs(share - 0.001) < 1e-12);
	assert_int_equal(units_parse_percent("100", &share), 0);
	assert_true(share == 1);
	assert_int_equal(units_parse_percent("400%", &share), 0);
	assert_true(share == 4);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(units_parse_percent(bad[i], &share), -EINVAL);
}

static void bytes_are_written_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{28, "28 B"},
		{1023, "1023 B"},
		{1024, "1.0 kB"},
		{1536, "1.5 kB"},
		{64 * MB, "64.0 MB"},
		{1018 * MB, "1,018.0 MB"},
		{9999 * MB, "9,999.0 MB"},
		/* The last that rounds to 9,999.9 kB, and the first that would have been 10,000.0.
		 */
		{10239948, "9,999.9 kB"},
		{10239949, "9.8 MB"},
		{10000 * MB, "9.8 GB"},
		{UINT64_MAX, "16.0 EB"},
	};
	char buf[UNIT_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_ptr_equal(units_format_bytes(buf, cases[i].bytes), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void deltas_carry_their_sign(void **state)
{
	char buf[UNIT_TEXT_MAX];

	assert_string_equal(units_format_delta(buf, 0), "0 B");
	assert_string_equal(units_format_delta(buf, -3), "-3 B");
	assert_string_equal(units_format_delta(buf, 3), "+3 B");
	assert_string_equal(units_format_delta(buf, 21495808), "+20.5 MB");
	assert_string_equal(units_format_delta(buf, INT64_MIN), "-8,192.0 PB");
	assert_string_equal(units_format_delta(buf, INT64_MAX), "+8,192.0 PB");
}

static void times_pick_their_unit(void **state)
{
	char buf[UNIT_TEXT_MAX];

	assert_string_equal(units_format_seconds(buf, 0), "0.000 s");
	assert_string_equal(units_format_seconds(buf, 2.1141), "2.114 s");
	assert_string_equal(units_format_seconds(buf, 744), "12.4 min");
	assert_string_equal(units_format_seconds(buf, 9000), "2.5 h");
	assert_string_equal(units_format_seconds(buf, 267840), "3.1 d");
	/* Whatever comes in stays within the buffer. */
	assert_true(strlen(units_format_seconds(buf, 1e300)) < UNIT_TEXT_MAX);
	assert_true(strlen(units_format_seconds(buf, -1e300)) < UNIT_TEXT_MAX);
	assert_true(strlen(units_format_seconds(buf, (double)NAN)) < UNIT_TEXT_MAX);
}

static void counts_are_grouped_in_threes(void **state)
{
	char buf[UNIT_TEXT_MAX];

	assert_string_equal(units_format_count(buf, 0), "0");
	assert_string_equal(units_format_count(buf, 999), "999");
	assert_string_equal(units_format_count(buf, 1000), "1,000");
	assert_string_equal(units_format_count(buf, 41208), "41,208");
	assert_string_equal(units_format_count(buf, 1234567), "1,234,567");
	assert_string_equal(units_format_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_read_with_every_suffix),
		cmocka_unit_test(bad_bytes_are_refused_and_leave_the_result),
		cmocka_unit_test(bytes_past_the_range_are_told_apart),
		cmocka_unit_test(seconds_are_read_with_every_suffix),
		cmocka_unit_test(percentages_are_bounded),
		cmocka_unit_test(bytes_are_written_for_people),
		cmocka_unit_test(deltas_carry_their_sign),
		cmocka_unit_test(times_pick_their_unit),
		cmocka_unit_test(counts_are_grouped_in_threes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
