// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Go programs with C in them: the rows of runtime.asmcgocall against its symbol and its code. The
 * program is that of tests/targets/go/sqlite_cgo.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "unwind/unwind_table.h"
#include "unwind_fixture.h"
#include "unwind_lookup.h"

#define PUSH_RBP 0x55

static struct unwind_rule shown_rules[UNWIND_RULES_MAX];

static int take_function(void *ctx, const struct elf_function *function)
{
	struct elf_function *found = ctx;

	if (strcmp(function->name, "runtime.asmcgocall.abi0") != 0)
		return 0;
	*found = *function;
	return 1;
}

static bool load_program(struct loaded *loaded)
{
	const char *build = getenv("BUILD");
	char path[4096];

	snprintf(path, sizeof(path), "%s/targets/go-sqlite_cgo", build ? build : "build");
	return load_file(loaded, path);
}

/* Of the runtime's assembler: what begins a goroutine or a thread is not far from asmcgocall. */
#define REACH 16384

static bool is_near(uint64_t a, uint64_t b)
{
	return a < b ? b - a < REACH : a - b < REACH;
}

/* In both tables: a switch behind each `call *%rax`, and frame pointers all around. */
static void check_table(const struct loaded *loaded, const struct elf_function *function,
			enum unwind_table_kind kind)
{
	struct unwind_rules *rules = unwind_rules__new(shown_rules);
	struct unwind_table table;
	uint8_t code[4096];
	unsigned int calls = 0;

	assert_true(function->size < sizeof(code));
	elf_object__read_code(loaded->elf, function->file_offset, code, function->size);
	assert_int_equal(unwind_table__build(&table, loaded->elf, kind, rules), 0);
	for (uint64_t i = 0; i + 2 <= function->size; i++) {
		bool is_call = code[i] == 0xff && code[i + 1] == 0xd0;
		uint64_t last = function->file_offset + i + 1;
		struct unwind_page page =
			table.pages[(last >> UNWIND_PAGE_SHIFT) - table.first_page];
		uint16_t rule = find_in_page(table.blocks, page, last & 4095);

		calls += is_call;
		if (is_call)
			assert_int_equal(shown_rules[rule].kind, UNWIND_GO_SWITCH);
		else if (kind == UNWIND_FULL && code[i + 1] != 0xff)
			assert_int_equal(shown_rules[rule].kind, UNWIND_FRAME_POINTER);
	}
	assert_int_equal(calls, 2);
	unwind_table__clear(&table);
	unwind_rules__free(rules);
}

static void test_stack_switch(void **state)
{
	struct elf_function function = {0};
	struct loaded loaded;
	size_t before, switches = 0, roots = 0;
	uint8_t first;

	if (!load_program(&loaded))
		skip();
	assert_int_equal(
		elf_object__each_function(loaded.elf, ELF_SYMTAB, take_function, &function), 1);
	before = loaded.rows.count;
	assert_int_equal(go_text__add_rows(loaded.elf, &loaded.rows), 0);
	for (size_t i = 0; i < loaded.rows.count; i++) {
		switches += loaded.rows.rows[i].rule.kind == UNWIND_GO_SWITCH;
		roots += loaded.rows.rows[i].rule.kind == UNWIND_ROOT &&
			 is_near(loaded.rows.rows[i].vaddr, function.vaddr);
		assert_true(!i || loaded.rows.rows[i].vaddr > loaded.rows.rows[i - 1].vaddr);
	}
	elf_object__read_code(loaded.elf, function.file_offset, &first, 1);
	/* Since Go 1.21 it has a frame of its own, and no row is needed. */
	assert_int_equal(switches, first == PUSH_RBP ? 0 : 2);
	/* goexit, mstart and rt0_go, in the same file of the runtime's assembler. */
	assert_int_equal(roots, 3);
	assert_int_equal(loaded.rows.count, before + 2 * (switches + roots));
	if (switches) {
		check_table(&loaded, &function, UNWIND_FULL);
		check_table(&loaded, &function, UNWIND_CALL_SITES);
	}
	unload_file(&loaded);
}

/* Nothing of Go in it. */
static void test_other_programs(void **state)
{
	struct loaded loaded;
	size_t before;

	assert_true(load_file(&loaded, unwind_files[0]));
	before = loaded.rows.count;
	assert_int_equal(go_text__add_rows(loaded.elf, &loaded.rows), 0);
	assert_int_equal(loaded.rows.count, before);
	unload_file(&loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_switch),
		cmocka_unit_test(test_other_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
