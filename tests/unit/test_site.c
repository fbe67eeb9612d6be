// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Probe sites: what is chosen in hand-written prologues, and what must not be. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probe/site.h"

#define VADDR  0x401000
#define OFFSET 0x1000

struct choice {
	struct site site;
	int err;
};

static struct choice choose_with(const struct insn_costs *costs, enum arg_layout layout,
				 unsigned int flags, const uint8_t *code, size_t len)
{
	struct choice c;

	c.err = site__choose(code, len, VADDR, OFFSET, layout, flags, costs, &c.site);
	return c;
}

#define CHOOSE(layout, flags, ...)                                       \
	choose_with(NULL, layout, flags, (const uint8_t[]){__VA_ARGS__}, \
		    sizeof((const uint8_t[]){__VA_ARGS__}))

static void expect(struct choice c, uint32_t offset, uint8_t sp_delta, enum insn_class cls)
{
	assert_int_equal(c.err, 0);
	assert_int_equal(c.site.insn_offset, offset);
	assert_int_equal(c.site.offset, OFFSET + offset);
	assert_int_equal(c.site.sp_delta, sp_delta);
	assert_string_equal(insn_class__name(c.site.cls), insn_class__name(cls));
}

static void test_push_at_entry(void **state)
{
	/* push %r12; push %rbp; ret */
	expect(CHOOSE(ARG_SIZE, 0, 0x41, 0x54, 0x55, 0xc3), 0, 0, INSN_PUSH);
}

static void test_branch_after_test(void **state)
{
	/* glibc's free: test %rdi,%rdi; je +1; push %rbp; ret */
	struct choice c = CHOOSE(ARG_FREE, 0, 0x48, 0x85, 0xff, 0x74, 0x01, 0x55, 0xc3);

	expect(c, 3, 0, INSN_JCC);
	assert_string_equal(c.site.text, "je 0x401006");
}

static void test_stops_at_changed_argument(void **state)
{
	/* mov %rsi,%rdi; push %rbp; ret: the pushed register is fine, rdi is gone */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x89, 0xf7, 0x55, 0xc3), 0, 0, INSN_MOV_REG);
	/* ... but posix_memalign's size is rdx: xor %esi,%esi does not matter to it */
	expect(CHOOSE(ARG_POSIX_MEMALIGN, 0, 0x31, 0xf6, 0x55, 0xc3), 2, 0, INSN_PUSH);
	/* a part of the register counts: xor %dil,%dil; push */
	expect(CHOOSE(ARG_SIZE, 0, 0x40, 0x30, 0xff, 0x55, 0xc3), 0, 0, INSN_OTHER);
	/* mul %rsi writes rdx without naming it: cmp, mul, push */
	expect(CHOOSE(ARG_REALLOCARRAY, 0, 0x48, 0xf7, 0xe6, 0x55, 0xc3), 0, 0, INSN_OTHER);
	/* and calloc does not care for rdx */
	expect(CHOOSE(ARG_NMEMB_SIZE, 0, 0x48, 0xf7, 0xe6, 0x55, 0xc3), 3, 0, INSN_PUSH);
}

