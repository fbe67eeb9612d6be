// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Tables of one object: what a walk finds in them is what the rows say; the table of call sites
 * says the same as the full one wherever a call returns to. Calls are found by capstone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <capstone/capstone.h>
#include <cmocka.h>
#include <elf.h>

#include "unwind/call_sites.h"
#include "unwind/table_pages.h"
#include "unwind/unwind_table.h"
#include "unwind_fixture.h"
#include "unwind_lookup.h"

static struct unwind_rule shown_rules[UNWIND_RULES_MAX];
static csh capstone;

static struct unwind_rule look_up(const struct unwind_table *table, uint64_t offset)
{
	uint64_t page = (offset >> UNWIND_PAGE_SHIFT) - table->first_page;

	if (page >= table->page_count)
		return shown_rules[0];
	return shown_rules[find_in_page(table->blocks, table->pages[page],
					offset & ((1u << UNWIND_PAGE_SHIFT) - 1))];
}

/* What the format promises of every page. */
static void check_pages(const struct unwind_table *table, const struct unwind_rules *rules)
{
	for (uint32_t i = 0; i < table->page_count; i++) {
		struct unwind_page page = table->pages[i];
		const struct unwind_row *rows = table->blocks[page.block].rows + page.first;

		if (!page.count)
			continue;
		assert_true(page.block < table->block_count);
		assert_true(page.first + page.count <= UNWIND_ROWS_PER_BLOCK);
		assert_int_equal(rows[0].from, 0);
		for (uint16_t j = 0; j < page.count; j++) {
			assert_true(rows[j].rule < unwind_rules__count(rules));
			assert_true(!j || rows[j].from > rows[j - 1].from);
			assert_true(!j || rows[j].rule != rows[j - 1].rule);
		}
	}
}

static void build_table(struct unwind_table *table, struct elf_object *elf,
			enum unwind_table_kind kind, struct unwind_rules *rules)
{
	assert_int_equal(unwind_table__build(table, elf, kind, rules), 0);
	assert_int_equal(table->rows_dropped, 0);
	check_pages(table, rules);
}

static void print_size(const char *path, const char *kind, const struct unwind_table *table)
{
	print_message("%s: %s %lu rows, %u with copies, %u KiB, %.1f ms\n", path, kind,
		      table->frame_rows, table->row_count,
		      4 * (table->block_count + unwind_table__index_blocks(table)),
		      (double)table->build_ns / 1e6);
}

/* A short gap between functions that capstone finds no other instructions in than those that fill
 * up: the full table has no row of it. */
static bool is_padding(const struct loaded *loaded, size_t row)
{
	const struct frame_row *rows = loaded->rows.rows;
	uint8_t bytes[64];
	const uint8_t *code = bytes;
	uint64_t vaddr = rows[row].vaddr, offset;
	bool filling = true;
	size_t left;
	cs_insn *insn;

	if (!unwind_rule__equal(rows[row].rule, frame_gap_rule) || row + 1 == loaded->rows.count ||
	    rows[row + 1].vaddr - vaddr >= sizeof(bytes))
		return false;
	left = (size_t)(rows[row + 1].vaddr - vaddr);
	assert_int_equal(elf_object__file_offset(loaded->elf, vaddr, &offset), 0);
	elf_object__read_code(loaded->elf, offset, bytes, left);
	insn = cs_malloc(capstone);
	while (left && filling) {
		if (*code == 0) {
			code++;
			left--;
			continue;
		}
		filling = cs_disasm_iter(capstone, &code, &left, &vaddr, insn) &&
			  (insn->id == X86_INS_NOP || insn->id == X86_INS_INT3);
	}
	cs_free(insn, 1);
	return filling;
}

