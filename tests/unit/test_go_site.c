// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Where a Go function is probed: behind the check of its stack, arguments untouched. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "probe/go_site.h"

#define CHECK_STACK 0x49, 0x3b, 0x66, 0x10 /* cmp 0x10(%r14), %rsp */
#define JBE(off)    0x76, (uint8_t)(off)
#define PUSH_RBP    0x55
#define MOV_RBP     0x48, 0x89, 0xe5 /* mov %rsp, %rbp */
#define SUB_RSP(n)  0x48, 0x83, 0xec, n
#define NOP         0x90
#define RET         0xc3
#define POP_RBP     0x5d
#define CALL        0xe8, 0, 1, 0, 0
#define JMP(off)    0xeb, (uint8_t)(off)
#define SPILL       0x48, 0x89, 0x44, 0x24, 0x08 /* mov %rax, 8(%rsp) */
#define RELOAD      0x48, 0x8b, 0x44, 0x24, 0x08

static int choose(const uint8_t *code, size_t len, struct site *site)
{
	return go_site__choose(code, len, 0x401000, 0x1000, NULL, site);
}

#define expect_site(code, at, insn)                                      \
	do {                                                             \
		struct site found;                                       \
		assert_int_equal(choose(code, sizeof(code), &found), 0); \
		assert_int_equal(found.insn_offset, at);                 \
		assert_int_equal(found.offset, 0x1000 + (at));           \
		assert_int_equal(found.cls, insn);                       \
	} while (0)

#define expect_none(code, err)                                             \
	do {                                                               \
		struct site found;                                         \
		assert_int_equal(choose(code, sizeof(code), &found), err); \
	} while (0)

/* Go 1.21 and later. */
static void test_push(void **state)
{
	static const uint8_t code[] = {
		CHECK_STACK, JBE(6),                   /* 0: to 12 */
		PUSH_RBP,                              /* 6 */
		MOV_RBP,     POP_RBP, RET,      SPILL, /* 12 */
		CALL,        RELOAD,  JMP(-29),
	};

	expect_site(code, 6, INSN_PUSH);
}

/* Go 1.17 to 1.20: nothing emulated until a branch or a nop. */
static void test_nop(void **state)
{
	static const uint8_t code[] = {
		CHECK_STACK, JBE(6), /* 0: to 12 */
		SUB_RSP(8),          /* 6 */
		NOP,                 /* 10 */
		RET,         SPILL,  /* 12 */
		CALL,        RELOAD, JMP(-29),
	};

	expect_site(code, 10, INSN_NOP);
}

/* Nothing emulated before the size is gone: the first instruction will do. */
static void test_single_stepped(void **state)
{
	static const uint8_t code[] = {
		CHECK_STACK, JBE(8),        /* 0: to 14 */
		SUB_RSP(8),                 /* 6 */
		0x31,        0xc0,          /* 10: xor %eax, %eax */
		NOP,         RET,    SPILL, /* 14 */
		CALL,        RELOAD, JMP(-31),
	};

	expect_site(code, 6, INSN_SUB_RSP);
}

/* A large frame is compared in two steps; the second jump is no site. */
static void test_two_checks(void **state)
{
	static const uint8_t code[] = {
		0x4d,     0x8b,   0x66,     0x10, /* 0: mov 0x10(%r14), %r12 */
		0x49,     0x39,   0xe4,           /* 4: cmp %rsp, %r12 */
		JBE(8),                           /* 7: to 17 */
		0x4c,     0x39,   0xe0,           /* 9: cmp %r12, %rax */
		JBE(3),                           /* 12: to 17 */
		PUSH_RBP,                         /* 14 */
		POP_RBP,  RET,    SPILL,          /* 17 */
		CALL,     RELOAD, JMP(-34),
	};

	expect_site(code, 14, INSN_PUSH);
}

/* A loop back to behind the check: only what the loop does not reach is passed once. */
static void test_loop(void **state)
{
	static const uint8_t code[] = {
		CHECK_STACK, JBE(6), /* 0: to 12 */
		SUB_RSP(8),          /* 6 */
		JMP(-2),             /* 10: to itself */
		SPILL,               /* 12 */
		CALL,        RELOAD, JMP(-29),
	};

	expect_site(code, 6, INSN_SUB_RSP);
}

/* Computed jumps may lead anywhere, but not to what sets up the frame. */
static void test_computed_jump(void **state)
{
	static const uint8_t code[] = {
		CHECK_STACK, JBE(8), /* 0: to 14 */
		SUB_RSP(8),          /* 6 */
		NOP,                 /* 10 */
		0xff,        0xe1,   /* 11: jmp *%rcx */
		RET,         SPILL,  /* 14 */
		CALL,        RELOAD, JMP(-31),
	};

	expect_site(code, 6, INSN_SUB_RSP);
}

/* Go before 1.17: g is in thread-local storage, the size on the stack. */
static void test_stack_arguments(void **state)
{
	static const uint8_t code[] = {
		0x64,   0x48, 0x8b, 0x0c,     0x25, 0xf8, 0xff, 0xff, 0xff, /* mov %fs:-8, %rcx */
		0x48,   0x3b, 0x61, 0x10, /* cmp 0x10(%rcx), %rsp */
		JBE(2),                   /* to 17 */
		NOP,    RET,  CALL, JMP(-24),
	};

	expect_none(code, -EPROTOTYPE);
}

/* What begins the function again without asking for a stack could pass a site twice. */
static void test_other_ways_back(void **state)
{
	static const uint8_t back[] = {
		CHECK_STACK, JBE(6),   /* 0: to 12 */
		PUSH_RBP,    POP_RBP,  /* 6 */
		NOP,         JMP(-11), /* to 0 */
		RET,         SPILL,    /* 12 */
		CALL,        RELOAD,   JMP(-29),
	};
	static const uint8_t no_call[] = {
		CHECK_STACK, JBE(3),               /* 0: to 9 */
		PUSH_RBP,    POP_RBP,  RET, SPILL, /* 9 */
		RELOAD,      JMP(-21),
	};
	static const uint8_t no_check[] = {
		0x4d,     0x8b,    0x66, 0x10, /* mov 0x10(%r14), %r12 */
		PUSH_RBP, POP_RBP, RET,
	};

	expect_none(back, -ENOTSUP);
	expect_none(no_call, -ENOTSUP);
	expect_none(no_check, -ENOTSUP);
}

static void test_cut(void **state)
{
	static const uint8_t code[] = {CHECK_STACK, JBE(6), PUSH_RBP, MOV_RBP, POP_RBP,
				       RET,         SPILL,  CALL,     RELOAD,  JMP(-29)};
	struct site site;

	for (size_t len = 0; len < sizeof(code); len++)
		assert_true(choose(code, len, &site) < 0);
	assert_int_equal(choose(code, sizeof(code), &site), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_nop),
		cmocka_unit_test(test_single_stepped),
		cmocka_unit_test(test_two_checks),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_computed_jump),
		cmocka_unit_test(test_stack_arguments),
		cmocka_unit_test(test_other_ways_back),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
