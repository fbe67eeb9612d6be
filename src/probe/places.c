// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/places.h"

/* General registers by number, as in a mask. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

/*
 * Registers of the arguments that somebody wants, in their order. posix_memalign also keeps rdi:
 * whoever follows live memory needs where the result goes. memalign too: a small alignment is
 * handed on to malloc.
 */
static const struct {
	uint8_t count;
	uint8_t registers[ARGUMENTS_MAX];
} layout_arguments[ARG_LAYOUTS] = {
	[ARG_SIZE] = {1, {RDI}},
	[ARG_NMEMB_SIZE] = {2, {RDI, RSI}},
	[ARG_REALLOC] = {2, {RDI, RSI}},
	[ARG_REALLOCARRAY] = {3, {RDI, RSI, RDX}},
	[ARG_ALIGNED] = {2, {RDI, RSI}},
	[ARG_POSIX_MEMALIGN] = {2, {RDI, RDX}},
	[ARG_FREE] = {1, {RDI}},
	[ARG_HEAP_SIZE] = {1, {RSI}},
	[ARG_HEAP_NMEMB_SIZE] = {2, {RSI, RDX}},
	[ARG_HEAP_REALLOC] = {2, {RSI, RDX}},
	[ARG_AX_SIZE] = {2, {RAX, RSI}},
};

/* Where arguments of one meaning may be found as well; the count comes first in all of them. */
static const struct {
	enum arg_layout wanted, moved;
} moves[] = {
	{ARG_SIZE, ARG_HEAP_SIZE},       {ARG_NMEMB_SIZE, ARG_HEAP_NMEMB_SIZE},
	{ARG_NMEMB_SIZE, ARG_AX_SIZE},   {ARG_HEAP_NMEMB_SIZE, ARG_AX_SIZE},
	{ARG_REALLOC, ARG_HEAP_REALLOC},
};

struct places places__at_entry(enum arg_layout layout)
{
	struct places places = {.count = layout_arguments[layout].count};

	for (size_t i = 0; i < layout_arguments[layout].count; i++)
		places.of[i] = 1u << layout_arguments[layout].registers[i];
	return places;
}

static bool places_fit(const struct places *places, enum arg_layout layout)
{
	for (size_t i = 0; i < layout_arguments[layout].count; i++)
		if (!(places->of[i] >> layout_arguments[layout].registers[i] & 1))
			return false;
	return true;
}

/* The number of the register that it is, or is a part of; negative: another kind. */
static int gpr_of(uint16_t reg)
{
	static const uint16_t names[GPRS][5] = {
		[RAX] = {X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH},
		[RCX] = {X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH},
		[RDX] = {X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH},
		[RBX] = {X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH},
		[RSP] = {X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL},
		[RBP] = {X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL},
		[RSI] = {X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL},
		[RDI] = {X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL},
		[R8] = {X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B},
		[R9] = {X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B},
		[R10] = {X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B},
		[R11] = {X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B},
		[R12] = {X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B},
		[R13] = {X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B},
		[R14] = {X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B},
		[R15] = {X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B},
	};

	for (int gpr = 0; reg && gpr < GPRS; gpr++)
		for (size_t i = 0; i < 5; i++)
			if (names[gpr][i] == reg)
				return gpr;
	return -1;
}

/* mov of one whole general register to another. */
static bool is_copy(const cs_insn *insn, int *from, int *to)
{
	const cs_x86 *x86 = &insn->detail->x86;

	if (insn->id != X86_INS_MOV || x86->op_count != 2 || x86->operands[0].type != X86_OP_REG ||
	    x86->operands[1].type != X86_OP_REG || x86->operands[0].size != 8 ||
	    x86->operands[1].size != 8)
		return false;
	*to = gpr_of((uint16_t)x86->operands[0].reg);
	*from = gpr_of((uint16_t)x86->operands[1].reg);
	return *to >= 0 && *from >= 0;
}

/* What an instruction that writes these registers does to the arguments. False: one is lost. */
static bool move_arguments(struct places *places, const cs_insn *insn, uint32_t written)
{
	int from = 0, to = 0;
	bool copy = is_copy(insn, &from, &to), kept = true;

	for (size_t i = 0; i < places->count; i++) {
		bool copied = copy && places->of[i] >> from & 1;

		places->of[i] &= ~written;
		if (copied)
			places->of[i] |= 1u << to;
		kept &= places->of[i] != 0;
	}
	return kept;
}

/* The registers that an instruction writes; false when Capstone does not know. */
static bool find_written(csh handle, const cs_insn *insn, uint32_t *mask)
{
	cs_regs read, written;
	uint8_t read_count, written_count;

	*mask = 0;
	if (cs_regs_access(handle, insn, read, &read_count, written, &written_count) != CS_ERR_OK)
		return false;
	for (size_t i = 0; i < written_count; i++) {
		int gpr = gpr_of(written[i]);

		if (gpr >= 0)
			*mask |= 1u << gpr;
	}
	return true;
}

bool places__pass(struct places *places, csh handle, const cs_insn *insn, bool *writes_rsp)
{
	uint32_t written;

	if (!find_written(handle, insn, &written) || !move_arguments(places, insn, written))
		return false;
	*writes_rsp = written >> RSP & 1;
	return true;
}

bool places__layout(const struct places *places, enum arg_layout wanted, enum arg_layout *layout)
{
	*layout = wanted;
	if (places_fit(places, wanted))
		return true;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		*layout = moves[i].moved;
		if (moves[i].wanted == wanted && places_fit(places, *layout))
			return true;
	}
	return false;
}
