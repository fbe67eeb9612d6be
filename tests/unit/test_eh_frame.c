// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Call frame information put together by hand: the odd, the rare and the hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "eh_frame_maker.h"

#define FDE_AT   0x2000u
#define FDE_SIZE 0x100u

static void assert_rule(const struct frame_rows *rows, uint64_t vaddr, struct unwind_rule expected)
{
	const struct unwind_rule *rule = frame_rows__find(rows, vaddr);

	assert_non_null(rule);
	if (!unwind_rule__equal(*rule, expected))
		fail_msg("0x%lx: kind %u bp %u %d offset %d, not kind %u bp %u %d offset %d", vaddr,
			 rule->kind, rule->bp_kind, rule->bp_offset, rule->offset, expected.kind,
			 expected.bp_kind, expected.bp_offset, expected.offset);
}

static const struct unwind_rule unknown = {.kind = UNWIND_UNKNOWN};
static const struct unwind_rule entry = {.kind = UNWIND_SP, .offset = 8};

/* The rule at the end of one FDE with this program, behind a usual CIE. */
static struct unwind_rule run_program(const uint8_t *program, size_t size)
{
	struct maker maker = {.encoding = 0x1b};
	struct unwind_rule rule;
	struct frame_rows rows;
	size_t cie = put_usual_cie(&maker);

	put_fde(&maker, cie, FDE_AT, FDE_SIZE, program, size);
	read_made(&maker, &rows);
	assert_int_equal(rows.bad_entries, 0);
	/* However it ends: before and behind are gaps. */
	assert_rule(&rows, FDE_AT - 1, frame_gap_rule);
	assert_rule(&rows, FDE_AT + FDE_SIZE, frame_gap_rule);
	rule = *frame_rows__find(&rows, FDE_AT + FDE_SIZE - 1);
	frame_rows__clear(&rows);
	return rule;
}

#define assert_program(expected, ...)                                   \
	do {                                                            \
		struct unwind_rule got = run_program(CFI(__VA_ARGS__)); \
		struct unwind_rule wanted = expected;                   \
		assert_true(unwind_rule__equal(got, wanted));           \
	} while (0)

#define RULE(...) ((struct unwind_rule){__VA_ARGS__})

static void test_function_with_frame(void **state)
{
	struct maker maker = {.encoding = 0x1b};
	struct frame_rows rows;
	size_t cie = put_usual_cie(&maker);

	put_fde(&maker, cie, FDE_AT, FDE_SIZE,
		CFI(ADVANCE(1), DW_CFA_def_cfa_offset, 16, SAVED(6), 2, ADVANCE(3),
		    DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc1, 0x40, DW_CFA_def_cfa, 7, 8));
	put_fde(&maker, cie, FDE_AT + FDE_SIZE, 16, CFI(DW_CFA_nop));
	read_made(&maker, &rows);
	assert_int_equal(rows.fdes, 2);
	/* The second function begins with the rule that the first ended with, but for rbp. */
	assert_int_equal(rows.count, 7);
	assert_rule(&rows, CODE_START, frame_gap_rule);
	assert_rule(&rows, FDE_AT, entry);
	assert_rule(&rows, FDE_AT + 1, RULE(UNWIND_SP, UNWIND_BP_AT_CFA, -16, 16));
	assert_rule(&rows, FDE_AT + 4, RULE(UNWIND_BP, UNWIND_BP_AT_CFA, -16, 16));
	assert_rule(&rows, FDE_AT + 0x44, RULE(UNWIND_SP, UNWIND_BP_AT_CFA, -16, 8));
	assert_rule(&rows, FDE_AT + FDE_SIZE, entry);
	assert_rule(&rows, CODE_END - 1, frame_gap_rule);
	assert_null(frame_rows__find(&rows, CODE_START - 1));
	frame_rows__clear(&rows);
}

