// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The rules against the allocators themselves, and the table against the rules. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analysis/size_class.h"

static const enum size_rules all_rules[] = {SIZE_RULES_GLIBC, SIZE_RULES_JEMALLOC, SIZE_RULES_GO};

#define RULES (sizeof(all_rules) / sizeof(all_rules[0]))

#ifndef __SANITIZE_ADDRESS__
/* All small ones, then in steps up to where chunks come from mmap: 15 MB in all. */
#define GLIBC_SMALL 4096
#define GLIBC_SIZES (GLIBC_SMALL + 90)

static size_t glibc_size(size_t i)
{
	return i < GLIBC_SMALL ? i : GLIBC_SMALL + (i - GLIBC_SMALL) * 1361;
}

/* A thread's arena is new: every chunk is cut from its top, none from what was freed before. */
static void *ask_glibc(void *ctx)
{
	static void *kept[GLIBC_SIZES];
	size_t *usable = ctx;

	for (size_t i = 0; i < GLIBC_SIZES; i++) {
		kept[i] = malloc(glibc_size(i));
		usable[i] = kept[i] ? malloc_usable_size(kept[i]) : 0;
	}
	for (size_t i = 0; i < GLIBC_SIZES; i++)
		free(kept[i]);
	return NULL;
}
#endif

static void test_glibc(void **state)
{
	assert_int_equal(size_class__bytes(SIZE_RULES_GLIBC, 100), 112);
	assert_int_equal(size_class__usable(SIZE_RULES_GLIBC, 100), 104);
	assert_int_equal(size_class__bytes(SIZE_RULES_GLIBC, 0), 32);
#ifdef __SANITIZE_ADDRESS__
	skip(); /* malloc is the sanitizer's */
#else
	static size_t usable[GLIBC_SIZES];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask_glibc, usable), 0);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < GLIBC_SIZES; i++)
		assert_int_equal(usable[i], size_class__usable(SIZE_RULES_GLIBC, glibc_size(i)));
#endif
}

static void test_jemalloc(void **state)
{
	void *library = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL);
	size_t (*ask)(size_t, int) = NULL;

	assert_int_equal(size_class__bytes(SIZE_RULES_JEMALLOC, 100), 112);
	assert_int_equal(size_class__usable(SIZE_RULES_JEMALLOC, 100), 112);
	assert_int_equal(size_class__bytes(SIZE_RULES_JEMALLOC, 0), 8);
	if (library)
		ask = (size_t(*)(size_t, int))dlsym(library, "nallocx");
	if (!ask)
		skip();
	for (size_t size = 1; size <= 70000; size++)
		assert_int_equal(size_class__bytes(SIZE_RULES_JEMALLOC, size), ask(size, 0));
	for (unsigned int k = 16; k < 61; k++) {
		for (int64_t step = -3; step <= 7; step++) {
			size_t size = (1ull << k) + (size_t)(step * (1ll << k) / 8) + (step & 1);

			assert_int_equal(size_class__bytes(SIZE_RULES_JEMALLOC, size),
					 ask(size, 0));
		}
	}
}

