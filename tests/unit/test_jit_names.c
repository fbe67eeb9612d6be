// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* perf-PID.map as JITs write it, and as nobody should. This process is the JIT. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/jit_names.h"

#define START 5

static struct jit_names *jit;
static char path[64];

static void append(const void *bytes, size_t size)
{
	FILE *f = fopen(path, "ae");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void append_text(const char *text)
{
	append(text, strlen(text));
}

static int make(void **state)
{
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	unlink(path);
	jit = jit_names__new();
	return jit ? 0 : -1;
}

static int drop(void **state)
{
	jit_names__free(jit);
	unlink(path);
	rmdir(path);
	return 0;
}

static const struct jit_frame *find(uint64_t address, bool is_return)
{
	return jit_names__frame(
		jit, jit_names__find(jit, (uint32_t)getpid(), START, address, is_return));
}

static void expect(uint64_t address, const char *name)
{
	const struct jit_frame *frame = find(address, false);

	if (!name) {
		assert_null(frame);
		return;
	}
	assert_non_null(frame);
	assert_string_equal(frame->name, name);
	assert_int_equal(frame->address, address);
}

static void code_is_named_by_its_line(void **state)
{
	const struct jit_frame *frame;

	append_text("1000 20 LazyCompile:~work /srv/a b.js:3\n0x2000 0X10 second\n");
	expect(0xfff, NULL);
	expect(0x1000, "LazyCompile:~work /srv/a b.js:3");
	expect(0x101f, "LazyCompile:~work /srv/a b.js:3");
	expect(0x1020, NULL);
	expect(0x2008, "second");
	/* A return address behind the last byte is still in it, one at the first is not. */
	frame = find(0x1020, true);
	assert_non_null(frame);
	assert_int_equal(frame->start, 0x1000);
	assert_null(find(0x2000, true));
}

static void lines_that_come_later_are_read(void **state)
{
	append_text("1000 20 first\n2000 20 half");
	expect(0x1000, "first");
	expect(0x2000, NULL);
	append_text(" a name\n3000 10 third\n");
	expect(0x2000, "half a name");
	expect(0x3000, "third");
}

static void the_newest_code_at_a_place_counts(void **state)
{
	uint64_t before;

	append_text("1000 100 old\n");
	before = jit_names__find(jit, (uint32_t)getpid(), START, 0x1040, false);
	append_text("ff0 200 new\n");
	expect(0x1040, "new");
	/* A stack of before has its name of then. */
	assert_string_equal(jit_names__frame(jit, before)->name, "old");
	append_text("1040 10 newer\n");
	expect(0x1044, "newer");
	expect(0x1050, "new");
}

static void many_lines_are_found_as_a_few_are(void **state)
{
	static const unsigned int lines = 20000;
	char expected[32];
	FILE *f = fopen(path, "we");

	for (unsigned int i = 0; i < lines; i++)
		fprintf(f, "%x 10 generation1_%u\n", 0x100000 + i * 0x10, i);
	fclose(f);
	expect(0x100000, "generation1_0");
	/* In another order, over every second of them. */
	f = fopen(path, "ae");
	for (unsigned int i = lines; i; i -= 2)
		fprintf(f, "%x 10 generation2_%u\n", 0x100000 + (i - 2) * 0x10, i - 2);
	fclose(f);
	for (unsigned int i = 0; i < lines; i += 37) {
		snprintf(expected, sizeof(expected), "generation%d_%u", i % 2 ? 1 : 2, i);
		expect(0x100000 + i * 0x10 + 5, expected);
	}
}

static void a_file_that_begins_anew_is_read_anew(void **state)
{
	append_text("1000 20 first program, with a long name\n");
	expect(0x1000, "first program, with a long name");
	assert_int_equal(truncate(path, 0), 0);
	expect(0x1000, NULL);
	append_text("1000 20 second\n");
	expect(0x1000, "second");
}

static void lines_that_make_no_sense_are_skipped(void **state)
{
	static const char garbage[] = "\n \nxyz\n1000\n1000 \n1000 20\n1000 20 \n1000 0 empty\n"
				      "10000000000000000 10 too long\n1000 ffffffffffffffff0 x\n"
				      "ffffffffffffff00 200 over the end\n-1 10 minus\n"
				      "1000\t20\ttabs\n0x 20 none\n 1000 20 blank\n"
				      "5000 10 a\0b\n6000 10 \0\n";
	char *line = malloc(200000);

	append(garbage, sizeof(garbage) - 1);
	memset(line, 'y', 200000);
	memcpy(line, "7000 10 ", 8);
	line[199999] = '\n';
	append(line, 200000);
	append_text("2000 10 good\n");
	expect(0x2000, "good");
	expect(0x1000, NULL);
	expect(0x5000, "a");
	expect(0x6000, NULL);
	expect(0x7000, NULL);
	expect(UINT64_MAX, NULL);
	expect(0, NULL);
	free(line);
}

static void any_bytes_do_no_harm(void **state)
{
	static const char alphabet[] = "0123456789abcdefxX \n\n\n  zA\0\xff";
	unsigned int seed = 7;
	char bytes[4096];

	for (int i = 0; i < 300; i++) {
		for (size_t n = 0; n < sizeof(bytes); n++) {
			seed = seed * 1103515245 + 12345;
			bytes[n] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		append(bytes, sizeof(bytes));
		find(seed, i & 1);
		find(seed >> 20, i & 1);
	}
}

static void only_files_of_the_owner_or_root_count(void **state)
{
	if (getuid())
		skip();
	append_text("1000 20 first\n");
	assert_int_equal(chown(path, 12345, 12345), 0);
	expect(0x1000, NULL);
}

static void what_is_no_file_is_not_opened(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	expect(0x1000, NULL);
	unlink(path);
	assert_int_equal(symlink("/dev/zero", path), 0);
	expect(0x1000, NULL);
	unlink(path);
	assert_int_equal(symlink(path, path), 0);
	expect(0x1000, NULL);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect(0x1000, NULL);
}

/* Where the process sees its files, and by the PID that it sees. */
static void a_process_that_ended_has_the_names_of_before(void **state)
{
	uint64_t frame;

	append_text("1000 20 first\n");
	frame = jit_names__find(jit, (uint32_t)getpid(), START, 0x1000, false);
	jit_names__ended(jit, (uint32_t)getpid(), START);
	assert_string_equal(jit_names__frame(jit, frame)->name, "first");
	assert_null(jit_names__frame(jit, JIT_NONE));
	assert_null(jit_names__frame(jit, frame + 1));
	/* Of a process that is not there. */
	assert_int_equal(jit_names__find(jit, UINT32_MAX, START, 0x1000, false), JIT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(code_is_named_by_its_line, make, drop),
		cmocka_unit_test_setup_teardown(lines_that_come_later_are_read, make, drop),
		cmocka_unit_test_setup_teardown(the_newest_code_at_a_place_counts, make, drop),
		cmocka_unit_test_setup_teardown(many_lines_are_found_as_a_few_are, make, drop),
		cmocka_unit_test_setup_teardown(a_file_that_begins_anew_is_read_anew, make, drop),
		cmocka_unit_test_setup_teardown(lines_that_make_no_sense_are_skipped, make, drop),
		cmocka_unit_test_setup_teardown(any_bytes_do_no_harm, make, drop),
		cmocka_unit_test_setup_teardown(only_files_of_the_owner_or_root_count, make, drop),
		cmocka_unit_test_setup_teardown(what_is_no_file_is_not_opened, make, drop),
		cmocka_unit_test_setup_teardown(a_process_that_ended_has_the_names_of_before, make,
						drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
