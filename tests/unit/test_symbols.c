// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memdrift/record.h"
#include "stack/names.h"
#include "self_stacks.h"
#include "stack/symbols.h"

/* Never inlined, and kept by name in .symtab: the tests look for them by address. */
__attribute__((noinline, used)) static int landmark_one(int x)
{
	return x * 3 + 1;
}

__attribute__((noinline, used)) static int landmark_two(int x)
{
	return x * 5 + landmark_one(x);
}

static void a_symbol_covers_its_size_and_no_more(void **state)
{
	struct symbol_table *table = symbol_table__new();
	uint64_t start = 0;

	symbol_table__add(table, 0x2000, 0x10, "second", 0);
	symbol_table__add(table, 0x1000, 0x20, "first", 0);
	symbol_table__finish(table);
	assert_null(symbol_table__find(table, 0xfff, NULL));
	assert_string_equal(symbol_table__find(table, 0x1000, &start), "first");
	assert_int_equal(start, 0x1000);
	assert_string_equal(symbol_table__find(table, 0x101f, NULL), "first");
	assert_null(symbol_table__find(table, 0x1020, NULL));
	assert_string_equal(symbol_table__find(table, 0x200f, NULL), "second");
	assert_null(symbol_table__find(table, 0x2010, NULL));
	assert_null(symbol_table__find(table, UINT64_MAX, NULL));
	symbol_table__free(table);
}

static void an_empty_table_has_no_names(void **state)
{
	struct symbol_table *table = symbol_table__new();

	symbol_table__finish(table);
	assert_null(symbol_table__find(table, 0, NULL));
	symbol_table__free(table);
}

static void a_function_without_size_reaches_to_the_next(void **state)
{
	struct symbol_table *table = symbol_table__new();

	symbol_table__add(table, 0x1000, 0, "assembler", 0);
	symbol_table__add(table, 0x1100, 8, "next", 0);
	symbol_table__add(table, 0x9000, 0, "last", 0);
	symbol_table__finish(table);
	assert_string_equal(symbol_table__find(table, 0x10ff, NULL), "assembler");
	assert_string_equal(symbol_table__find(table, 0x1100, NULL), "next");
	assert_null(symbol_table__find(table, 0x1108, NULL));
	assert_string_equal(symbol_table__find(table, 0x9fff, NULL), "last");
	assert_null(symbol_table__find(table, 0xa000, NULL));
	symbol_table__free(table);
}

static void a_function_around_another_is_found_behind_it(void **state)
{
	struct symbol_table *table = symbol_table__new();

	symbol_table__add(table, 0x1000, 0x100, "outer", 0);
	symbol_table__add(table, 0x1040, 0x10, "inner", 0);
	symbol_table__finish(table);
	assert_string_equal(symbol_table__find(table, 0x1045, NULL), "inner");
	assert_string_equal(symbol_table__find(table, 0x1080, NULL), "outer");
	symbol_table__free(table);
}

static void the_public_name_wins(void **state)
{
	struct symbol_table *table = symbol_table__new();

	symbol_table__add(table, 0x1000, 4, "__libc_malloc", 0);
	symbol_table__add(table, 0x1000, 4, "zz_local", 1);
	symbol_table__add(table, 0x1000, 4, "malloc", 0);
	symbol_table__add(table, 0x2000, 0, "a_without_size", 0);
	symbol_table__add(table, 0x2000, 4, "b_with_size", 1);
	symbol_table__finish(table);
	assert_int_equal(symbol_table__count(table), 2);
	assert_string_equal(symbol_table__find(table, 0x1000, NULL), "malloc");
	assert_string_equal(symbol_table__find(table, 0x2000, NULL), "b_with_size");
	symbol_table__free(table);
}

static void stacks_are_named_by_function_and_return_addresses_by_their_call(void **state)
{
	struct self self = {.depth = 3};
	struct stack_source source = {&self, read_stack, read_maps};
	struct stack_names *names = stack_names__new(&source);
	struct process process = own_process();
	struct stack_namer namer = stack_names__namer(names);
	struct frame_name frames[8];

	/*
	 * A leaf at a function's first byte is in that function; a return address there would
	 * belong to whatever ends just before it.
	 */
	self.stack[0] = (uint64_t)(uintptr_t)landmark_one;
	self.stack[1] = (uint64_t)(uintptr_t)landmark_two + 1;
	self.stack[2] = 0;
	assert_int_equal(stack_names__note(names, &process, 3, STACK_LEAF_SITE), 0);
	assert_int_equal(stack_names__note(names, &process, 3, STACK_LEAF_SITE), 0);
	assert_int_equal(self.stacks_read, 1);
	self.gone = true;
	stack_names__ended(names, process.pid, process.start_ns);
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 3, frames, 8), 2);
	assert_string_equal(frames[0].text, "landmark_one");
	assert_string_equal(frames[1].text, "landmark_two");
	assert_string_equal(frames[0].object, "test_symbols");
	/* Asked for fewer frames, it gives no more. */
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 3, frames, 1), 1);
	/* Another process of the same pid has other stacks. */
	assert_int_equal(stack_namer__name(&namer, process.pid, 6, 3, frames, 8), 0);
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, STACK_NONE, frames, 8), 0);
	stack_names__free(names);
}