/* Go's own table is asked by tests/real/go_classes.sh. */
static void test_go(void **state)
{
	static const struct {
		uint64_t size, bytes;
	} cases[] = {{0, 0},
		     {1, 8},
		     {8, 8},
		     {9, 16},
		     {100, 112},
		     {112, 112},
		     {113, 128},
		     {1024, 1024},
		     {1025, 1152},
		     {32768, 32768},
		     {32769, 40960},
		     {40961, 49152},
		     {67108864, 67108864}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(size_class__bytes(SIZE_RULES_GO, cases[i].size), cases[i].bytes);
}

/* As bpf/size_class.h does it. */
static uint32_t place(const struct class_table *table, uint64_t size, uint64_t *bytes)
{
	struct class_place place;
	uint64_t last;
	uint32_t row;

	if (size <= table->table_max) {
		static const struct class_counts none;
		struct class_row one;

		row = table->rows[(size + CLASS_TABLE_STEP - 1) / CLASS_TABLE_STEP];
		size_class__read_row(table, &none, row, &one);
		assert_int_equal(one.min_bytes, one.max_bytes);
		assert_true(row < table->first_computed);
		*bytes = one.min_bytes;
		return row;
	}
	last = class_last_byte(table, size);
	place = class_place_of(table, last, 64 - (uint32_t)__builtin_clzll(last));
	*bytes = place.bytes;
	return place.row;
}

static void check_size(const struct class_table *table, uint64_t size)
{
	static const struct class_counts none;
	struct class_row row;
	uint64_t bytes;
	uint32_t at = place(table, size, &bytes);

	assert_int_equal(bytes, size_class__bytes(table->rules, size));
	assert_true(at < CLASS_ROWS);
	size_class__read_row(table, &none, at, &row);
	assert_true(row.min_bytes <= bytes);
	assert_true(bytes <= row.max_bytes);
}

static void test_table(void **state)
{
	for (size_t i = 0; i < RULES; i++) {
		struct class_table table;

		size_class__fill_table(all_rules[i], &table);
		assert_true(table.table_max % CLASS_TABLE_STEP == 0);
		for (uint64_t size = 0; size <= 70000; size++)
			check_size(&table, size);
		for (unsigned int k = 16; k < 61; k++) {
			for (int64_t step = -3; step <= 7; step++)
				check_size(&table, (1ull << k) + (uint64_t)(step * (1ll << k) / 8) +
							   (uint64_t)(step & 1));
		}
	}
}

/* Rows follow each other without gap or overlap. */
static void test_rows(void **state)
{
	static const struct class_counts none;

	for (size_t i = 0; i < RULES; i++) {
		struct class_table table;
		struct class_row row;
		uint64_t before = 0, own = all_rules[i] == SIZE_RULES_GLIBC ? 8 : 0;

		size_class__fill_table(all_rules[i], &table);
		for (uint32_t r = 0; r < CLASS_ROWS; r++) {
			size_class__read_row(&table, &none, r, &row);
			assert_true(row.min_bytes <= row.max_bytes);
			assert_true(!r || row.min_bytes > before);
			/* Its smallest serves what the largest of the row before does not. */
			if (r)
				assert_int_equal(row.min_bytes,
						 size_class__bytes(all_rules[i], before - own + 1));
			before = row.max_bytes;
			if (before > 1ull << 50)
				break;
		}
	}
}

static void test_sums(void **state)
{
	static struct class_counts counts;
	struct class_table table;
	struct class_row row, sum;

	size_class__fill_table(SIZE_RULES_GO, &table);
	memset(&counts, 0, sizeof(counts));
	counts.rows[table.rows[104 / 8]] = (struct class_count){10, 1000, 0};
	counts.rows[table.first_computed] = (struct class_count){2, 66000, 81920};
	size_class__read_row(&table, &counts, table.rows[104 / 8], &row);
	assert_int_equal(row.min_bytes, 112);
	assert_int_equal(row.class_bytes, 1120);
	size_class__sum(&table, &counts, &sum);
	assert_int_equal(sum.count, 12);
	assert_int_equal(sum.requested_bytes, 67000);
	assert_int_equal(sum.class_bytes, 83040);
}

static void test_names(void **state)
{
	enum size_rules rules;

	for (size_t i = 0; i < RULES; i++) {
		assert_int_equal(size_rules__parse(size_rules__name(all_rules[i]), &rules), 0);
		assert_int_equal(rules, all_rules[i]);
	}
	assert_int_equal(size_rules__parse("log2", &rules), 0);
	assert_int_equal(rules, SIZE_RULES_LOG2);
	assert_int_equal(size_rules__parse("musl", &rules), -EINVAL);
	assert_int_equal(size_rules__parse("", &rules), -EINVAL);
}

/* jemalloc wants more static TLS than the loader keeps for dlopen. */
static void keep_room_for_tls(char **argv)
{
	static const char variable[] = "GLIBC_TUNABLES";

	if (!getenv(variable) && !setenv(variable, "glibc.rtld.optional_static_tls=16384", 1))
		execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc), cmocka_unit_test(test_jemalloc),
		cmocka_unit_test(test_go),    cmocka_unit_test(test_table),
		cmocka_unit_test(test_rows),  cmocka_unit_test(test_sums),
		cmocka_unit_test(test_names),
	};

	keep_room_for_tls(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
