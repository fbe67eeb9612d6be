// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Every row of installed programs and libraries against libdw, at its first and last byte: the same
 * rule, or unknown, and that seldom.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include "unwind/cfi.h"
#include "unwind_fixture.h"

/* What libdw says in the terms of a rule; `expressible` is false for what a rule has no words for.
 */
struct truth {
	struct unwind_rule rule;
	bool covered, expressible;
};

static bool is_op(const Dwarf_Op *op, uint8_t atom)
{
	return op->atom == atom;
}

/* breg6 or breg7 N, in both forms that libdw gives. */
static bool read_base(const Dwarf_Op *op, uint64_t *base, int64_t *offset)
{
	if (is_op(op, DW_OP_bregx)) {
		*base = op->number;
		*offset = (int64_t)op->number2;
	} else {
		*base = op->atom - DW_OP_breg0;
		*offset = (int64_t)op->number;
	}
	return *base == CFI_RBP || *base == CFI_RSP;
}

static bool translate_cfa(struct unwind_rule *rule, const Dwarf_Op *ops, size_t count)
{
	uint64_t base;
	int64_t at, add = 0;

	if (count == 9 && is_op(&ops[0], DW_OP_breg7) && ops[0].number == 8 &&
	    is_op(&ops[1], DW_OP_breg16) && is_op(&ops[2], DW_OP_lit15) &&
	    is_op(&ops[3], DW_OP_and) && is_op(&ops[5], DW_OP_ge) && is_op(&ops[8], DW_OP_plus)) {
		rule->kind = UNWIND_PLT;
		rule->offset = ops[4].atom - DW_OP_lit0;
		return true;
	}
	if (!count || !read_base(&ops[0], &base, &at))
		return false;
	rule->offset = (int32_t)at;
	rule->kind = base == CFI_RSP ? UNWIND_SP : UNWIND_BP;
	/* One that lies below rsp is not one. */
	if (count == 1)
		return base == CFI_RBP || at >= 8;
	if (!is_op(&ops[1], DW_OP_deref))
		return false;
	if (count == 3 && is_op(&ops[2], DW_OP_plus_uconst))
		add = (int64_t)ops[2].number;
	else if (count != 2)
		return false;
	rule->kind = base == CFI_RSP ? UNWIND_SP_DEREF : UNWIND_BP_DEREF;
	rule->offset = UNWIND_DEREF_MAKE(at, add);
	return at == (int16_t)at && add == (int16_t)add;
}

/* Saved at CFA + offset. */
static bool is_at_cfa(const Dwarf_Op *ops, size_t count, int64_t *offset)
{
	*offset = count == 2 ? (int64_t)ops[1].number : 0;
	return count && is_op(&ops[0], DW_OP_call_frame_cfa) &&
	       (count == 1 || (count == 2 && is_op(&ops[1], DW_OP_plus_uconst)));
}

static bool translate_bp(struct unwind_rule *rule, const Dwarf_Op *ops, size_t count)
{
	uint64_t base;
	int64_t offset;

	if (!count) {
		rule->bp_kind = ops ? UNWIND_BP_LOST : UNWIND_BP_SAME;
		return true;
	}
	rule->bp_kind = UNWIND_BP_AT_CFA;
	if (!is_at_cfa(ops, count, &offset)) {
		/* An expression begins with the CFA on its stack. */
		if (count != 2 || !is_op(&ops[0], DW_OP_call_frame_cfa) ||
		    !read_base(&ops[1], &base, &offset))
			return false;
		if (base == CFI_RBP)
			rule->bp_kind = UNWIND_BP_AT_BP;
		else
			offset -= rule->offset;
	}
	rule->bp_offset = (int16_t)offset;
	return offset == rule->bp_offset;
}

static struct truth ask_libdw(Dwarf_CFI *cfi, uint64_t vaddr)
{
	struct truth truth = {0};
	Dwarf_Op memory[3], *ops;
	Dwarf_Frame *frame;
	bool is_signal;
	size_t count;
	int64_t offset;

