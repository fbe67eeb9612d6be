// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/go_site.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>

#include "probe/insn.h"

/* The beginning that is looked at: a bit each in one word of branch targets. */
#define PATH_MAX_BYTES 64
/* Argument registers are spilled and reloaded around the call: two moves for each of nine. */
#define RESTART_MAX_INSNS 32
/* g.stackguard0 (runtime/runtime2.go), with g in r14 since the register ABI. */
#define STACK_GUARD_OFFSET 16

struct function {
	csh handle;
	cs_insn *insn;
	const uint8_t *code;
	size_t len;
	uint64_t vaddr;
};

static bool decode(const struct function *f, size_t off)
{
	const uint8_t *code = f->code + off;
	size_t size = f->len - off;
	uint64_t address = f->vaddr + off;

	return off < f->len && cs_disasm_iter(f->handle, &code, &size, &address, f->insn) &&
	       f->insn->size;
}

/* Where the instruction at hand branches to, from the function's entry. */
static bool branch_target(const struct function *f, size_t off, int64_t *target)
{
	if (!insn__branch_displacement(f->code + off, f->insn->size, target))
		return false;
	*target += (int64_t)(off + f->insn->size);
	return true;
}

/* Whether what lies there only calls something and begins the function again. */
static bool restarts(const struct function *f, int64_t from)
{
	unsigned int calls = 0;
	size_t off = (size_t)from;

	if (from <= 0)
		return false;
	for (int i = 0; i < RESTART_MAX_INSNS && decode(f, off); i++) {
		enum insn_class cls = insn__classify(f->code + off, f->insn->size);
		int64_t target;

		if (cls == INSN_JMP)
			return branch_target(f, off, &target) && !target && calls == 1;
		if (cls == INSN_CALL)
			calls++;
		else if (cs_insn_group(f->handle, f->insn, CS_GRP_JUMP) ||
			 cs_insn_group(f->handle, f->insn, CS_GRP_RET))
			return false;
		off += f->insn->size;
	}
	return false;
}

/* What the whole function says about its beginning. */
struct outline {
	uint64_t targets;   /* bit n: a direct branch lands n bytes after the entry */
	unsigned int again; /* branches to the entry */
	bool computed_jump; /* to where is not known */
};

static bool read_outline(const struct function *f, struct outline *outline)
{
	size_t off = 0;

	memset(outline, 0, sizeof(*outline));
	while (off < f->len) {
		int64_t target;

		if (!decode(f, off))
			return false;
		if (branch_target(f, off, &target)) {
			/* A function that calls itself begins a call of its own. */
			if (insn__classify(f->code + off, f->insn->size) == INSN_CALL)
				target = -1;
			outline->again += !target;
			if (target >= 0 && target < PATH_MAX_BYTES)
				outline->targets |= 1ull << target;
		}
		outline->computed_jump |= insn__is_computed_jump(f->code + off, f->insn->size);
		off += f->insn->size;
	}
	return true;
}

static bool reads_stack_guard(const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;

	for (int i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];

		if (op->type == X86_OP_MEM && op->mem.base == X86_REG_R14 &&
		    op->mem.index == X86_REG_INVALID && op->mem.disp == STACK_GUARD_OFFSET)
			return true;
	}
	return false;
}

/* The end of the last jump that begins the function again when the stack is too small, or 0. */
static size_t find_check(const struct function *f, const struct outline *outline, bool *in_r14)
{
	unsigned int restarting = 0;
	int64_t first = 0;
	size_t off = 0, end = 0;

	*in_r14 = false;
	while (off < PATH_MAX_BYTES && decode(f, off)) {
		size_t size = f->insn->size;
		int64_t target;

		*in_r14 |= reads_stack_guard(f->insn);
		if (insn__classify(f->code + off, size) == INSN_JCC) {
			branch_target(f, off, &target);
			if (!restarts(f, target))
				break;
			/* Large frames are compared in two steps, with one way out. */
			if (target != first)
				restarting++;
			first = target;
			end = off + size;
		} else if (cs_insn_group(f->handle, f->insn, CS_GRP_JUMP) ||
			   cs_insn_group(f->handle, f->insn, CS_GRP_RET) ||
			   cs_insn_group(f->handle, f->insn, CS_GRP_CALL)) {
			break;
		}
		off += size;
	}
	/* Anything else that leads back to the entry could pass a site again. */
	return outline->again == restarting ? end : 0;
}