static void test_encodings(void **state)
{
	static const uint8_t good[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x0a,
				       0x0b, 0x0c, 0x10, 0x14, 0x1b, 0x1c, 0x50};
	/* Counted from elsewhere, by way of a pointer, of no such form, or left out. */
	static const uint8_t bad[] = {0x2b, 0x3b, 0x4b, 0x80, 0x9b, 0x05, 0x0f, 0xff};

	for (size_t i = 0; i < sizeof(good); i++) {
		struct maker maker = {.encoding = good[i]};
		struct frame_rows rows;

		put_fde(&maker, put_usual_cie(&maker), FDE_AT, FDE_SIZE, CFI(DW_CFA_nop));
		read_made(&maker, &rows);
		assert_int_equal(rows.count, 3);
		assert_rule(&rows, FDE_AT, entry);
		frame_rows__clear(&rows);
	}
	for (size_t i = 0; i < sizeof(bad); i++) {
		struct maker maker = {.encoding = bad[i]};
		struct frame_rows rows;
		size_t cie = put_usual_cie(&maker);

		maker.encoding = 0x0b;
		put_fde(&maker, cie, FDE_AT, FDE_SIZE, CFI(DW_CFA_nop));
		read_made(&maker, &rows);
		assert_int_equal(rows.bad_entries, 1);
		/* What it is about cannot be told, so that no gap is one. */
		assert_rule(&rows, FDE_AT, unknown);
		assert_rule(&rows, CODE_START, unknown);
		frame_rows__clear(&rows);
	}
}

static void test_augmentations(void **state)
{
	static const struct {
		const char *text;
		uint8_t data[8];
		size_t size;
		bool good;
	} cases[] = {
		{"", {0}, 0, true},
		{"z", {0}, 0, true},
		{"zR", {0x00}, 1, true},
		{"zPLR", {0x9b, 1, 2, 3, 4, 0x1b, 0x00}, 7, true},
		{"zPLR", {0x01, 0x81, 1, 0x1b, 0x00}, 5, true}, /* a pointer as ULEB128 */
		{"zPR", {0xff, 0x00}, 2, true},
		{"zRB", {0x00}, 1, true},
		{"zR", {0x00, 1, 2}, 3, true}, /* more data than is said */
		{"zRX", {0x00, 1}, 2, false},
		{"zPLR", {0x9b, 1, 2}, 3, false},
		{"eh", {0}, 0, false},
		{"zRRRRRRRR", {0}, 8, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct maker maker = {.encoding = 0};
		struct frame_rows rows;
		size_t cie =
			put_cie(&maker, cases[i].text, cases[i].data, cases[i].size, CFI(START));

		put_fde(&maker, cie, FDE_AT, FDE_SIZE, CFI(DW_CFA_nop));
		read_made(&maker, &rows);
		assert_int_equal(rows.bad_entries, !cases[i].good);
		assert_rule(&rows, FDE_AT, cases[i].good ? entry : unknown);
		frame_rows__clear(&rows);
	}
}

static void test_sections(void **state)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct maker maker = {.is_64 = i & 1, .is_debug_frame = i & 2};
		struct frame_rows rows;
		size_t cie = put_cie(&maker, "", NULL, 0, CFI(START));

		put_fde(&maker, cie, FDE_AT, FDE_SIZE, CFI(DW_CFA_nop));
		if (!maker.is_debug_frame)
			put(&maker, 0, 4); /* an end that is none */
		put_fde(&maker, cie, FDE_AT + FDE_SIZE, 8, CFI(DW_CFA_def_cfa_offset, 16));
		read_made(&maker, &rows);
		assert_int_equal(rows.bad_entries, 0);
		assert_rule(&rows, FDE_AT, entry);
		assert_rule(&rows, FDE_AT + FDE_SIZE, RULE(UNWIND_SP, .offset = 16));
		frame_rows__clear(&rows);
	}
}

static void test_end_of_segment(void **state)
{
	static const struct frame_range code[] = {{CODE_START, CODE_END}};
	struct maker maker = {.encoding = 0x1b};
	struct frame_section section = {
		.bytes = maker.bytes, .vaddr = SECTION_AT, .ends_at_zero = true};
	struct frame_rows rows = {0};
	size_t cie = put_usual_cie(&maker);

	put_fde(&maker, cie, FDE_AT, FDE_SIZE, CFI(DW_CFA_nop));
	put(&maker, 0, 4);
	put(&maker, 0x123456789abcdef, 8); /* of another section */
	section.size = maker.size;
	assert_int_equal(frame_rows__read(&rows, &section, code, 1), 0);
	assert_int_equal(rows.bad_entries, 0);
	assert_int_equal(rows.count, 3);
	frame_rows__clear(&rows);
}