static void unknown_code_is_named_by_object_and_offset(void **state)
{
	struct self self = {.depth = 2};
	struct stack_source source = {&self, read_stack, read_maps};
	struct stack_names *names = stack_names__new(&source);
	struct process process = own_process();
	struct stack_namer namer = stack_names__namer(names);
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct frame_name frames[4];

	assert_true(code != MAP_FAILED);
	self.stack[0] = (uint64_t)(uintptr_t)code + 0x40;
	self.stack[1] = 0x123;
	assert_int_equal(stack_names__note(names, &process, 1, STACK_LEAF_SITE), 0);
	/* A caller outside all code is none: the stack ends before it. */
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 1, frames, 4), 1);
	assert_string_equal(frames[0].text, "[anon]+0x40");
	assert_string_equal(frames[0].object, "[anon]");
	self.stack[0] = 0x456;
	assert_int_equal(stack_names__note(names, &process, 2, STACK_LEAF_SITE), 0);
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 2, frames, 4), 2);
	assert_string_equal(frames[0].text, "[unknown]+0x456");
	assert_string_equal(frames[1].text, "[unknown]+0x123");
	munmap(code, 4096);
	stack_names__free(names);
}

static void strange_frames_do_not_make_maps_be_read_each_time(void **state)
{
	struct self self = {.depth = 1, .stack = {0x123}};
	struct stack_source source = {&self, read_stack, read_maps};
	struct stack_names *names = stack_names__new(&source);
	struct process process = own_process();

	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			stack_names__note(names, &process, i == 99 ? 1001 : i, STACK_LEAF_SITE), 0);
	assert_true(self.maps_read < 14);
	stack_names__free(names);
}

static void a_child_has_its_parents_stacks(void **state)
{
	struct self self = {.depth = 1};
	struct stack_source source = {&self, read_stack, read_maps};
	struct stack_names *names = stack_names__new(&source);
	struct process process = own_process();
	struct stack_namer namer = stack_names__namer(names);
	struct frame_name frames[4];

	self.stack[0] = (uint64_t)(uintptr_t)landmark_two;
	assert_int_equal(stack_names__note(names, &process, 1, STACK_LEAF_SITE), 0);
	assert_int_equal(stack_namer__name(&namer, 77, 8, 1, frames, 4), 0);
	stack_names__fork(names, 77, 8, process.pid, 5);
	assert_int_equal(stack_namer__name(&namer, 77, 8, 1, frames, 4), 1);
	assert_string_equal(frames[0].text, "landmark_two");
	assert_int_equal(stack_namer__name(&namer, 77, 9, 1, frames, 4), 0);
	stack_names__free(names);
}

static void a_process_that_is_gone_has_addresses_for_names(void **state)
{
	struct self self = {.depth = 1, .stack = {0xabc}, .gone = true};
	struct stack_source source = {&self, read_stack, read_maps};
	struct stack_names *names = stack_names__new(&source);
	struct process process = own_process();
	struct stack_namer namer = stack_names__namer(names);
	struct frame_name frames[4];

	assert_int_equal(stack_names__note(names, &process, 1, STACK_LEAF_SITE), 0);
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 1, frames, 4), 1);
	assert_string_equal(frames[0].text, "[unknown]+0xabc");
	assert_int_equal(stack_names__note(names, &process, 99, STACK_LEAF_SITE), -ENOENT);
	assert_int_equal(stack_namer__name(&namer, process.pid, 5, 99, frames, 4), 0);
	stack_names__free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_symbol_covers_its_size_and_no_more),
		cmocka_unit_test(an_empty_table_has_no_names),
		cmocka_unit_test(a_function_without_size_reaches_to_the_next),
		cmocka_unit_test(a_function_around_another_is_found_behind_it),
		cmocka_unit_test(the_public_name_wins),
		cmocka_unit_test(stacks_are_named_by_function_and_return_addresses_by_their_call),
		cmocka_unit_test(unknown_code_is_named_by_object_and_offset),
		cmocka_unit_test(strange_frames_do_not_make_maps_be_read_each_time),
		cmocka_unit_test(a_child_has_its_parents_stacks),
		cmocka_unit_test(a_process_that_is_gone_has_addresses_for_names),
	};

	return landmark_two(0) == 1 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