/* Unknown rows are in all tables the same. */
static void compare_rows(const struct loaded *loaded, const struct unwind_table *full)
{
	for (size_t i = 0; i < loaded->rows.count; i++) {
		uint64_t vaddr = loaded->rows.rows[i].vaddr, offset;

		assert_int_equal(elf_object__file_offset(loaded->elf, vaddr, &offset), 0);
		if (is_padding(loaded, i))
			continue;
		assert_true(unwind_rule__equal(look_up(full, offset), loaded->rows.rows[i].rule));
		if (!i || is_padding(loaded, i - 1) ||
		    elf_object__file_offset(loaded->elf, vaddr - 1, &offset))
			continue;
		assert_true(
			unwind_rule__equal(look_up(full, offset), loaded->rows.rows[i - 1].rule));
	}
}

static void test_rows_of_installed_files(void **state)
{
	struct unwind_rules *rules = unwind_rules__new(shown_rules);

	for (size_t i = 0; i < UNWIND_FILE_COUNT; i++) {
		struct unwind_table full, calls;
		struct loaded loaded;

		if (!load_file(&loaded, unwind_files[i]))
			continue;
		build_table(&full, loaded.elf, UNWIND_FULL, rules);
		build_table(&calls, loaded.elf, UNWIND_CALL_SITES, rules);
		print_size(unwind_files[i], "full", &full);
		print_size(unwind_files[i], "call sites", &calls);
		compare_rows(&loaded, &full);
		assert_int_equal(full.first_page, calls.first_page);
		assert_int_equal(full.page_count, calls.page_count);
		assert_true(calls.frame_rows * 2 < full.frame_rows);
		unwind_table__clear(&full);
		unwind_table__clear(&calls);
		unload_file(&loaded);
	}
	assert_int_equal(unwind_rules__refused(rules), 0);
	unwind_rules__free(rules);
}

/* Without section headers .eh_frame is found as the unwinder of gcc finds it. */
static void test_file_without_sections(void **state)
{
	struct unwind_rules *rules = unwind_rules__new(shown_rules);
	struct unwind_table table;
	struct elf_object *elf;
	struct loaded loaded;
	int fd = memfd_create("bare", MFD_CLOEXEC);
	Elf64_Ehdr *header;
	size_t size;

	assert_true(load_file(&loaded, unwind_files[0]));
	size = (size_t)lseek(loaded.fd, 0, SEEK_END);
	header = malloc(size);
	assert_int_equal(pread(loaded.fd, header, size, 0), size);
	header->e_shoff = 0;
	header->e_shnum = header->e_shstrndx = 0;
	assert_int_equal(write(fd, header, size), size);
	assert_int_equal(elf_object__open(fd, "bare", &elf), 0);
	build_table(&table, elf, UNWIND_FULL, rules);
	compare_rows(&loaded, &table);
	unwind_table__clear(&table);
	elf_object__close(elf);
	unload_file(&loaded);
	free(header);
	close(fd);
	unwind_rules__free(rules);
}

static bool is_call(const cs_insn *insn)
{
	return insn->id == X86_INS_CALL || insn->id == X86_INS_SYSCALL;
}

static uint64_t compare_calls(const struct loaded *loaded, const struct elf_code_segment *segment,
			      const struct unwind_table *full, const struct unwind_table *calls)
{
	uint8_t *bytes = malloc(segment->size);
	const uint8_t *code = bytes;
	size_t left = segment->size;
	uint64_t offset = segment->file_offset, count = 0;
	cs_insn *insn = cs_malloc(capstone);

	assert_int_equal(elf_object__read_code(loaded->elf, offset, bytes, left), left);
	while (cs_disasm_iter(capstone, &code, &left, &offset, insn)) {
		uint64_t last = offset - 1;

		if (!is_call(insn))
			continue;
		count++;
		if (!unwind_rule__equal(look_up(full, last), look_up(calls, last)))
			fail_msg("another rule behind the call that ends at 0x%lx", offset);
	}
	cs_free(insn, 1);
	free(bytes);
	return count;
}