static void test_follows_moved_arguments(void **state)
{
	/* mimalloc's malloc: mov %rdi,%rsi; xor %edi,%edi; test %rsi,%rsi; je: size in rsi */
	struct choice c = CHOOSE(ARG_SIZE, 0, 0x48, 0x89, 0xfe, 0x31, 0xff, 0x48, 0x85, 0xf6, 0x74,
				 0x00, 0xc3);

	expect(c, 8, 0, INSN_JCC);
	assert_int_equal(c.site.layout, ARG_HEAP_SIZE);
	/* its realloc: mov %rsi,%rdx; mov %rdi,%rsi; xor %edi,%edi; jmp */
	c = CHOOSE(ARG_REALLOC, 0, 0x48, 0x89, 0xf2, 0x48, 0x89, 0xfe, 0x31, 0xff, 0xe9, 0, 0, 0,
		   0);
	expect(c, 8, 0, INSN_JMP);
	assert_int_equal(c.site.layout, ARG_HEAP_REALLOC);
	/* its calloc: mov %rdi,%rax; xor %edi,%edi; cmp $1,%rax; je; mul: rax x rsi at the je */
	c = CHOOSE(ARG_NMEMB_SIZE, 0, 0x48, 0x89, 0xf8, 0x31, 0xff, 0x48, 0x83, 0xf8, 0x01, 0x74,
		   0x03, 0x48, 0xf7, 0xe6, 0xc3);
	expect(c, 9, 0, INSN_JCC);
	assert_int_equal(c.site.layout, ARG_AX_SIZE);
	/* by way of another register, and back: mov %rdi,%rbx; xor %edi,%edi; mov %rbx,%rdi; je */
	c = CHOOSE(ARG_FREE, 0, 0x48, 0x89, 0xfb, 0x31, 0xff, 0x48, 0x89, 0xdf, 0x74, 0x00, 0xc3);
	expect(c, 8, 0, INSN_JCC);
	assert_int_equal(c.site.layout, ARG_FREE);
	/* 32 bits are not the whole: mov %edi,%esi; xor %edi,%edi; je */
	expect(CHOOSE(ARG_SIZE, 0, 0x89, 0xfe, 0x31, 0xff, 0x74, 0x00, 0xc3), 0, 0, INSN_OTHER);
	/* a place where no layout has it: mov %rdi,%rcx; xor %edi,%edi; je */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x89, 0xf9, 0x31, 0xff, 0x74, 0x00, 0xc3), 0, 0,
	       INSN_MOV_REG);
	/* two that changed places are not each other: xchg %rdi,%rsi; je */
	expect(CHOOSE(ARG_NMEMB_SIZE, 0, 0x48, 0x87, 0xf7, 0x74, 0x00, 0xc3), 0, 0, INSN_OTHER);
}

static void test_counts_stack(void **state)
{
	struct insn_costs costs;

	/* sub $0x18,%rsp; test %rdi,%rdi; je +1; nop; ret */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x83, 0xec, 0x18, 0x48, 0x85, 0xff, 0x74, 0x01, 0x90,
		      0xc3),
	       7, 0x18, INSN_JCC);
	/* no push is emulated: push %rbp; push %rbx; sub $8; test; je */
	insn_costs__assume(&costs);
	costs.cls[INSN_PUSH].emulated = false;
	expect(choose_with(&costs, ARG_SIZE, 0,
			   (const uint8_t[]){0x55, 0x53, 0x48, 0x83, 0xec, 0x08, 0x48, 0x85, 0xff,
					     0x74, 0x00, 0xc3},
			   12),
	       9, 24, INSN_JCC);
	/* more than 255 bytes cannot be told to the probe: sub $0x100,%rsp; test; je */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x81, 0xec, 0x00, 0x01, 0x00, 0x00, 0x48, 0x85, 0xff, 0x74,
		      0x00, 0xc3),
	       0, 0, INSN_SUB_RSP);
	/* and %rsp aligned down is unknown: and $-16,%rsp; push */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x83, 0xe4, 0xf0, 0x55, 0xc3), 0, 0, INSN_OTHER);
}

static void test_return_probe_needs_the_return_address(void **state)
{
	/* sub $8,%rsp; test; je: the return address is no longer on top at the je */
	expect(CHOOSE(ARG_SIZE, SITE_FOR_RETURN, 0x48, 0x83, 0xec, 0x08, 0x48, 0x85, 0xff, 0x74,
		      0x00, 0xc3),
	       0, 0, INSN_SUB_RSP);
	expect(CHOOSE(ARG_SIZE, SITE_FOR_RETURN, 0x48, 0x85, 0xff, 0x74, 0x00, 0xc3), 3, 0,
	       INSN_JCC);
}

