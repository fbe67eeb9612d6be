// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Thousands of damaged .eh_frame sections and files, always the same ones: the sanitizers watch,
 * and what comes out keeps its promises however wrong it is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/log.h"
#include "unwind/call_sites.h"
#include "unwind/table_pages.h"
#include "unwind/unwind_table.h"
#include "unwind_fixture.h"

#define SEED         20230617u
#define SECTION_RUNS 3000
#define FILE_RUNS    300

/* Small ones, so that much of them is hit. */
static const char *const files[] = {"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
				    "/lib64/ld-linux-x86-64.so.2"};

static uint64_t random_state = SEED;

/* xorshift64: the same everywhere. */
static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void damage(uint8_t *bytes, size_t size)
{
	static const uint8_t odd[] = {0, 0xff, 0x80, 0x7f, 1, 0x0f, 0x10, 0x16};

	for (uint64_t i = next_random() % 16 + 1; i; i--) {
		size_t at = next_random() % size;
		size_t from = next_random() % size, length = next_random() % 64;

		switch (next_random() % 4) {
		case 0:
			bytes[at] = (uint8_t)next_random();
			break;
		case 1:
			bytes[at] = odd[next_random() % sizeof(odd)];
			break;
		case 2:
			bytes[at] ^= (uint8_t)(1u << next_random() % 8);
			break;
		default: /* something of another place */
			if (length > size - at)
				length = size - at;
			if (length > size - from)
				length = size - from;
			memmove(bytes + at, bytes + from, length);
		}
	}
}

static void check_rule(struct unwind_rule rule)
{
	assert_in_range(rule.kind, UNWIND_UNKNOWN, UNWIND_GO_SWITCH);
	assert_in_range(rule.bp_kind, UNWIND_BP_SAME, UNWIND_BP_LOST);
	if (rule.kind == UNWIND_SP)
		assert_true(rule.offset >= 8);
	if (rule.kind == UNWIND_PLT)
		assert_in_range(rule.offset, 0, 15);
}

static void check_rows(const struct frame_rows *rows, const struct loaded *loaded)
{
	assert_int_not_equal(rows->count, 0);
	assert_int_equal(rows->rows[0].vaddr, loaded->segments[0].vaddr);
	for (size_t i = 0; i < rows->count; i++) {
		const struct frame_row *row = &rows->rows[i];

		check_rule(row->rule);
		assert_true(row->vaddr < loaded->end);
		assert_true(!i || row->vaddr > row[-1].vaddr);
		assert_false(i && unwind_rule__equal(row->rule, row[-1].rule));
	}
}

static long read_code(void *ctx, uint64_t vaddr, void *buf, size_t size)
{
	const struct loaded *loaded = ctx;
	uint64_t offset;

	if (elf_object__file_offset(loaded->elf, vaddr, &offset))
		return -ERANGE;
	return elf_object__read_code(loaded->elf, offset, buf, size);
}

/* Whatever the rows are, they fit into pages. */
static void check_table(struct frame_rows *rows, struct loaded *loaded)
{
	static struct unwind_rule shown[UNWIND_RULES_MAX];
	struct unwind_rules *rules = unwind_rules__new(shown);
	struct unwind_table table = {0};
	struct code_map map = {.count = loaded->segment_count};

	memcpy(map.segments, loaded->segments, map.count * sizeof(map.segments[0]));
	assert_int_equal(call_sites__prune(rows, loaded->end, read_code, loaded), 0);
	assert_int_equal(table_pages__fill(&table, rows, &map, rules), 0);
	unwind_table__clear(&table);
	unwind_rules__free(rules);
}

static void read_damaged(struct loaded *loaded, const struct frame_section *section)
{
	struct frame_range range = {loaded->segments[0].vaddr, loaded->end};
	/* Sometimes cut off. Of its very size, so that a byte beyond it is noticed. */
	size_t size = next_random() % 8 ? section->size : next_random() % section->size + 1;
	struct frame_section damaged = *section;
	struct frame_rows rows = {0};
	uint8_t *bytes = malloc(size);

	memcpy(bytes, section->bytes, size);
	damage(bytes, size);
	damaged.bytes = bytes;
	damaged.size = size;
	damaged.is_debug_frame = next_random() % 16 == 0;
	damaged.ends_at_zero = next_random() % 16 == 0;
	assert_int_equal(frame_rows__read(&rows, &damaged, &range, 1), 0);
	check_rows(&rows, loaded);
	if (next_random() % 16 == 0)
		check_table(&rows, loaded);
	frame_rows__clear(&rows);
	free(bytes);
}

static void test_damaged_sections(void **state)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct elf_frame_info info;
		struct frame_section section;
		struct loaded loaded;

		if (!load_file(&loaded, files[i]))
			continue;
		assert_int_equal(loaded.segment_count, 1);
		assert_int_equal(elf_object__frame_info(loaded.elf, FRAME_SECTION_MAX_BYTES, &info),
				 0);
		section = (struct frame_section){
			.bytes = info.bytes, .size = info.size, .vaddr = info.vaddr};
		for (int run = 0; run < SECTION_RUNS / 2; run++)
			read_damaged(&loaded, &section);
		elf_frame_info__clear(&info);
		unload_file(&loaded);
	}
}

/* Headers, segments and sections too: most of the damage goes there. */
static void build_damaged(const uint8_t *bytes, size_t size)
{
	static struct unwind_rule shown[UNWIND_RULES_MAX];
	struct unwind_rules *rules = unwind_rules__new(shown);
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	uint8_t *damaged = malloc(size);
	struct elf_object *elf;
	struct unwind_table table;

	memcpy(damaged, bytes, size);
	damage(damaged, 0x400);
	damage(damaged + size - 0x900, 0x900);
	assert_int_equal(write(fd, damaged, size), size);
	if (!elf_object__open(fd, "damaged", &elf)) {
		for (unsigned int kind = 0; kind < UNWIND_TABLE_KINDS; kind++) {
			unwind_table__build(&table, elf, kind, rules);
			unwind_table__clear(&table);
		}
		elf_object__close(elf);
	}
	free(damaged);
	close(fd);
	unwind_rules__free(rules);
}

static void test_damaged_files(void **state)
{
	struct loaded loaded;
	long size;
	uint8_t *bytes;

	assert_true(load_file(&loaded, files[1]));
	size = lseek(loaded.fd, 0, SEEK_END);
	bytes = malloc((size_t)size);
	assert_int_equal(pread(loaded.fd, bytes, (size_t)size, 0), size);
	/* Each damaged file is warned of. */
	log_set_level(LOG_ERROR);
	for (int run = 0; run < FILE_RUNS; run++)
		build_damaged(bytes, (size_t)size);
	free(bytes);
	unload_file(&loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damaged_sections),
		cmocka_unit_test(test_damaged_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