static void test_rules_behind_calls(void **state)
{
	static const char *const files[] = {"/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/git",
					    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"};
	struct unwind_rules *rules = unwind_rules__new(shown_rules);

	/* Goes on behind what is no instruction. */
	cs_option(capstone, CS_OPT_SKIPDATA, CS_OPT_ON);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct unwind_table full, calls;
		struct loaded loaded;
		uint64_t count = 0;

		if (!load_file(&loaded, files[i]))
			continue;
		build_table(&full, loaded.elf, UNWIND_FULL, rules);
		build_table(&calls, loaded.elf, UNWIND_CALL_SITES, rules);
		for (size_t j = 0; j < loaded.segment_count; j++)
			count += compare_calls(&loaded, &loaded.segments[j], &full, &calls);
		print_message("%s: %lu calls\n", files[i], count);
		assert_true(count > 10000);
		unwind_table__clear(&full);
		unwind_table__clear(&calls);
		unload_file(&loaded);
	}
	cs_option(capstone, CS_OPT_SKIPDATA, CS_OPT_OFF);
	unwind_rules__free(rules);
}

/* Code in memory, at address 0x1000. */
struct code {
	const uint8_t *bytes;
	size_t size;
};

#define CODE_AT 0x1000

static long read_bytes(void *ctx, uint64_t vaddr, void *buf, size_t size)
{
	const struct code *code = ctx;

	if (vaddr < CODE_AT || vaddr >= CODE_AT + code->size)
		return -ERANGE;
	if (size > code->size - (vaddr - CODE_AT))
		size = code->size - (vaddr - CODE_AT);
	memcpy(buf, code->bytes + (vaddr - CODE_AT), size);
	return (long)size;
}

static struct unwind_rule sp_rule(int32_t offset)
{
	return (struct unwind_rule){.kind = UNWIND_SP, .offset = offset};
}

/*
 * The bytes in a row of their own behind a nop and before one: at how many of the lengths that the
 * row can have it is kept. A call of n bytes at the end: at all from n on.
 */
static size_t shortest_kept(const uint8_t *bytes, size_t size)
{
	size_t shortest = 0;

	for (size_t length = size; length; length--) {
		struct code code = {bytes, size};
		struct frame_rows rows = {0};

		frame_rows__append(&rows, CODE_AT, sp_rule(8));
		frame_rows__append(&rows, CODE_AT + 1, sp_rule(16));
		if (length < size)
			frame_rows__append(&rows, CODE_AT + length, sp_rule(24));
		assert_int_equal(call_sites__prune(&rows, CODE_AT + size, read_bytes, &code), 0);
		if (rows.count > 1 && rows.rows[1].rule.offset == 16)
			shortest = length;
		frame_rows__clear(&rows);
	}
	return shortest;
}

#define KEPT(...) shortest_kept((const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static void test_forms_of_calls(void **state)
{
	assert_int_equal(KEPT(0x90, 0xe8, 1, 2, 3, 4, 0x90), 6);
	assert_int_equal(KEPT(0x90, 0xe8, 1, 2, 3), 0); /* cut off */
	assert_int_equal(KEPT(0x90, 0x0f, 0x05, 0x90), 3);
	assert_int_equal(KEPT(0x90, 0xff, 0xd0, 0x90), 3);                   /* *%rax */
	assert_int_equal(KEPT(0x90, 0x41, 0xff, 0xd3, 0x90), 4);             /* *%r11 */
	assert_int_equal(KEPT(0x90, 0xff, 0x10, 0x90), 3);                   /* *(%rax) */
	assert_int_equal(KEPT(0x90, 0xff, 0x15, 1, 2, 3, 4, 0x90), 7);       /* *x(%rip) */
	assert_int_equal(KEPT(0x90, 0xff, 0x50, 8, 0x90), 4);                /* *8(%rax) */
	assert_int_equal(KEPT(0x90, 0xff, 0x90, 1, 2, 3, 4, 0x90), 7);       /* *x(%rax) */
	assert_int_equal(KEPT(0x90, 0xff, 0x14, 0xc8, 0x90), 4);             /* *(%rax,%rcx,8) */
	assert_int_equal(KEPT(0x90, 0xff, 0x54, 0x24, 8, 0x90), 5);          /* *8(%rsp) */
	assert_int_equal(KEPT(0x90, 0xff, 0x14, 0xc5, 1, 2, 3, 4, 0x90), 8); /* *x(,%rax,8) */
	assert_int_equal(KEPT(0x90, 0xff, 0x94, 0x24, 1, 2, 3, 4, 0x90), 8); /* *x(%rsp) */
	assert_int_equal(KEPT(0x90, 0xff, 0xe0, 0x90), 0);                   /* jmp *%rax */
	assert_int_equal(KEPT(0x90, 0x0f, 0x04, 0x90), 0);
}

