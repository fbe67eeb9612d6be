// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Function tables of Go as its linkers write them, whole and damaged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probe/go_functab.h"

#define MAGIC_1_2  0xfffffffbu
#define MAGIC_1_16 0xfffffffau
#define MAGIC_1_18 0xfffffff0u
#define MAGIC_1_20 0xfffffff1u

#define TEXT      0x401000u
#define NAMES_AT  128u
#define FUNCS_AT  512u
#define TABLE_MAX 1024u

static void put(uint8_t *bytes, size_t at, uint64_t value, size_t size)
{
	memcpy(bytes + at, &value, size);
}

/* Three functions, of 0x20, 0x40 and 0x10 bytes. */
static void make_table(uint8_t *bytes, uint32_t magic)
{
	static const char names[] = "\0runtime.text\0runtime.mallocgc\0main.main";
	static const struct {
		uint32_t offset, name;
	} functions[] = {{0, 1}, {0x20, 14}, {0x60, 31}, {0x70, 0}};
	bool oldest = magic == MAGIC_1_2, absolute = magic == MAGIC_1_16 || oldest;
	size_t words = absolute ? 24 : 32, entry = absolute ? 16 : 8;
	size_t funcs_at = oldest ? 16 : FUNCS_AT;

	memset(bytes, 0, TABLE_MAX);
	put(bytes, 0, magic, 4);
	bytes[6] = 1;
	bytes[7] = 8;
	put(bytes, 8, 3, 8);
	if (!absolute)
		put(bytes, 24, TEXT, 8);
	if (!oldest) {
		put(bytes, words, NAMES_AT, 8);
		put(bytes, words + 32, FUNCS_AT, 8);
	}
	memcpy(bytes + NAMES_AT, names, sizeof(names));
	for (size_t i = 0; i < 4; i++) {
		size_t described = 96 + i * 16;
		size_t at = funcs_at + i * entry;

		if (absolute)
			put(bytes, at, TEXT + functions[i].offset, 8);
		else
			put(bytes, at, functions[i].offset, 4);
		if (i == 3)
			break;
		/* All offsets of the oldest count from the table's begin. */
		put(bytes, at + entry / 2, described + (oldest ? FUNCS_AT : 0), entry / 2);
		put(bytes, FUNCS_AT + described, functions[i].offset, 4);
		put(bytes, FUNCS_AT + described + entry / 2,
		    functions[i].name + (oldest ? NAMES_AT : 0), 4);
	}
}

struct seen {
	unsigned int count;
	struct go_function mallocgc;
};

static int note(void *ctx, const struct go_function *function)
{
	struct seen *seen = ctx;

	seen->count++;
	if (!strcmp(function->name, "runtime.mallocgc"))
		seen->mallocgc = *function;
	return 0;
}

static void test_versions(void **state)
{
	static const uint32_t magics[] = {MAGIC_1_2, MAGIC_1_16, MAGIC_1_18, MAGIC_1_20};
	uint8_t bytes[TABLE_MAX];

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		struct go_functab table;
		struct seen seen = {0};

		make_table(bytes, magics[i]);
		assert_int_equal(go_functab__is_header(bytes, sizeof(bytes)), i > 0);
		assert_int_equal(go_functab__open(bytes, sizeof(bytes), &table), 0);
		assert_int_equal(go_functab__each(&table, note, &seen), 0);
		assert_int_equal(seen.count, 3);
		assert_int_equal(seen.mallocgc.vaddr, TEXT + 0x20);
		assert_int_equal(seen.mallocgc.size, 0x40);
		assert_int_equal(table.is_oldest, i == 0);
	}
}

static int stop(void *ctx, const struct go_function *function)
{
	return 7;
}

static void test_stops(void **state)
{
	uint8_t bytes[TABLE_MAX];
	struct go_functab table;

	make_table(bytes, MAGIC_1_20);
	assert_int_equal(go_functab__open(bytes, sizeof(bytes), &table), 0);
	assert_int_equal(go_functab__each(&table, stop, NULL), 7);
}

static void test_others(void **state)
{
	uint8_t bytes[TABLE_MAX];
	struct go_functab table;

	make_table(bytes, MAGIC_1_20);
	put(bytes, 0, 0xfffffff2, 4);
	assert_int_equal(go_functab__open(bytes, sizeof(bytes), &table), -ENOTSUP);
	make_table(bytes, MAGIC_1_20);
	bytes[7] = 4; /* 32-bit */
	assert_int_equal(go_functab__open(bytes, sizeof(bytes), &table), -ENOTSUP);
	assert_int_equal(go_functab__open(bytes, 3, &table), -ENOTSUP);
}

static void test_header_lies(void **state)
{
	static const struct {
		size_t at;
		uint64_t value;
	} lies[] = {{8, 1 << 20},     {8, UINT64_MAX}, {8, 64},    {32, 1024},
		    {32, UINT64_MAX}, {64, 1024},      {64, 1020}, {64, UINT64_MAX - 3}};
	uint8_t bytes[TABLE_MAX];
	struct go_functab table;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make_table(bytes, MAGIC_1_20);
		put(bytes, lies[i].at, lies[i].value, 8);
		assert_int_equal(go_functab__open(bytes, sizeof(bytes), &table), -EINVAL);
	}
}

/* Every byte damaged, every length: the sanitizers watch. On the heap, so that the end is seen. */
static void test_damage(void **state)
{
	static const uint32_t magics[] = {MAGIC_1_2, MAGIC_1_16, MAGIC_1_20};
	uint8_t bytes[TABLE_MAX];

	for (size_t i = 0; i < 3 * TABLE_MAX; i++) {
		static const uint8_t values[] = {0xff, 0x7f, 0x80, 0x04};

		make_table(bytes, magics[i % 3]);
		for (size_t v = 0; v < sizeof(values); v++) {
			size_t size = v ? TABLE_MAX : i / 3;
			uint8_t *copy = malloc(size ? size : 1);
			struct go_functab table;
			struct seen seen = {0};

			assert_non_null(copy);
			memcpy(copy, bytes, size);
			if (v)
				copy[i / 3] = values[v];
			if (!go_functab__open(copy, size, &table))
				go_functab__each(&table, note, &seen);
			assert_true(seen.count <= TABLE_MAX);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions), cmocka_unit_test(test_stops),
		cmocka_unit_test(test_others),   cmocka_unit_test(test_header_lies),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