static void test_rejects_sites_passed_twice(void **state)
{
	/* test %rax,%rax; je +2; jmp back to the je: a loop over the candidate */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x85, 0xc0, 0x74, 0x02, 0xeb, 0xfc, 0xc3), 0, 0,
	       INSN_OTHER);
	/* the same with a 32-bit displacement */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x85, 0xc0, 0x74, 0x05, 0xe9, 0xf9, 0xff, 0xff, 0xff,
		      0xc3),
	       0, 0, INSN_OTHER);
	/* a jump to the entry itself passes both once more: no reason to refuse */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x85, 0xc0, 0x74, 0x02, 0xeb, 0xf9, 0xc3), 3, 0, INSN_JCC);
	/* an indirect jump may lead anywhere: not behind a je ... */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x85, 0xc0, 0x74, 0x02, 0xff, 0xe0, 0xc3), 0, 0,
	       INSN_OTHER);
	/* ... unless the frame has gone, as before the call of a hook: sub; je; add; jmp *%rax */
	expect(CHOOSE(ARG_FREE, 0, 0x48, 0x83, 0xec, 0x08, 0x74, 0x06, 0x48, 0x83, 0xc4, 0x08, 0xff,
		      0xe0, 0xc3),
	       4, 8, INSN_JCC);
	/* ... or it is the way of a PLT: je; jmp *0(%rip) */
	expect(CHOOSE(ARG_FREE, 0, 0x48, 0x85, 0xc0, 0x74, 0x06, 0xff, 0x25, 0, 0, 0, 0, 0xc3), 3,
	       0, INSN_JCC);
	/* ... but never twice over a push */
	expect(CHOOSE(ARG_SIZE, 0, 0x48, 0x85, 0xc0, 0x55, 0xff, 0xe0, 0xc3), 3, 0, INSN_PUSH);
}

static void test_stays_on_the_path(void **state)
{
	/* ret; push: nothing behind the ret belongs to the call */
	expect(CHOOSE(ARG_SIZE, 0, 0xc3, 0x55, 0xc3), 0, 0, INSN_OTHER);
	/* jmp *%rax; push */
	expect(CHOOSE(ARG_SIZE, 0, 0xff, 0xe0, 0x55, 0xc3), 0, 0, INSN_OTHER);
	/* call *%rax; push: registers are the callee's */
	expect(CHOOSE(ARG_SIZE, 0, 0xff, 0xd0, 0x55, 0xc3), 0, 0, INSN_OTHER);
	/* syscall; push */
	expect(CHOOSE(ARG_SIZE, 0, 0x0f, 0x05, 0x55, 0xc3), 0, 0, INSN_OTHER);
}

static void test_endbr64(void **state)
{
	/* endbr64; push %rbp */
	expect(CHOOSE(ARG_SIZE, 0, 0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xc3), 4, 0, INSN_PUSH);
}

static void test_refused_entry(void **state)
{
	/* lock incl (%rax); test; ret: the kernel takes no probe on a lock prefix */
	expect(CHOOSE(ARG_SIZE, 0, 0xf0, 0xff, 0x00, 0x48, 0x85, 0xff, 0xc3), 3, 0, INSN_OTHER);
	/* xchg %ax,%ax (66 90); push */
	expect(CHOOSE(ARG_SIZE, 0, 0x66, 0x90, 0x55, 0xc3), 2, 0, INSN_PUSH);
	assert_int_equal(CHOOSE(ARG_SIZE, 0, 0xf0, 0xff, 0x07).err, -ENOTSUP);
}

static void test_partial_code(void **state)
{
	expect(CHOOSE(ARG_FREE, SITE_PARTIAL, 0x48, 0x85, 0xff, 0x74, 0x01, 0x55, 0xc3), 0, 0,
	       INSN_OTHER);
	expect(CHOOSE(ARG_FREE, SITE_PARTIAL, 0x55, 0x53), 0, 0, INSN_PUSH);
}

static void test_undecodable(void **state)
{
	/* invalid in 64-bit mode */
	assert_int_equal(CHOOSE(ARG_SIZE, 0, 0x06).err, -EINVAL);
	assert_int_equal(site__choose(NULL, 0, VADDR, OFFSET, ARG_SIZE, 0, NULL, &(struct site){0}),
			 -EINVAL);
	/* something unknown further on: only the entry is certain */
	expect(CHOOSE(ARG_FREE, 0, 0x48, 0x85, 0xff, 0x74, 0x01, 0x06, 0xc3), 0, 0, INSN_OTHER);
}

static void test_measured_costs_decide(void **state)
{
	struct insn_costs costs = {0};
	const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x85, 0xff, 0x74, 0x00, 0xc3};

	/* Nothing is emulated here: the entry. */
	expect(choose_with(&costs, ARG_SIZE, 0, code, sizeof(code)), 0, 0, INSN_PUSH);
	costs.cls[INSN_MOV_REG].emulated = true;
	expect(choose_with(&costs, ARG_SIZE, 0, code, sizeof(code)), 1, 8, INSN_MOV_REG);
	costs.cls[INSN_MOV_REG].emulated = false;
	costs.cls[INSN_JCC].emulated = true;
	expect(choose_with(&costs, ARG_SIZE, 0, code, sizeof(code)), 7, 8, INSN_JCC);
}

