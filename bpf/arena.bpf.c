// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Creation of glibc malloc arenas: arena_get2 with its result, and the USDT notes where libc has
 * them. */
#include "common.h"
#include "stack.h"

#include <bpf/usdt.bpf.h>

NO_PROGRAMS(arena_none);

struct arena_call {
	__u64 enter_ns;
	__u64 size;
	__s32 stack;
	__u32 reserved;
};

/* Threads inside arena_get2: as many as threads that first use malloc at the same time. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct arena_call);
} arena_calls SEC(".maps");

/* static mstate arena_get2 (size_t size, mstate avoid_arena): malloc/arena.c */
SEC("uprobe")
int arena_get2_enter(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)pid_tgid;
	struct arena_call call = {.enter_ns = bpf_ktime_get_ns(), .size = ctx->di};

	stay_on_own_stack(ctx, &arena_none);
	if (!is_target(pid_tgid >> 32))
		return 0;
	call.stack = TAKEN_ID(take_stack_of_call(ctx, 0));
	if (bpf_map_update_elem(&arena_calls, &tid, &call, BPF_ANY))
		count_loss(LOSS_inflight_full);
	return 0;
}

static __always_inline void submit_arena(__u32 type, const struct arena_call *call, __u64 address)
{
	struct rec_arena *rec = reserve_record(sizeof(*rec));

	if (!rec)
		return;
	fill_header(&rec->hdr, type, 0);
	rec->enter_ns = call->enter_ns;
	rec->address = address;
	rec->size = call->size;
	rec->stack = call->stack;
	rec->reserved = 0;
	submit_record(rec);
}

SEC("uretprobe")
int arena_get2_exit(struct pt_regs *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct arena_call *call = bpf_map_lookup_elem(&arena_calls, &tid);

	stay_on_own_stack(ctx, &arena_none);
	if (!call)
		return 0;
	submit_arena(REC_ARENA_GET, call, ctx->ax);
	bpf_map_delete_elem(&arena_calls, &tid);
	return 0;
}

static __always_inline void submit_usdt(struct pt_regs *ctx, __u32 type)
{
	struct arena_call call = {.enter_ns = bpf_ktime_get_ns()};
	long address = 0, size = 0;

	if (!is_target(bpf_get_current_pid_tgid() >> 32))
		return;
	bpf_usdt_arg(ctx, 0, &address);
	bpf_usdt_arg(ctx, 1, &size);
	call.size = size;
	call.stack = TAKEN_ID(take_stack_here(ctx));
	submit_arena(type, &call, address);
}

/* libc:memory_arena_new (arena, size) */
SEC("usdt")
int arena_new(struct pt_regs *ctx)
{
	stay_on_own_stack(ctx, &arena_none);
	submit_usdt(ctx, REC_ARENA_NEW);
	return 0;
}

/* libc:memory_heap_new (heap, size) */
SEC("usdt")
int heap_new(struct pt_regs *ctx)
{
	stay_on_own_stack(ctx, &arena_none);
	submit_usdt(ctx, REC_HEAP_NEW);
	return 0;
}