/* A long row, longer than the window that is looked through, with a call at its very end. */
static void test_long_rows(void **state)
{
	static uint8_t bytes[(1 << 20) + 8];
	struct code code = {bytes, sizeof(bytes)};

	/* At every place about the middle, where one piece ends and the next begins, and the end.
	 */
	for (size_t end = sizeof(bytes) - 16; end <= sizeof(bytes); end++) {
		for (unsigned int half = 1; half <= 2; half++) {
			struct frame_rows rows = {0};

			memset(bytes, 0x90, sizeof(bytes));
			bytes[end / half - 5] = 0xe8;
			frame_rows__append(&rows, CODE_AT, sp_rule(8));
			frame_rows__append(&rows, CODE_AT + 1, sp_rule(16));
			call_sites__prune(&rows, CODE_AT + sizeof(bytes), read_bytes, &code);
			assert_int_equal(rows.count, 2);
			frame_rows__clear(&rows);
		}
	}
}

/* Signal frames and roots are entered without a call. */
static void test_kept_rows(void **state)
{
	static const uint8_t bytes[64];
	struct code code = {bytes, sizeof(bytes)};
	struct frame_rows rows = {0};

	frame_rows__append(&rows, CODE_AT, sp_rule(8));
	frame_rows__append(&rows, CODE_AT + 8, (struct unwind_rule){.kind = UNWIND_SIGNAL});
	frame_rows__append(&rows, CODE_AT + 16, sp_rule(16));
	frame_rows__append(&rows, CODE_AT + 24, (struct unwind_rule){.kind = UNWIND_ROOT});
	/* Beyond what can be read: kept. */
	frame_rows__append(&rows, CODE_AT + 100, sp_rule(24));
	call_sites__prune(&rows, CODE_AT + 200, read_bytes, &code);
	assert_int_equal(rows.count, 4);
	assert_int_equal(rows.rows[2].rule.kind, UNWIND_ROOT);
	frame_rows__clear(&rows);
}

static void fill(struct unwind_table *table, const struct frame_rows *rows,
		 const struct elf_code_segment *segments, size_t count, struct unwind_rules *rules)
{
	struct code_map map = {.count = count};

	memset(table, 0, sizeof(*table));
	memcpy(map.segments, segments, count * sizeof(segments[0]));
	assert_int_equal(table_pages__fill(table, rows, &map, rules), 0);
	check_pages(table, rules);
}