static void test_locations(void **state)
{
	assert_program(RULE(UNWIND_SP, .offset = 32), DW_CFA_advance_loc1, 0x10,
		       DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc2, 0x10, 0,
		       DW_CFA_def_cfa_offset, 24, DW_CFA_advance_loc4, 0x10, 0, 0, 0,
		       DW_CFA_def_cfa_offset, 32);
	/* Beyond its end nothing is said of it. */
	assert_program(entry, DW_CFA_advance_loc2, 0x00, 0x01, DW_CFA_def_cfa_offset, 16);
	/* Another instruction than any that there is; one that is cut off. */
	assert_program(unknown, 0x1f);
	assert_program(unknown, ADVANCE(1), DW_CFA_advance_loc4, 1, 0);
	assert_program(unknown, DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80);
}

/* To an address: up only. */
static void test_set_location(void **state)
{
	for (unsigned int up = 0; up < 2; up++) {
		struct maker maker = {.encoding = 0x03};
		struct frame_rows rows;
		size_t cie = put_usual_cie(&maker);

		put_fde(&maker, cie, FDE_AT, FDE_SIZE,
			CFI(DW_CFA_set_loc, 0x20, 0x20, 0, 0, DW_CFA_def_cfa_offset, 16,
			    DW_CFA_set_loc, up ? 0x40 : 0x10, 0x20, 0, 0, DW_CFA_def_cfa_offset,
			    24));
		read_made(&maker, &rows);
		assert_rule(&rows, FDE_AT + 0x1f, entry);
		assert_rule(&rows, FDE_AT + 0x20, up ? RULE(UNWIND_SP, .offset = 16) : unknown);
		assert_rule(&rows, FDE_AT + 0x40, up ? RULE(UNWIND_SP, .offset = 24) : unknown);
		frame_rows__clear(&rows);
	}
}

static void test_remembered_states(void **state)
{
	struct unwind_rule deeper = {UNWIND_SP, UNWIND_BP_AT_CFA, -16, 16};
	uint8_t program[32];
	size_t size = 0;

	assert_program(deeper, DW_CFA_def_cfa_offset, 16, SAVED(6), 2, ADVANCE(4),
		       DW_CFA_remember_state, ADVANCE(4), DW_CFA_def_cfa_offset, 8,
		       DW_CFA_restore | 6, ADVANCE(1), DW_CFA_restore_state);
	assert_program(entry, SAVED(6), 2, ADVANCE(1), DW_CFA_restore | 6);
	assert_program(entry, SAVED(6), 2, ADVANCE(1), DW_CFA_restore_extended, 6);
	assert_program(unknown, DW_CFA_restore_state);
	/* Eight deep, and nine. */
	memset(program, DW_CFA_remember_state, 8);
	size = 8;
	assert_true(unwind_rule__equal(run_program(program, size), entry));
	program[size++] = DW_CFA_remember_state;
	assert_true(unwind_rule__equal(run_program(program, size), unknown));
}

static void test_frame_addresses(void **state)
{
	assert_program(RULE(UNWIND_SP, .offset = 100000), DW_CFA_def_cfa_offset, 0xa0, 0x8d, 0x06);
	assert_program(RULE(UNWIND_BP, .offset = -8), DW_CFA_def_cfa_sf, 6, 1);
	assert_program(RULE(UNWIND_SP, .offset = 16), DW_CFA_def_cfa_offset_sf, 0x7e);
	/* Nothing lies below the return address; r10; more than 32 bits. */
	assert_program(unknown, DW_CFA_def_cfa_offset, 0);
	assert_program(unknown, DW_CFA_def_cfa, 10, 0);
	assert_program(unknown, DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x08);
	assert_program(unknown, DW_CFA_def_cfa_offset_sf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0xff, 0xff, 0x00);
}

#define EXPRESSION(size, ...) DW_CFA_def_cfa_expression, size, __VA_ARGS__