static void expect_class(enum insn_class cls, size_t size, const uint8_t *code)
{
	size_t len;

	assert_string_equal(insn_class__name(site__classify(code, size, &len)),
			    insn_class__name(cls));
	assert_int_equal(len, size);
}

#define EXPECT_CLASS(cls, ...) \
	expect_class(cls, sizeof((const uint8_t[]){__VA_ARGS__}), (const uint8_t[]){__VA_ARGS__})

/* By bytes, because the kernel goes by bytes: the same mnemonic can be treated differently. */
static void test_classes(void **state)
{
	EXPECT_CLASS(INSN_NOP, 0x90);
	EXPECT_CLASS(INSN_OTHER, 0xf3, 0x90); /* pause */
	EXPECT_CLASS(INSN_NOP_LONG, 0x0f, 0x1f, 0x44, 0x00, 0x00);
	EXPECT_CLASS(INSN_OTHER, 0x0f, 0x1f, 0x44, 0x00, 0x01); /* not one of the kernel's own */
	EXPECT_CLASS(INSN_PUSH, 0x50);
	EXPECT_CLASS(INSN_PUSH, 0x41, 0x57);
	EXPECT_CLASS(INSN_OTHER, 0x48, 0x50); /* REX.W: not emulated */
	EXPECT_CLASS(INSN_OTHER, 0x6a, 0x10); /* of a constant */
	EXPECT_CLASS(INSN_JMP, 0xeb, 0x00);
	EXPECT_CLASS(INSN_JMP, 0xe9, 0x00, 0x00, 0x00, 0x00);
	EXPECT_CLASS(INSN_OTHER, 0xff, 0xe0); /* jmp *%rax */
	EXPECT_CLASS(INSN_JCC, 0x7f, 0x00);
	EXPECT_CLASS(INSN_JCC, 0x0f, 0x84, 0x00, 0x00, 0x00, 0x00);
	EXPECT_CLASS(INSN_REFUSED, 0x66, 0x74, 0x00);
	EXPECT_CLASS(INSN_CALL, 0xe8, 0x00, 0x00, 0x00, 0x00);
	EXPECT_CLASS(INSN_ENDBR64, 0xf3, 0x0f, 0x1e, 0xfa);
	EXPECT_CLASS(INSN_SUB_RSP, 0x48, 0x83, 0xec, 0x10);
	EXPECT_CLASS(INSN_OTHER, 0x48, 0x83, 0xe8, 0x10); /* sub $0x10,%rax */
	EXPECT_CLASS(INSN_MOV_REG, 0x48, 0x89, 0xf7);
	EXPECT_CLASS(INSN_OTHER, 0x48, 0x89, 0x37); /* to memory */
	EXPECT_CLASS(INSN_OTHER, 0x64, 0x48, 0x8b,
		     0x00);                           /* %fs: is a segment that does something */
	EXPECT_CLASS(INSN_REFUSED, 0x3e, 0xff, 0xe0); /* notrack jmp *%rax */
}

static void test_any_bytes(void **state)
{
	uint32_t seed = 12345;

	for (int i = 0; i < 20000; i++) {
		uint8_t code[48];
		struct choice c;

		for (size_t j = 0; j < sizeof(code); j++) {
			seed = seed * 1103515245 + 12345;
			code[j] = (uint8_t)(seed >> 16);
		}
		c = choose_with(NULL, (enum arg_layout)(seed % ARG_LAYOUTS), 0, code,
				1 + seed % sizeof(code));
		if (!c.err) {
			assert_true(c.site.insn_offset < sizeof(code));
			assert_true(memchr(c.site.text, '\0', sizeof(c.site.text)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_at_entry),
		cmocka_unit_test(test_branch_after_test),
		cmocka_unit_test(test_stops_at_changed_argument),
		cmocka_unit_test(test_follows_moved_arguments),
		cmocka_unit_test(test_counts_stack),
		cmocka_unit_test(test_return_probe_needs_the_return_address),
		cmocka_unit_test(test_rejects_sites_passed_twice),
		cmocka_unit_test(test_stays_on_the_path),
		cmocka_unit_test(test_endbr64),
		cmocka_unit_test(test_refused_entry),
		cmocka_unit_test(test_partial_code),
		cmocka_unit_test(test_undecodable),
		cmocka_unit_test(test_measured_costs_decide),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
