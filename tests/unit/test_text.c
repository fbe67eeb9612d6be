// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct text_case {
	const char *raw;
	const char *printable;
};

static void check_cases(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *text = text_printable_dup(cases[i].raw);

		assert_non_null(text);
		assert_string_equal(text, cases[i].printable);
		free(text);
	}
}

static void ordinary_names_pass_unchanged(void **state)
{
	static const struct text_case cases[] = {
		{"", ""},
		{"redis-server", "redis-server"},
		{"a b;c\"d\\e'", "a b;c\"d\\e'"},
		{"gr\xc3\xb6\xc3\x9f"
		 "e",
		 "gr\xc3\xb6\xc3\x9f"
		 "e"},
		{"\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		/* The first and last code point of each length. */
		{"\xc2\xa0", "\xc2\xa0"},
		{"\xdf\xbf", "\xdf\xbf"},
		{"\xe0\xa0\x80", "\xe0\xa0\x80"},
		{"\xef\xbf\xbf", "\xef\xbf\xbf"},
		{"\xf0\x90\x80\x80", "\xf0\x90\x80\x80"},
		{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
	};

	check_cases(cases, sizeof(cases) / sizeof(*cases));
}

static void controls_are_spelled_out(void **state)
{
	static const struct text_case cases[] = {
		{"\x1b[31mred", "\\x1b[31mred"},
		{"one\ntwo\r\t", "one\\x0atwo\\x0d\\x09"},
		{"\x7f", "\\x7f"},
		/* C1: U+009B is a terminal's CSI in one character. */
		{"\xc2\x9b"
		 "31m",
		 "\\xc2\\x9b"
		 "31m"},
		{"\xc2\x80", "\\xc2\\x80"},
	};

	check_cases(cases, sizeof(cases) / sizeof(*cases));
}

static void text_direction_cannot_be_turned(void **state)
{
	static const struct text_case cases[] = {
		{"\xe2\x80\xae"
		 "gnp",
		 "\\xe2\\x80\\xae"
		 "gnp"},                             /* U+202E override */
		{"\xe2\x80\xaa", "\\xe2\\x80\\xaa"}, /* U+202A */
		{"\xe2\x81\xa6", "\\xe2\\x81\\xa6"}, /* U+2066 isolate */
		{"\xe2\x81\xa9", "\\xe2\\x81\\xa9"}, /* U+2069 */
		{"\xe2\x80\x8e", "\\xe2\\x80\\x8e"}, /* U+200E mark */
		{"\xd8\x9c", "\\xd8\\x9c"},          /* U+061C Arabic letter mark */
		{"\xe2\x80\xa8", "\\xe2\\x80\\xa8"}, /* U+2028 line separator */
	};

	check_cases(cases, sizeof(cases) / sizeof(*cases));
}

static void malformed_utf8_is_spelled_out(void **state)
{
	static const struct text_case cases[] = {
		{"\x80", "\\x80"},
		{"\xff\xfe", "\\xff\\xfe"},
		{"\xc0\x80", "\\xc0\\x80"},                   /* overlong NUL */
		{"\xc1\xbf", "\\xc1\\xbf"},                   /* overlong DEL */
		{"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},          /* overlong, 3 bytes */
		{"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"}, /* overlong, 4 bytes */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
		{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
		{"a\xe2\x82", "a\\xe2\\x82"}, /* cut short by the end */
		{"\xe2\x82"
		 "a",
		 "\\xe2\\x82"
		 "a"},
		{"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
	};

	check_cases(cases, sizeof(cases) / sizeof(*cases));
}

static void a_small_buffer_gets_whole_characters_only(void **state)
{
	static const char raw[] = "ab\xe2\x82\xac\nc";
	static const char full[] = "ab\xe2\x82\xac\\x0ac";

	/* From one byte up: always a prefix that ends between characters, always terminated. */
	for (size_t size = 1; size <= sizeof(full) + 1; size++) {
		char *buf = malloc(size);
		size_t len;

		assert_non_null(buf);
		memset(buf, '#', size);
		assert_ptr_equal(text_printable(buf, size, raw), buf);
		len = strnlen(buf, size);
		assert_true(len < size);
		assert_memory_equal(buf, full, len);
		assert_true(len != 3 && len != 4 && !(len > 5 && len < 9));
		if (size >= sizeof(full))
			assert_string_equal(buf, full);
		free(buf);
	}
}

static void every_byte_pair_stays_in_bounds(void **state)
{
	for (unsigned a = 1; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const char raw[3] = {(char)a, (char)b, 0};
			char *text = text_printable_dup(raw);

			assert_non_null(text);
			for (const char *c = text; *c; c++)
				assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
			free(text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_names_pass_unchanged),
		cmocka_unit_test(controls_are_spelled_out),
		cmocka_unit_test(text_direction_cannot_be_turned),
		cmocka_unit_test(malformed_utf8_is_spelled_out),
		cmocka_unit_test(a_small_buffer_gets_whole_characters_only),
		cmocka_unit_test(every_byte_pair_stays_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
