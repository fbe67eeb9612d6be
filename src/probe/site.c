// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/site.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>

#include "probe/insn.h"
#include "probe/places.h"

/* Sites are searched in the first bytes only: a bit each in one word of branch targets. */
#define PATH_MAX_BYTES 64

static int open_decoder(csh *handle, bool detail)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, handle) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(*handle, CS_OPT_DETAIL, detail ? CS_OPT_ON : CS_OPT_OFF);
	return 0;
}

/* Decodes one instruction; Capstone 4.0 does not know all CET ones, so endbr64 is known here. */
static bool decode(csh handle, const uint8_t *code, size_t size, uint64_t vaddr, cs_insn *insn)
{
	if (insn__is_endbr64(code, size)) {
		insn->id = X86_INS_NOP;
		insn->address = vaddr;
		insn->size = 4;
		snprintf(insn->mnemonic, sizeof(insn->mnemonic), "endbr64");
		insn->op_str[0] = '\0';
		if (insn->detail)
			memset(insn->detail, 0, sizeof(*insn->detail));
		return true;
	}
	return cs_disasm_iter(handle, &code, &size, &vaddr, insn) && insn->size;
}

enum insn_class site__classify(const uint8_t *code, size_t size, size_t *len)
{
	enum insn_class cls = INSN_REFUSED;
	csh handle;
	cs_insn *insn;

	*len = 0;
	if (open_decoder(&handle, false))
		return cls;
	insn = cs_malloc(handle);
	if (insn && decode(handle, code, size, 0, insn)) {
		*len = insn->size;
		cls = insn__classify(code, insn->size);
	}
	if (insn)
		cs_free(insn, 1);
	cs_close(&handle);
	return cls;
}

/* What the rest of a function says about its first bytes. */
struct landing {
	uint64_t targets; /* bit n: a direct branch lands n bytes after the entry */
	bool jump_table;  /* its targets are not known */
	bool complete;    /* the whole function was decoded */
};

static struct landing find_landings(csh handle, cs_insn *insn, const uint8_t *code, size_t len)
{
	struct landing landing = {0};
	bool frame_gone = false;
	size_t off = 0;

	while (off < len) {
		int64_t displacement, target;

		if (!decode(handle, code + off, len - off, off, insn))
			return landing;
		/* Behind the end of the frame it is a call of another function (a hook). */
		if (insn__is_computed_jump(code + off, insn->size) && !frame_gone)
			landing.jump_table = true;
		frame_gone = insn__gives_back_stack(code + off, insn->size);
		if (insn__branch_displacement(code + off, insn->size, &displacement)) {
			target = (int64_t)(off + insn->size) + displacement;
			if (target >= 0 && target < PATH_MAX_BYTES)
				landing.targets |= 1ull << target;
		}
		off += insn->size;
	}
	landing.complete = true;
	return landing;
}

static bool leaves_path(csh handle, const cs_insn *insn)
{
	static const uint8_t groups[] = {CS_GRP_JUMP,     CS_GRP_CALL, CS_GRP_RET,
					 CS_GRP_INT,      CS_GRP_IRET, CS_GRP_BRANCH_RELATIVE,
					 CS_GRP_PRIVILEGE};

	for (size_t i = 0; i < sizeof(groups); i++) {
		if (cs_insn_group(handle, insn, groups[i]))
			return true;
	}
	/* Not in every group list of Capstone 4.0: they trap, or do not come back in order. */
	return insn->id == X86_INS_SYSCALL || insn->id == X86_INS_UD2 || insn->id == X86_INS_HLT;
}

/*
 * Whether a site may lie behind this instruction; adds what it takes from the stack pointer.
 */
static bool may_pass(csh handle, const cs_insn *insn, enum insn_class cls, struct places *places,
		     unsigned int *sp_delta)
{
	bool writes_rsp;

	if (cls == INSN_ENDBR64 || cls == INSN_NOP || cls == INSN_NOP_LONG)
		return true;
	if (leaves_path(handle, insn) || !places__pass(places, handle, insn, &writes_rsp))
		return false;
	if (insn->id == X86_INS_PUSH) {
		const cs_x86_op *op = &insn->detail->x86.operands[0];

		/* 66 50 pushes two bytes; nothing that compilers write. */
		if (insn->detail->x86.op_count != 1 || op->size != 8)
			return false;
		*sp_delta += 8;
	} else if (cls == INSN_SUB_RSP) {
		int64_t size = insn->detail->x86.operands[1].imm;

		if (size < 0 || size > UINT8_MAX)
			return false;
		*sp_delta += (unsigned int)size;
	} else if (writes_rsp) {
		return false;
	}
	return *sp_delta <= UINT8_MAX;
}

