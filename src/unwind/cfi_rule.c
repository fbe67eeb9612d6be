// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <dwarf.h>
#include <string.h>

#include "unwind/cfi.h"

/* A frame on the kernel's: arch/x86/include/uapi/asm/sigcontext.h, from the frame's ucontext. */
#define SIGNAL_RBP 120
#define SIGNAL_RSP 160
#define SIGNAL_RIP 168

/* The return address is right below the CFA. */
#define RA_OFFSET (-8)

static const struct unwind_rule unknown = {.kind = UNWIND_UNKNOWN};

/* breg N [deref [plus_uconst M]] */
struct simple_expression {
	uint64_t base; /* CFI_RBP or CFI_RSP */
	int64_t at, add;
	bool deref;
};

static bool read_expression(struct eh_span span, struct simple_expression *expression)
{
	struct eh_reader reader = {.bytes = span.bytes, .size = span.size};
	uint64_t code = eh_reader__fixed(&reader, 1);

	*expression = (struct simple_expression){0};
	if (code != DW_OP_breg6 && code != DW_OP_breg7)
		return false;
	expression->base = code - DW_OP_breg0;
	expression->at = eh_reader__sleb(&reader);
	if (reader.at < reader.size) {
		expression->deref = true;
		if (eh_reader__fixed(&reader, 1) != DW_OP_deref)
			return false;
	}
	if (reader.at < reader.size) {
		if (eh_reader__fixed(&reader, 1) != DW_OP_plus_uconst)
			return false;
		expression->add = (int64_t)eh_reader__uleb(&reader);
	}
	return !reader.failed && reader.at == reader.size;
}

static bool is_at_sp(const struct cfi_register *where, int64_t at)
{
	struct simple_expression expression;

	return where->where == CFI_EXPRESSION && read_expression(where->expression, &expression) &&
	       expression.base == CFI_RSP && !expression.deref && expression.at == at;
}

/* Only a frame that is laid out as the kernel does it: an 'S' alone says less. */
static struct unwind_rule make_signal(const struct cfi_state *state)
{
	struct simple_expression cfa;

	if (!state->cfa_is_expression || !read_expression(state->cfa_expression, &cfa) ||
	    cfa.base != CFI_RSP || !cfa.deref || cfa.at != SIGNAL_RSP || cfa.add ||
	    !is_at_sp(&state->ra, SIGNAL_RIP) || !is_at_sp(&state->rbp, SIGNAL_RBP))
		return unknown;
	return (struct unwind_rule){.kind = UNWIND_SIGNAL};
}

/*
 * What the linkers write for a PLT (binutils bfd/elfxx-x86.c, lld): CFA = rsp + 8 +
 * ((rip & 15) >= N) * 8, with N, the end of the push, as a literal.
 */
static bool is_plt(struct eh_span span, int32_t *from)
{
	static const uint8_t before[] = {DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15, DW_OP_and};
	static const uint8_t after[] = {DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus};
	const uint8_t *literal = span.bytes + sizeof(before);

	if (span.size != sizeof(before) + 1 + sizeof(after) ||
	    memcmp(span.bytes, before, sizeof(before)) ||
	    memcmp(literal + 1, after, sizeof(after)) || *literal < DW_OP_lit0 ||
	    *literal > DW_OP_lit15)
		return false;
	*from = *literal - DW_OP_lit0;
	return true;
}

/* The kind and offset of a CFA. */
static struct unwind_rule make_offset(uint64_t base, int64_t offset)
{
	struct unwind_rule rule = {.kind = base == CFI_RSP ? UNWIND_SP : UNWIND_BP,
				   .offset = (int32_t)offset};

	/* The return address lies below the CFA, and nothing that counts below rsp. */
	if ((base != CFI_RSP && base != CFI_RBP) || offset != rule.offset ||
	    (base == CFI_RSP && offset < -RA_OFFSET))
		return unknown;
	return rule;
}

static struct unwind_rule make_cfa(const struct cfi_state *state)
{
	struct simple_expression expression;
	struct unwind_rule rule = {0};

	if (!state->cfa_is_expression)
		return make_offset(state->cfa_register, state->cfa_offset);
	if (is_plt(state->cfa_expression, &rule.offset)) {
		rule.kind = UNWIND_PLT;
		return rule;
	}
	if (!read_expression(state->cfa_expression, &expression))
		return unknown;
	if (!expression.deref)
		return make_offset(expression.base, expression.at);
	if (expression.at != (int16_t)expression.at || expression.add != (int16_t)expression.add)
		return unknown;
	rule.kind = expression.base == CFI_RSP ? UNWIND_SP_DEREF : UNWIND_BP_DEREF;
	rule.offset = UNWIND_DEREF_MAKE(expression.at, expression.add);
	return rule;
}

/* Where rbp is, put into the rule; false when a rule cannot say. */
static bool add_bp(struct unwind_rule *rule, const struct cfi_register *rbp)
{
	struct simple_expression expression;
	int64_t offset = rbp->offset;

	switch (rbp->where) {
	case CFI_UNSAID:
	case CFI_SAME:
		rule->bp_kind = UNWIND_BP_SAME;
		return true;
	case CFI_UNDEFINED:
		rule->bp_kind = UNWIND_BP_LOST;
		return true;
	case CFI_OFFSET:
		rule->bp_kind = UNWIND_BP_AT_CFA;
		break;
	case CFI_EXPRESSION:
		if (!read_expression(rbp->expression, &expression) || expression.deref)
			return false;
		offset = expression.at;
		rule->bp_kind = UNWIND_BP_AT_BP;
		if (expression.base == CFI_RBP)
			break;
		/* At rsp + N: the same place seen from a CFA that counts from rsp. */
		if (rule->kind != UNWIND_SP ||
		    __builtin_sub_overflow(offset, rule->offset, &offset))
			return false;
		rule->bp_kind = UNWIND_BP_AT_CFA;
		break;
	default:
		return false;
	}
	rule->bp_offset = (int16_t)offset;
	return offset == rule->bp_offset;
}

struct unwind_rule cfi_state__rule(const struct cfi_state *state, bool is_signal)
{
	struct unwind_rule rule;

	if (is_signal)
		return make_signal(state);
	if (state->ra.where == CFI_UNDEFINED)
		return (struct unwind_rule){.kind = UNWIND_ROOT};
	if (state->ra.where != CFI_OFFSET || state->ra.offset != RA_OFFSET)
		return unknown;
	/* The caller's rsp is the CFA unless it is said to be something else. */
	if (state->rsp.where != CFI_UNSAID && (state->rsp.where != CFI_VALUE || state->rsp.offset))
		return unknown;
	rule = make_cfa(state);
	return rule.kind != UNWIND_UNKNOWN && add_bp(&rule, &state->rbp) ? rule : unknown;
}
