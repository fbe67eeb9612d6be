// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Sampled page faults, by call stack: where resident memory really grew.
 *
 * These programs run in mm_account_fault() (mm/memory.c), when the page is there, with preemption
 * off (___perf_sw_event(), kernel/events/core.c): no other one enters this on the same CPU, and it
 * needs no place on its task's stack as those on uprobes do (common.h). What the walk reads of the
 * stack faults no page in.
 */
#include "common.h"
#include "stack.h"

/* 65,536 pairs of process and stack, those of ended processes out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct fault_key);
	__type(value, __u64);
} fault_counts SEC(".maps");

/* struct bpf_perf_event_data of include/uapi/linux/bpf_perf_event.h. */
struct fault_event {
	struct pt_regs regs;
	__u64 sample_period;
	__u64 addr;
};

#define NR_execve   59
#define NR_execveat 322

/*
 * The kernel touched the thread's memory on its behalf. When it sets up a new program there are no
 * stack and no registers of it yet.
 */
static __always_inline __u64 take_stack_in_kernel(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__s64 call = (__s64)regs->orig_ax;

	if (call == NR_execve || call == NR_execveat)
		return FAULT_OF_EXEC;
	/* -1: no system call, but an interruption: a signal's frame is being written. */
	return call < 0 ? take_stack(regs->ip, regs->sp, regs->bp, FROM_INSTRUCTION)
			: take_stack_of_syscall();
}

static __always_inline __u64 take_stack_of_fault(struct fault_event *ctx)
{
	__u64 cs = ctx->regs.cs;

	/* Of a context only whole words can be read. */
	barrier_var(cs);
	if (cs & 3)
		return take_stack(ctx->regs.ip, ctx->regs.sp, ctx->regs.bp, FROM_INSTRUCTION);
	return take_stack_in_kernel();
}

/* Minor faults come once in a period, major ones each (src/ingest/tracer_faults.c). */
static __always_inline bool is_sampled(struct fault_event *ctx)
{
	return ctx->sample_period == config.fault_period ||
	       bpf_get_prandom_u32() % config.fault_period == 0;
}

SEC("perf_event")
int page_fault(struct fault_event *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fault_key key = {.pid = bpf_get_current_pid_tgid() >> 32};
	__u64 one = 1, *count;

	if (!is_target(key.pid) || !is_sampled(ctx))
		return 0;
	key.start_ticks = start_of(task) / BOOT_TICK_NS;
	key.exec_id = task->self_exec_id;
	key.stack = TAKEN_ID(take_stack_of_fault(ctx));
	count = bpf_map_lookup_elem(&fault_counts, &key);
	if (!count) {
		if (!bpf_map_update_elem(&fault_counts, &key, &one, BPF_NOEXIST))
			return 0;
		/* Another CPU may have been first. */
		count = bpf_map_lookup_elem(&fault_counts, &key);
		if (!count) {
			count_loss(LOSS_fault_counts_full);
			return 0;
		}
	}
	__sync_fetch_and_add(count, 1);
	return 0;
}