static bool writes_argument(const struct function *f)
{
	static const uint16_t arguments[] = {X86_REG_RAX, X86_REG_EAX, X86_REG_AX,  X86_REG_AL,
					     X86_REG_AH,  X86_REG_RBX, X86_REG_EBX, X86_REG_BX,
					     X86_REG_BL,  X86_REG_BH};
	cs_regs read, written;
	uint8_t read_count, written_count;

	if (cs_regs_access(f->handle, f->insn, read, &read_count, written, &written_count) !=
	    CS_ERR_OK)
		return true;
	for (size_t i = 0; i < written_count; i++) {
		for (size_t j = 0; j < sizeof(arguments) / sizeof(arguments[0]); j++) {
			if (written[i] == arguments[j])
				return true;
		}
	}
	return false;
}

/* A computed jump could lead to a site, unless that sets up the frame: twice would spoil it. */
static bool passed_once(const struct outline *outline, enum insn_class cls, size_t off)
{
	uint64_t behind_entry = ((2ull << off) - 1) & ~1ull; /* bits 1 to off */

	return !(outline->targets & behind_entry) &&
	       (!outline->computed_jump || cls == INSN_PUSH || cls == INSN_SUB_RSP);
}

static void fill_site(const struct function *f, enum insn_class cls, size_t off,
		      uint64_t file_offset, struct site *site)
{
	memset(site, 0, sizeof(*site));
	site->offset = file_offset + off;
	site->insn_offset = (uint32_t)off;
	site->cls = cls;
	/* Cut on purpose: rarely more than 30 characters, and only for people. */
	snprintf(site->text, sizeof(site->text), "%.15s%s%.30s", f->insn->mnemonic,
		 f->insn->op_str[0] ? " " : "", f->insn->op_str);
}

static int walk_path(const struct function *f, const struct outline *outline, size_t off,
		     uint64_t file_offset, const struct insn_costs *costs, struct site *site)
{
	bool found = false;

	while (off < PATH_MAX_BYTES && decode(f, off)) {
		enum insn_class cls = insn__classify(f->code + off, f->insn->size);
		bool emulated = costs->cls[cls].emulated;

		if (cls != INSN_REFUSED && passed_once(outline, cls, off) && (emulated || !found)) {
			fill_site(f, cls, off, file_offset, site);
			if (emulated)
				return 0;
			found = true;
		}
		if (cs_insn_group(f->handle, f->insn, CS_GRP_JUMP) ||
		    cs_insn_group(f->handle, f->insn, CS_GRP_RET) ||
		    cs_insn_group(f->handle, f->insn, CS_GRP_CALL) || writes_argument(f))
			break;
		off += f->insn->size;
	}
	return found ? 0 : -ENOTSUP;
}

static int choose(const struct function *f, uint64_t file_offset, const struct insn_costs *costs,
		  struct site *site)
{
	struct outline outline;
	size_t check;
	bool in_r14;

	if (!read_outline(f, &outline))
		return -ENOTSUP;
	check = find_check(f, &outline, &in_r14);
	if (!in_r14)
		return -EPROTOTYPE;
	if (!check)
		return -ENOTSUP;
	return walk_path(f, &outline, check, file_offset, costs, site);
}

int go_site__choose(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t file_offset,
		    const struct insn_costs *costs, struct site *site)
{
	struct function f = {.code = code, .len = len, .vaddr = vaddr};
	struct insn_costs assumed;
	int err = -ENOMEM;

	memset(site, 0, sizeof(*site));
	site->offset = file_offset;
	if (!costs) {
		insn_costs__assume(&assumed);
		costs = &assumed;
	}
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &f.handle) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(f.handle, CS_OPT_DETAIL, CS_OPT_ON);
	f.insn = cs_malloc(f.handle);
	if (f.insn) {
		err = choose(&f, file_offset, costs, site);
		cs_free(f.insn, 1);
	}
	cs_close(&f.handle);
	return err;
}