/* Segments that begin and end within pages, in the file's order another one, one page for both. */
static void test_segments(void **state)
{
	static const struct elf_code_segment segments[] = {
		{0x401100, 0x5800, 0x100}, /* the end of page 5 of the file */
		{0x502300, 0x1300, 0x4400} /* pages 1 to 5 */
	};
	struct unwind_rules *rules = unwind_rules__new(shown_rules);
	struct unwind_table table;
	struct frame_rows rows = {0};

	frame_rows__append(&rows, 0x401100, sp_rule(8));
	frame_rows__append(&rows, 0x401180, sp_rule(16));
	frame_rows__append(&rows, 0x502300, sp_rule(24));
	frame_rows__append(&rows, 0x505000, sp_rule(32));
	fill(&table, &rows, segments, 2, rules);
	assert_int_equal(table.first_page, 1);
	assert_int_equal(table.page_count, 5);
	assert_int_equal(look_up(&table, 0x12ff).kind, UNWIND_UNKNOWN);
	assert_int_equal(look_up(&table, 0x1300).offset, 24);
	assert_int_equal(look_up(&table, 0x3fff).offset, 24);
	assert_int_equal(look_up(&table, 0x4000).offset, 32);
	assert_int_equal(look_up(&table, 0x56ff).offset, 32);
	assert_int_equal(look_up(&table, 0x5700).kind, UNWIND_UNKNOWN);
	assert_int_equal(look_up(&table, 0x5800).offset, 8);
	assert_int_equal(look_up(&table, 0x5880).offset, 16);
	assert_int_equal(look_up(&table, 0x5900).kind, UNWIND_UNKNOWN);
	/* Pages of one rule share a row: 2 and 3. */
	assert_int_equal(table.pages[1].first, table.pages[2].first);
	frame_rows__clear(&rows);
	unwind_table__clear(&table);
	unwind_rules__free(rules);
}

/* More rows in a page than a block holds: the first ones are right, the rest is unknown. */
static void test_crowded_page(void **state)
{
	static const struct elf_code_segment segment = {0x401000, 0x1000, 0x2000};
	struct unwind_rules *rules = unwind_rules__new(shown_rules);
	struct unwind_table table;
	struct frame_rows rows = {0};

	for (uint32_t i = 0; i < 2000; i++)
		frame_rows__append(&rows, 0x401000 + i, sp_rule(i % 2 ? 8 : 16));
	frame_rows__append(&rows, 0x402000, sp_rule(24));
	fill(&table, &rows, &segment, 1, rules);
	assert_int_equal(table.pages[0].count, UNWIND_ROWS_PER_BLOCK);
	for (uint32_t i = 0; i < 2000; i++) {
		struct unwind_rule rule = look_up(&table, 0x1000 + i);

		if (i < UNWIND_ROWS_PER_BLOCK - 1)
			assert_int_equal(rule.offset, i % 2 ? 8 : 16);
		else
			assert_int_equal(rule.kind, UNWIND_UNKNOWN);
	}
	assert_int_equal(look_up(&table, 0x2000).offset, 24);
	assert_int_equal(table.rows_dropped, 2000 - (UNWIND_ROWS_PER_BLOCK - 1));
	frame_rows__clear(&rows);
	unwind_table__clear(&table);
	unwind_rules__free(rules);
}

static void test_too_many_rules(void **state)
{
	struct unwind_rules *rules = unwind_rules__new(shown_rules);

	for (int32_t i = 1; i < UNWIND_RULES_MAX; i++)
		assert_int_equal(unwind_rules__intern(rules, sp_rule(i * 8)), i);
	assert_int_equal(unwind_rules__intern(rules, sp_rule(4)), 0);
	assert_int_equal(unwind_rules__intern(rules, sp_rule(80)), 10);
	assert_int_equal(unwind_rules__count(rules), UNWIND_RULES_MAX);
	assert_int_equal(unwind_rules__refused(rules), 1);
	unwind_rules__free(rules);
}

static int open_capstone(void **state)
{
	return cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK ? 0 : -1;
}

static int close_capstone(void **state)
{
	return cs_close(&capstone) == CS_ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_of_installed_files),
		cmocka_unit_test(test_file_without_sections),
		cmocka_unit_test(test_rules_behind_calls),
		cmocka_unit_test(test_forms_of_calls),
		cmocka_unit_test(test_long_rows),
		cmocka_unit_test(test_kept_rows),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_crowded_page),
		cmocka_unit_test(test_too_many_rules),
	};

	return cmocka_run_group_tests(tests, open_capstone, close_capstone);
}