static void fill_site(struct site *site, const cs_insn *insn, enum insn_class cls,
		      uint64_t file_offset, size_t insn_offset, unsigned int sp_delta)
{
	site->offset = file_offset + insn_offset;
	site->insn_offset = (uint32_t)insn_offset;
	site->sp_delta = (uint8_t)sp_delta;
	site->cls = cls;
	/* Cut on purpose: rarely more than 30 characters, and only for people. */
	snprintf(site->text, sizeof(site->text), "%.15s%s%.30s", insn->mnemonic,
		 insn->op_str[0] ? " " : "", insn->op_str);
}

/*
 * A jump table could lead back to a site, unless the site is a push: compiled code that runs one
 * twice in a call would lose its stack balance.
 */
static bool passed_once(const struct landing *landing, enum insn_class cls, size_t off)
{
	uint64_t behind_entry = ((2ull << off) - 1) & ~1ull; /* bits 1 to off */

	return landing->complete && !(landing->targets & behind_entry) &&
	       (!landing->jump_table || cls == INSN_PUSH);
}

struct walk {
	csh handle;
	cs_insn *insn;
	const uint8_t *code;
	size_t len;
	uint64_t vaddr;
	uint64_t file_offset;
	enum arg_layout layout;
	bool for_return;
	const struct insn_costs *costs;
};

/* Follows the straight path; *site holds the entry until a better one is found. */
static int walk_path(const struct walk *w, const struct landing *landing, struct site *site)
{
	struct places places = places__at_entry(w->layout);
	unsigned int sp_delta = 0;
	bool found = false;
	size_t off = 0;

	while (off < w->len && off < PATH_MAX_BYTES) {
		enum arg_layout layout;
		enum insn_class cls;
		bool fits = places__layout(&places, w->layout, &layout);

		if (!decode(w->handle, w->code + off, w->len - off, w->vaddr + off, w->insn))
			break;
		cls = insn__classify(w->code + off, w->insn->size);
		if (off == 0) {
			fill_site(site, w->insn, cls, w->file_offset, 0, 0);
			site->layout = layout;
			found = cls != INSN_REFUSED;
			if (w->costs->cls[cls].emulated)
				return 0;
		} else if (fits && cls != INSN_REFUSED && passed_once(landing, cls, off)) {
			/* Behind an entry that takes no probe, any instruction is better. */
			if (w->costs->cls[cls].emulated || !found) {
				fill_site(site, w->insn, cls, w->file_offset, off, sp_delta);
				site->layout = layout;
				found = true;
			}
			if (w->costs->cls[cls].emulated)
				return 0;
		}
		if (!may_pass(w->handle, w->insn, cls, &places, &sp_delta))
			break;
		if (w->for_return && sp_delta)
			break;
		off += w->insn->size;
	}
	if (found)
		return 0;
	return site->text[0] ? -ENOTSUP : -EINVAL;
}

int site__choose(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t file_offset,
		 enum arg_layout layout, unsigned int flags, const struct insn_costs *costs,
		 struct site *site)
{
	struct walk w = {.code = code,
			 .len = len,
			 .vaddr = vaddr,
			 .file_offset = file_offset,
			 .layout = layout,
			 .for_return = flags & SITE_FOR_RETURN,
			 .costs = costs};
	struct insn_costs assumed;
	struct landing landing = {0};
	csh plain;
	int err;

	memset(site, 0, sizeof(*site));
	site->offset = file_offset;
	if ((unsigned int)layout >= ARG_LAYOUTS)
		return -EINVAL;
	if (!costs) {
		insn_costs__assume(&assumed);
		w.costs = &assumed;
	}

	err = open_decoder(&w.handle, true);
	if (err)
		return err;
	err = open_decoder(&plain, false);
	if (err)
		goto close_handle;
	w.insn = cs_malloc(w.handle);
	if (!w.insn) {
		err = -ENOMEM;
		goto close_plain;
	}

	/* The cheap decoder without operands for the whole, the other for the first bytes. */
	if (len <= SITE_CODE_MAX && !(flags & SITE_PARTIAL))
		landing = find_landings(plain, w.insn, code, len);
	err = walk_path(&w, &landing, site);

	cs_free(w.insn, 1);
close_plain:
	cs_close(&plain);
close_handle:
	cs_close(&w.handle);
	return err;
}