	if (dwarf_cfi_addrframe(cfi, vaddr, &frame))
		return truth;
	truth.covered = true;
	dwarf_frame_info(frame, NULL, NULL, &is_signal);
	assert_int_equal(dwarf_frame_register(frame, CFI_RA, memory, &ops, &count), 0);
	if (is_signal) {
		truth.rule.kind = UNWIND_SIGNAL;
		truth.expressible = count == 2 && is_op(&ops[0], DW_OP_call_frame_cfa) &&
				    is_op(&ops[1], DW_OP_breg7) && ops[1].number == 168;
	} else if (!count && ops) {
		truth.rule.kind = UNWIND_ROOT;
		truth.expressible = true;
	} else if (is_at_cfa(ops, count, &offset) && offset == -8) {
		truth.expressible = !dwarf_frame_cfa(frame, &ops, &count) &&
				    translate_cfa(&truth.rule, ops, count) &&
				    !dwarf_frame_register(frame, CFI_RBP, memory, &ops, &count) &&
				    translate_bp(&truth.rule, ops, count) &&
				    !dwarf_frame_register(frame, CFI_RSP, memory, &ops, &count) &&
				    count == 2 && is_op(&ops[0], DW_OP_call_frame_cfa) &&
				    is_op(&ops[1], DW_OP_stack_value);
	}
	free(frame);
	return truth;
}

struct tally {
	uint64_t compared, unknown, inexpressible;
};

static void compare(const char *path, uint64_t vaddr, struct unwind_rule rule, Dwarf_CFI *cfi,
		    struct tally *tally)
{
	struct truth truth = ask_libdw(cfi, vaddr);

	if (!truth.covered)
		truth.rule = frame_gap_rule;
	tally->compared++;
	if (truth.covered && !truth.expressible)
		tally->inexpressible++;
	if (rule.kind == UNWIND_UNKNOWN) {
		tally->unknown++;
		return;
	}
	if ((truth.covered && !truth.expressible) || !unwind_rule__equal(rule, truth.rule))
		fail_msg("%s 0x%lx: kind %u bp %u %d offset %d, libdw has kind %u bp %u %d offset "
			 "%d (%s)",
			 path, vaddr, rule.kind, rule.bp_kind, rule.bp_offset, rule.offset,
			 truth.rule.kind, truth.rule.bp_kind, truth.rule.bp_offset,
			 truth.rule.offset, truth.expressible ? "known" : "not expressible");
}

static void compare_file(const char *path, struct tally *tally)
{
	struct tally own = {0};
	struct loaded loaded;
	Dwarf_CFI *cfi;
	Elf *elf;

	if (!load_file(&loaded, path))
		return;
	elf = elf_begin(loaded.fd, ELF_C_READ, NULL);
	cfi = dwarf_getcfi_elf(elf);
	assert_non_null(cfi);
	for (size_t i = 0; i < loaded.rows.count; i++) {
		const struct frame_row *row = &loaded.rows.rows[i];
		uint64_t next =
			i + 1 < loaded.rows.count ? loaded.rows.rows[i + 1].vaddr : loaded.end;
		uint64_t offset;

		assert_true(row->vaddr < next);
		compare(path, row->vaddr, row->rule, cfi, &own);
		/* Unless that is between two segments. */
		if (!elf_object__file_offset(loaded.elf, next - 1, &offset))
			compare(path, next - 1, row->rule, cfi, &own);
	}
	print_message("%s: %zu rows, unknown %.3f %% (libdw has no such rule for %.3f %%), bad "
		      "%lu, overlaps %lu\n",
		      path, loaded.rows.count, 100.0 * (double)own.unknown / (double)own.compared,
		      100.0 * (double)own.inexpressible / (double)own.compared,
		      loaded.rows.bad_entries, loaded.rows.overlaps);
	assert_int_equal(loaded.rows.bad_entries, 0);
	assert_false(loaded.rows.cut);
	tally->compared += own.compared;
	tally->unknown += own.unknown;
	dwarf_cfi_end(cfi);
	elf_end(elf);
	unload_file(&loaded);
}

static void test_installed_files(void **state)
{
	struct tally tally = {0};

	assert_int_not_equal(elf_version(EV_CURRENT), EV_NONE);
	for (size_t i = 0; i < UNWIND_FILE_COUNT; i++)
		compare_file(unwind_files[i], &tally);
	/* libc and the loader are always there. */
	assert_true(tally.compared > 40000);
	/* 0.04 % of them, most in libcrypto's assembler: CFAs that count from rax or rsi. */
	assert_true(tally.unknown * 1000 < tally.compared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_installed_files)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