static void test_expressions(void **state)
{
	assert_program(RULE(UNWIND_PLT, .offset = 11),
		       EXPRESSION(11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
				  DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus));
	assert_program(RULE(UNWIND_PLT, .offset = 9),
		       EXPRESSION(11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
				  DW_OP_lit9, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus));
	assert_program(unknown,
		       EXPRESSION(11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and,
				  DW_OP_lit11, DW_OP_gt, DW_OP_lit3, DW_OP_shl, DW_OP_plus));
	assert_program(RULE(UNWIND_BP_DEREF, .offset = UNWIND_DEREF_MAKE(-16, 0)),
		       EXPRESSION(3, DW_OP_breg6, 0x70, DW_OP_deref));
	assert_program(RULE(UNWIND_SP_DEREF, .offset = UNWIND_DEREF_MAKE(200, 8)),
		       EXPRESSION(6, DW_OP_breg7, 0xc8, 0x01, DW_OP_deref, DW_OP_plus_uconst, 8));
	assert_program(RULE(UNWIND_SP, .offset = 24), EXPRESSION(2, DW_OP_breg7, 24));
	/* Beyond 16 bits; of another register; with more behind; cut off; empty. */
	assert_program(unknown, EXPRESSION(5, DW_OP_breg7, 0x80, 0x80, 0x02, DW_OP_deref));
	assert_program(unknown, EXPRESSION(3, DW_OP_breg10, 0, DW_OP_deref));
	assert_program(unknown, EXPRESSION(4, DW_OP_breg6, 0x70, DW_OP_deref, DW_OP_deref));
	assert_program(unknown, EXPRESSION(2, DW_OP_breg6, 0x80));
	assert_program(unknown, DW_CFA_def_cfa_expression, 0);
	assert_program(unknown, DW_CFA_def_cfa_expression, 100, DW_OP_breg6, 0);
	/* Half a definition has no other half. */
	assert_program(unknown, EXPRESSION(3, DW_OP_breg6, 0x70, DW_OP_deref),
		       DW_CFA_def_cfa_register, 7);
	assert_program(entry, EXPRESSION(3, DW_OP_breg6, 0x70, DW_OP_deref), DW_CFA_def_cfa, 7, 8);
}

static void test_registers(void **state)
{
	assert_program(RULE(UNWIND_SP, UNWIND_BP_AT_CFA, 16, 8), DW_CFA_offset_extended_sf, 6,
		       0x7e);
	assert_program(RULE(UNWIND_SP, UNWIND_BP_AT_CFA, -16, 8), DW_CFA_offset_extended, 6, 2);
	assert_program(RULE(UNWIND_SP, UNWIND_BP_AT_CFA, 16, 8),
		       DW_CFA_GNU_negative_offset_extended, 6, 2);
	assert_program(RULE(UNWIND_SP, UNWIND_BP_LOST, 0, 8), DW_CFA_undefined, 6);
	assert_program(entry, SAVED(6), 2, DW_CFA_same_value, 6);
	assert_program(RULE(UNWIND_SP, UNWIND_BP_AT_BP, -8, 8), DW_CFA_expression, 6, 2,
		       DW_OP_breg6, 0x78);
	/* At rsp + 4, with a CFA of rsp + 8. */
	assert_program(RULE(UNWIND_SP, UNWIND_BP_AT_CFA, -4, 8), DW_CFA_expression, 6, 2,
		       DW_OP_breg7, 4);
	assert_program(unknown, DW_CFA_expression, 6, 3, DW_OP_breg6, 0x78, DW_OP_deref);
	assert_program(unknown, DW_CFA_val_expression, 6, 2, DW_OP_breg6, 0x78);
	assert_program(unknown, DW_CFA_val_offset, 6, 2);
	assert_program(unknown, DW_CFA_register, 6, 3);
	assert_program(unknown, DW_CFA_offset_extended, 6, 0x81, 0x80, 0x01); /* 16 bits */
	/* Others do not matter. */
	assert_program(entry, DW_CFA_register, 3, 6, DW_CFA_val_offset, 12, 2, SAVED(15), 3,
		       DW_CFA_expression, 3, 1, DW_OP_nop, DW_CFA_GNU_args_size, 0x80, 0x01);
}

