/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_SITE_H
#define MEMDRIFT_PROBE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where in a function a probe costs least. A breakpoint on an instruction that the kernel emulates
 * is left at once; any other instruction is run out of line and single-stepped, a second trap.
 */

/*
 * Instructions by how arch/x86/kernel/uprobes.c treats them. Which of them the running kernel
 * emulates is measured (calibrate.h): push, jmp, jcc, call and nop since before 6.1; nops of
 * several bytes and more in newer ones.
 */
enum insn_class {
	INSN_OTHER,    /* single-stepped everywhere */
	INSN_NOP,      /* 90, with or without prefixes */
	INSN_NOP_LONG, /* 0f 1f /0 */
	INSN_PUSH,     /* of a 64-bit register */
	INSN_JMP,      /* relative */
	INSN_JCC,      /* relative */
	INSN_CALL,     /* relative */
	INSN_ENDBR64,
	INSN_SUB_RSP, /* sub $imm, %rsp */
	INSN_MOV_REG, /* mov between 64-bit registers */
	INSN_REFUSED, /* the kernel places no probe here (a lock or segment prefix and others) */
	INSN_CLASSES
};

/* "push", "jcc", … */
const char *insn_class__name(enum insn_class cls);

struct insn_cost {
	double hit_ns; /* 0 when not measured */
	bool measured;
	bool emulated; /* as measured, else as known of every kernel since 6.1 */
};

struct insn_costs {
	struct insn_cost cls[INSN_CLASSES];
};

/* What every kernel since 6.1 emulates, nothing measured. */
void insn_costs__assume(struct insn_costs *costs);
/* What a hit costs; for a class that was not measured that of another one of its kind, or 0. */
double insn_costs__hit_ns(const struct insn_costs *costs, enum insn_class cls);

/* Where a function expects what it was asked for (System V x86-64 calling convention). */
enum arg_layout {
	ARG_SIZE,           /* malloc, valloc, pvalloc, operator new: size rdi */
	ARG_NMEMB_SIZE,     /* calloc: rdi x rsi */
	ARG_REALLOC,        /* realloc: pointer rdi, size rsi */
	ARG_REALLOCARRAY,   /* reallocarray: pointer rdi, rsi x rdx */
	ARG_ALIGNED,        /* aligned_alloc, memalign: alignment rdi, size rsi */
	ARG_POSIX_MEMALIGN, /* posix_memalign: result's place rdi, alignment rsi, size rdx */
	ARG_FREE,           /* free, operator delete: pointer rdi */
	/* mimalloc's, with a heap in rdi */
	ARG_HEAP_SIZE,       /* mi_heap_malloc: size rsi */
	ARG_HEAP_NMEMB_SIZE, /* mi_heap_calloc: rsi x rdx */
	ARG_HEAP_REALLOC,    /* mi_heap_realloc: pointer rsi, size rdx */
	/* no function's, but that of sites in mimalloc's calloc: */
	ARG_AX_SIZE, /* rax x rsi */
	ARG_LAYOUTS
};

struct site {
	uint64_t offset;      /* in the file: what a uprobe is attached to */
	uint32_t insn_offset; /* bytes from the function's entry */
	uint8_t sp_delta;     /* stack pointer at the entry = stack pointer here + sp_delta */
	enum insn_class cls;
	enum arg_layout layout; /* where the arguments are here: they may have been moved */
	char text[48];          /* the instruction, "je 0x98f10" */
};

/* A return probe replaces the return address at the stack pointer: only where nothing is pushed. */
#define SITE_FOR_RETURN (1u << 0)
/* The code is only the beginning of the function, or nobody knows its length: entry or nothing. */
#define SITE_PARTIAL (1u << 1)

/*
 * Functions longer than this are not searched for jumps back to the site, so their entry is used.
 * libjemalloc's longest entry point has 10 kB.
 */
#define SITE_CODE_MAX (32 * 1024)

/*
 * Chooses in the function of len bytes at code: the first emulated instruction on the straight path
 * from the entry that each call passes exactly once, with the arguments still where the layout says
 * or moved to where another layout of the same meaning has them (mimalloc's malloc puts its heap
 * in rdi and the size in rsi). If there is none, the entry. vaddr and file_offset are those of the
 * entry. costs may be NULL: insn_costs__assume. 0 and *site filled in, -EINVAL when the entry does
 * not decode, -ENOTSUP when the kernel refuses probes at the entry and there is no other site,
 * -ENOMEM.
 *
 * Jumps from elsewhere are not seen: a part that the compiler moved out of line (malloc.cold) could
 * only lead back behind the prologue, and nothing else enters a function but at its entry.
 */
int site__choose(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t file_offset,
		 enum arg_layout layout, unsigned int flags, const struct insn_costs *costs,
		 struct site *site);

/* The class of one instruction, and its length in *len; 0 in *len when it does not decode. */
enum insn_class site__classify(const uint8_t *code, size_t size, size_t *len);

#endif
