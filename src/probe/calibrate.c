// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/calibrate.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"

/*
 * One function for each class that begins with an instruction of it and does nothing. The long nop
 * has 4 bytes: kernels from 6.18 on turn one of 5 into a call, which others are not.
 */
__asm__(".pushsection .text.memdrift_calibrate, \"ax\", @progbits\n"
	".macro calibrate_function name\n"
	"	.balign 16\n"
	"	.type calibrate_\\name, @function\n"
	"	calibrate_\\name:\n"
	".endm\n"
	"calibrate_function other\n	test %rdi, %rdi\n	ret\n"
	"calibrate_function nop\n	nop\n	ret\n"
	"calibrate_function nop_long\n	nopl 0(%rax)\n	ret\n"
	"calibrate_function push\n	push %r12\n	pop %r12\n	ret\n"
	"calibrate_function jmp\n	jmp 1f\n	1: ret\n"
	"calibrate_function jcc\n	je 1f\n	1: ret\n"
	"calibrate_function call\n	call 1f\n	ret\n	1: ret\n"
	"calibrate_function endbr64\n	endbr64\n	ret\n"
	"calibrate_function sub_rsp\n	sub $8, %rsp\n	add $8, %rsp\n	ret\n"
	"calibrate_function mov_reg\n	mov %rdi, %rax\n	ret\n"
	".balign 16\n"
	".purgem calibrate_function\n"
	".popsection\n");

typedef void (*function_fn)(void);

void calibrate_other(void);
void calibrate_nop(void);
void calibrate_nop_long(void);
void calibrate_push(void);
void calibrate_jmp(void);
void calibrate_jcc(void);
void calibrate_call(void);
void calibrate_endbr64(void);
void calibrate_sub_rsp(void);
void calibrate_mov_reg(void);

/* The single-stepped reference first, then by how often function entries offer them. */
static const struct {
	enum insn_class cls;
	function_fn fn;
} specimens[] = {
	{INSN_OTHER, calibrate_other},     {INSN_PUSH, calibrate_push},
	{INSN_JCC, calibrate_jcc},         {INSN_JMP, calibrate_jmp},
	{INSN_ENDBR64, calibrate_endbr64}, {INSN_SUB_RSP, calibrate_sub_rsp},
	{INSN_MOV_REG, calibrate_mov_reg}, {INSN_CALL, calibrate_call},
	{INSN_NOP, calibrate_nop},         {INSN_NOP_LONG, calibrate_nop_long},
};

/*
 * A hit costs 0.3 to 10 us (50 us in an emulated machine). Batches of about 100 us make the
 * clock's 50 ns vanish; the least of some batches leaves interruptions out.
 */
#define BATCH_NS        100000
#define BATCH_CALLS_MIN 4
#define BATCH_CALLS_MAX 128
#define BATCHES         7
#define CLASS_NS        2000000ull

/* Without these two no budget can be kept. */
#define ALWAYS_MEASURED 2

#define SPECIMENS (sizeof(specimens) / sizeof(specimens[0]))

static uint64_t time_calls(function_fn fn, unsigned int calls)
{
	uint64_t start = monotonic_ns();

	for (unsigned int i = 0; i < calls; i++)
		fn();
	return monotonic_ns() - start;
}

static double least_call_ns(function_fn fn)
{
	uint64_t start, first, least = UINT64_MAX;
	unsigned int calls;

	/* The first calls pay for pages that the kernel sets up. */
	time_calls(fn, 3);
	start = monotonic_ns();
	first = time_calls(fn, 2) / 2 + 1;
	calls = first > BATCH_NS / BATCH_CALLS_MIN ? BATCH_CALLS_MIN
						   : (unsigned int)(BATCH_NS / first);
	if (calls > BATCH_CALLS_MAX)
		calls = BATCH_CALLS_MAX;
	for (int i = 0; i < BATCHES && (i < 2 || monotonic_ns() - start < CLASS_NS); i++) {
		uint64_t spent = time_calls(fn, calls);

		if (spent < least)
			least = spent;
	}
	return (double)least / calls;
}

struct own_code {
	uintptr_t address;
	uint64_t offset;
	bool found;
};

/* The first object is the program itself; the functions are never in a library. */
static int find_own_offset(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct own_code *own = ctx;

	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && own->address >= start &&
		    own->address - start < segment->p_filesz) {
			own->offset = segment->p_offset + (own->address - start);
			own->found = true;
		}
	}
	return 1;
}

bool calibrate__own_offset(uintptr_t address, uint64_t *offset)
{
	struct own_code own = {.address = address};

	dl_iterate_phdr(find_own_offset, &own);
	*offset = own.offset;
	return own.found;
}

static int find_offsets(uint64_t offsets[SPECIMENS])
{
	for (size_t i = 0; i < SPECIMENS; i++)
		if (!calibrate__own_offset((uintptr_t)specimens[i].fn, &offsets[i]))
			return -ENOTSUP;
	return 0;
}

static void measure_traced(const double untraced_ns[SPECIMENS], size_t attached,
			   struct insn_costs *costs)
{
	double stepped_ns = 0;
	uint64_t start = monotonic_ns();

	for (size_t i = 0; i < attached; i++) {
		struct insn_cost *cost = &costs->cls[specimens[i].cls];
		double hit_ns;

		if (i >= ALWAYS_MEASURED && monotonic_ns() - start >= CALIBRATE_BUDGET_NS)
			return;
		hit_ns = least_call_ns(specimens[i].fn) - untraced_ns[i];
		cost->hit_ns = hit_ns > 0 ? hit_ns : 0;
		cost->measured = true;
		if (i == 0)
			stepped_ns = cost->hit_ns;
		cost->emulated = cost->hit_ns < stepped_ns * CALIBRATE_EMULATED_SHARE;
		log_debug("a probe hit on %s costs %.0f ns (%s)",
			  insn_class__name(specimens[i].cls), cost->hit_ns,
			  cost->emulated ? "emulated" : "single-stepped");
	}
}

int calibrate__run(const struct calibrate_ops *ops, struct insn_costs *costs)
{
	uint64_t offsets[SPECIMENS];
	double untraced_ns[SPECIMENS];
	void *link = NULL;
	int err;

	insn_costs__assume(costs);
	err = find_offsets(offsets);
	if (err)
		return err;
	for (size_t i = 0; i < SPECIMENS; i++)
		untraced_ns[i] = least_call_ns(specimens[i].fn);
	err = ops->attach(ops->ctx, "/proc/self/exe", offsets, SPECIMENS, &link);
	if (err < 0)
		return err;
	measure_traced(untraced_ns, (size_t)err < SPECIMENS ? (size_t)err : SPECIMENS, costs);
	ops->detach(ops->ctx, link);
	return 0;
}
