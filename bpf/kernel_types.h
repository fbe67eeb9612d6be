/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_KERNEL_TYPES_H
#define MEMDRIFT_KERNEL_TYPES_H

/*
 * The few kernel types that the programs read, kept by hand instead of dumped from the kernel of
 * the build host. Field offsets are relocated against the running kernel's BTF when a program is
 * loaded (CO-RE), so only names and types matter here, and only of the fields in use.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes libbpf's bpf_tracing.h use the kernel's names of the registers. */
#define __VMLINUX_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct super_block {
	unsigned int s_dev;
};

struct inode {
	unsigned long i_ino;
	long long i_size;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_pgoff;
	unsigned long vm_flags;
	struct file *vm_file;
};

typedef struct {
	void *vdso;
} mm_context_t;

struct mm_struct {
	unsigned long start_code;
	mm_context_t context;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	int group_exit_code;
	unsigned long min_flt, maj_flt; /* of threads that are gone */
	unsigned long long sum_sched_runtime;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

/* Return probes whose functions have not returned, innermost first (include/linux/uprobes.h). */
struct return_instance {
	unsigned long func;  /* the probed address */
	unsigned long stack; /* of the return address */
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	__u64 start_boottime;
	unsigned long min_flt, maj_flt;
	__u64 self_exec_id;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct sched_entity se;
	struct uprobe_task *utask;
	char comm[16];
};

#pragma clang attribute pop

/* arch/x86/include/asm/ptrace.h; part of what BPF programs on uprobes get, so its layout is fixed.
 */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};

/* What perf tracepoints on system calls hand to a program (kernel/trace/trace_syscalls.c). */
struct sys_enter_args {
	__u64 common;
	__s64 nr;
	__u64 args[6];
};

struct sys_exit_args {
	__u64 common;
	__s64 nr;
	__s64 ret;
};

#endif
