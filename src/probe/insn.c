// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/insn.h"

#include <string.h>

static const char *const class_names[INSN_CLASSES] = {
	[INSN_OTHER] = "other",     [INSN_NOP] = "nop",         [INSN_NOP_LONG] = "long-nop",
	[INSN_PUSH] = "push",       [INSN_JMP] = "jmp",         [INSN_JCC] = "jcc",
	[INSN_CALL] = "call",       [INSN_ENDBR64] = "endbr64", [INSN_SUB_RSP] = "sub-rsp",
	[INSN_MOV_REG] = "mov-reg", [INSN_REFUSED] = "refused",
};

const char *insn_class__name(enum insn_class cls)
{
	return (unsigned int)cls < INSN_CLASSES ? class_names[cls] : "unknown";
}

void insn_costs__assume(struct insn_costs *costs)
{
	static const enum insn_class always[] = {INSN_NOP, INSN_PUSH, INSN_JMP, INSN_JCC,
						 INSN_CALL};

	memset(costs, 0, sizeof(*costs));
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		costs->cls[always[i]].emulated = true;
}

double insn_costs__hit_ns(const struct insn_costs *costs, enum insn_class cls)
{
	const struct insn_cost *cost = &costs->cls[cls];

	/* These two are measured first; emulated classes differ by a few percent. */
	if (!cost->measured)
		cost = &costs->cls[cost->emulated ? INSN_PUSH : INSN_OTHER];
	return cost->hit_ns;
}

/* Legacy and REX prefixes at the start of an instruction. */
struct prefixes {
	size_t len;
	bool operand_size; /* 66 */
	bool refused;      /* lock, or a segment override that does nothing in 64-bit mode */
	uint8_t rex;
};

static struct prefixes read_prefixes(const uint8_t *code, size_t size)
{
	struct prefixes p = {0};

	for (; p.len < size; p.len++) {
		switch (code[p.len]) {
		case 0x66:
			p.operand_size = true;
			continue;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0xf0:
			p.refused = true;
			continue;
		case 0x64:
		case 0x65:
		case 0x67:
		case 0xf2:
		case 0xf3:
			continue;
		}
		break;
	}
	if (p.len < size && (code[p.len] & 0xf0) == 0x40)
		p.rex = code[p.len++];
	return p;
}

/*
 * Kernels that know more nops than 90 first knew those that they write themselves (x86_nops in
 * arch/x86/include/asm/nops.h, compared in branch_setup_xol_ops), so only these are a class. The
 * two-byte one, 66 90, is refused by the kernels before that, for its prefix.
 */
static bool is_kernel_nop(const uint8_t *code, size_t len)
{
	static const uint8_t nops[9][8] = {
		[3] = {0x0f, 0x1f, 0x00},
		[4] = {0x0f, 0x1f, 0x40, 0x00},
		[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00},
		[6] = {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
		[7] = {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
		[8] = {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
	};

	return len >= 3 && len <= 8 && !memcmp(code, nops[len], len);
}

bool insn__is_endbr64(const uint8_t *code, size_t size)
{
	static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};

	return size >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64));
}

enum insn_class insn__classify(const uint8_t *code, size_t len)
{
	struct prefixes p = read_prefixes(code, len);
	const uint8_t *op = code + p.len;
	size_t rest = len - p.len;

	if (insn__is_endbr64(code, len))
		return INSN_ENDBR64;
	if (is_kernel_nop(code, len))
		return INSN_NOP_LONG;
	if (p.refused || !rest)
		return INSN_REFUSED;
	if (len == 1 && op[0] == 0x90)
		return INSN_NOP;
	/* push: bare, or with the one REX prefix that reaches r8 to r15. */
	if (op[0] >= 0x50 && op[0] <= 0x57 && (len == 1 || (len == 2 && p.rex == 0x41)))
		return INSN_PUSH;
	if (op[0] == 0xeb || op[0] == 0xe9)
		return p.operand_size ? INSN_REFUSED : INSN_JMP;
	if (op[0] == 0xe8)
		return p.operand_size ? INSN_REFUSED : INSN_CALL;
	if ((op[0] & 0xf0) == 0x70 || (op[0] == 0x0f && rest > 1 && (op[1] & 0xf0) == 0x80))
		return p.operand_size ? INSN_REFUSED : INSN_JCC;
	if (op[0] == 0x90 && p.operand_size)
		return INSN_REFUSED;
	if (p.rex == 0x48 && p.len == 1 && rest > 2 && (op[0] == 0x83 || op[0] == 0x81) &&
	    op[1] == 0xec)
		return INSN_SUB_RSP;
	if ((p.rex & 0xf8) == 0x48 && p.len == 1 && rest == 2 && (op[0] == 0x89 || op[0] == 0x8b) &&
	    op[1] >= 0xc0)
		return INSN_MOV_REG;
	return INSN_OTHER;
}

bool insn__branch_displacement(const uint8_t *code, size_t len, int64_t *displacement)
{
	struct prefixes p = read_prefixes(code, len);
	const uint8_t *op = code + p.len;
	size_t rest = len - p.len;
	int32_t wide;

	if (!rest)
		return false;
	if ((rest == 2 && (op[0] == 0xeb || (op[0] & 0xf0) == 0x70 || (op[0] & 0xfc) == 0xe0))) {
		*displacement = (int8_t)op[1];
		return true;
	}
	if ((rest == 5 && (op[0] == 0xe9 || op[0] == 0xe8)) ||
	    (rest == 6 && op[0] == 0x0f && (op[1] & 0xf0) == 0x80)) {
		memcpy(&wide, op + rest - 4, sizeof(wide));
		*displacement = wide;
		return true;
	}
	return false;
}

bool insn__branch_slot(const uint8_t *code, size_t len, uint64_t next, uint64_t *slot,
		       bool *is_call)
{
	struct prefixes p = read_prefixes(code, len);
	const uint8_t *op = code + p.len;
	int32_t displacement;

	/* ff /4 and ff /2 with an address relative to the next instruction */
	if (len - p.len != 6 || op[0] != 0xff || (op[1] != 0x25 && op[1] != 0x15))
		return false;
	memcpy(&displacement, op + 2, sizeof(displacement));
	*slot = next + (uint64_t)(int64_t)displacement;
	*is_call = op[1] == 0x15;
	return true;
}

bool insn__is_computed_jump(const uint8_t *code, size_t len)
{
	struct prefixes p = read_prefixes(code, len);

	/* ff /4: jmp r/m64; modrm 25: to what a fixed place in memory holds, a PLT's way. */
	return len - p.len >= 2 && code[p.len] == 0xff && ((code[p.len + 1] >> 3) & 7) == 4 &&
	       code[p.len + 1] != 0x25;
}

bool insn__gives_back_stack(const uint8_t *code, size_t len)
{
	struct prefixes p = read_prefixes(code, len);
	const uint8_t *op = code + p.len;
	size_t rest = len - p.len;

	if (rest == 1)
		return (op[0] >= 0x58 && op[0] <= 0x5f) || op[0] == 0xc9; /* pop, leave */
	/* add $imm, %rsp */
	return rest > 2 && p.rex == 0x48 && (op[0] == 0x83 || op[0] == 0x81) && op[1] == 0xc4;
}