static void test_return_addresses(void **state)
{
	assert_program(RULE(.kind = UNWIND_ROOT), DW_CFA_undefined, 16);
	assert_program(unknown, SAVED(16), 2);
	assert_program(unknown, DW_CFA_register, 16, 0);
	assert_program(unknown, DW_CFA_same_value, 16);
	/* The caller's rsp is the CFA. */
	assert_program(entry, DW_CFA_val_offset, 7, 0);
	assert_program(unknown, DW_CFA_val_offset_sf, 7, 1);
	assert_program(unknown, SAVED(7), 2);
	assert_program(unknown, DW_CFA_same_value, 7);
}

#define SIGNAL_CFA                DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 0x01, DW_OP_deref
#define SIGNAL_AT(reg, low, high) DW_CFA_expression, reg, 3, DW_OP_breg7, low, high

static struct unwind_rule run_signal(const uint8_t *program, size_t size)
{
	struct maker maker = {.encoding = 0x1b};
	struct unwind_rule rule;
	struct frame_rows rows;
	size_t cie = put_cie(&maker, "zRS", CFI(0x1b), CFI(START));

	put_fde(&maker, cie, FDE_AT, FDE_SIZE, program, size);
	read_made(&maker, &rows);
	rule = *frame_rows__find(&rows, FDE_AT);
	frame_rows__clear(&rows);
	return rule;
}

/* The kernel's frame, and others that call themselves one. */
static void test_signal_frames(void **state)
{
	assert_int_equal(run_signal(CFI(SIGNAL_CFA, SIGNAL_AT(6, 0xf8, 0),
					SIGNAL_AT(16, 0xa8, 0x01), SIGNAL_AT(7, 0xa0, 0x01)))
				 .kind,
			 UNWIND_SIGNAL);
	assert_int_equal(run_signal(CFI(SIGNAL_CFA, SIGNAL_AT(6, 0xf8, 0))).kind, UNWIND_UNKNOWN);
	assert_int_equal(
		run_signal(CFI(SIGNAL_CFA, SIGNAL_AT(6, 0xf0, 0), SIGNAL_AT(16, 0xa8, 0x01))).kind,
		UNWIND_UNKNOWN);
	assert_int_equal(run_signal(CFI(DW_CFA_nop)).kind, UNWIND_UNKNOWN);
}

/* What two claim is neither's. */
static void test_overlaps(void **state)
{
	struct maker maker = {.encoding = 0x1b};
	struct frame_rows rows;
	size_t cie = put_usual_cie(&maker);

	put_fde(&maker, cie, 0x3000, 0x100, CFI(DW_CFA_def_cfa_offset, 24));
	put_fde(&maker, cie, 0x2000, 0x100, CFI(DW_CFA_nop));
	put_fde(&maker, cie, 0x2080, 0x100, CFI(DW_CFA_def_cfa_offset, 16)); /* crosses */
	put_fde(&maker, cie, 0x3040, 0x10, CFI(DW_CFA_nop));                 /* within */
	put_fde(&maker, cie, 0x4000, 0x10, CFI(DW_CFA_nop));
	put_fde(&maker, cie, 0x4000, 0x10, CFI(DW_CFA_nop)); /* twice */
	put_fde(&maker, cie, 0x5000, 0, CFI(DW_CFA_nop));
	read_made(&maker, &rows);
	assert_rule(&rows, 0x207f, entry);
	assert_rule(&rows, 0x2080, unknown);
	assert_rule(&rows, 0x20ff, unknown);
	assert_rule(&rows, 0x2100, RULE(UNWIND_SP, .offset = 16));
	assert_rule(&rows, 0x217f, RULE(UNWIND_SP, .offset = 16));
	assert_rule(&rows, 0x2180, frame_gap_rule);
	assert_rule(&rows, 0x303f, RULE(UNWIND_SP, .offset = 24));
	assert_rule(&rows, 0x3040, unknown);
	assert_rule(&rows, 0x30ff, unknown);
	assert_rule(&rows, 0x3100, frame_gap_rule);
	assert_rule(&rows, 0x4000, unknown);
	assert_rule(&rows, 0x4010, frame_gap_rule);
	assert_rule(&rows, 0x5000, frame_gap_rule);
	assert_int_equal(rows.overlaps, 6);
	frame_rows__clear(&rows);
}

/* Outside the code: dropped by the linker. Half outside, or around the end of all: bad. */
static void test_addresses(void **state)
{
	static const struct {
		uint64_t start, size;
		bool bad;
	} cases[] = {{0, 0x10, false},
		     {0, UINT64_MAX, false},
		     {CODE_END, 1, false},
		     {UINT64_MAX, UINT64_MAX, false},
		     {CODE_START, UINT64_MAX, true},
		     {CODE_END - 1, 2, true},
		     {CODE_START, UINT64_MAX - CODE_START + 2, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct maker maker = {.encoding = 0x04};
		struct frame_rows rows;

		put_fde(&maker, put_usual_cie(&maker), cases[i].start, cases[i].size,
			CFI(DW_CFA_nop));
		read_made(&maker, &rows);
		assert_int_equal(rows.fdes, 0);
		assert_int_equal(rows.bad_entries, cases[i].bad);
		assert_int_equal(rows.count, 1);
		assert_rule(&rows, CODE_START, cases[i].bad ? unknown : frame_gap_rule);
		frame_rows__clear(&rows);
	}
}

/* CIEs that are FDEs, lie nowhere, or in the middle of something; lengths beyond the end. */
static void test_bad_entries(void **state)
{
	struct maker maker = {.encoding = 0x1b};
	struct frame_rows rows;
	size_t cie = put_usual_cie(&maker), itself = maker.size, last;

	put_fde(&maker, itself, FDE_AT, 8, CFI(DW_CFA_nop));
	put_fde(&maker, itself, FDE_AT + 8, 8, CFI(DW_CFA_nop));
	put_fde(&maker, cie + 2, FDE_AT + 16, 8, CFI(DW_CFA_nop));
	put_fde(&maker, (size_t)1 << 31, FDE_AT + 24, 8, CFI(DW_CFA_nop));
	put_fde(&maker, cie, FDE_AT + 32, 8, CFI(DW_CFA_def_cfa_offset, 16));
	last = maker.size;
	put_fde(&maker, cie, FDE_AT + 40, 8, CFI(DW_CFA_nop));
	maker.bytes[last]++;
	read_made(&maker, &rows);
	assert_int_equal(rows.bad_entries, 5);
	assert_int_equal(rows.fdes, 1);
	assert_rule(&rows, FDE_AT, unknown);
	assert_rule(&rows, FDE_AT + 32, RULE(UNWIND_SP, .offset = 16));
	assert_rule(&rows, FDE_AT + 40, unknown);
	frame_rows__clear(&rows);
}

/*
 * Two long CIEs that take each other's place in the cache for every FDE: 1,000 times 20,000
 * instructions. What is run is bounded by the section's size, and what is left is unknown.
 */
static void test_bounded_work(void **state)
{
	static uint8_t program[20003] = {START}, encoding = 0x1b;
	struct maker maker = {.encoding = 0x1b};
	struct frame_rows rows;
	size_t cies[2];

	for (size_t i = 0; i < 2; i++) {
		cies[i] = put_cie(&maker, "zR", &encoding, 1, program, sizeof(program));
		while (i == 0 && (maker.size - cies[0]) % 256)
			put(&maker, 0, 4);
	}
	for (uint64_t i = 0; i < 1000; i++)
		put_fde(&maker, cies[i % 2], FDE_AT + i * 8, 8, CFI(DW_CFA_nop));
	read_made(&maker, &rows);
	assert_true(rows.cut);
	assert_true(rows.bad_entries > 900);
	assert_rule(&rows, FDE_AT + 999 * 8, unknown);
	frame_rows__clear(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_function_with_frame),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_augmentations),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_end_of_segment),
		cmocka_unit_test(test_locations),
		cmocka_unit_test(test_set_location),
		cmocka_unit_test(test_remembered_states),
		cmocka_unit_test(test_frame_addresses),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_return_addresses),
		cmocka_unit_test(test_signal_frames),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_bounded_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
