// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a stack costs: memdrift's walk and the kernel's own, for `make bench`. */
#include "stack.h"

NO_PROGRAMS(bench_none);

/* Frames of the last stack. */
__u32 bench_frames;

SEC("uprobe")
int bench_walk(struct pt_regs *ctx)
{
	const struct stack_block *block;
	__u32 id;

	stay_on_own_stack(ctx, &bench_none);
	id = TAKEN_ID(take_stack_of_call(ctx, 0));
	block = bpf_map_lookup_elem(&stack_blocks, &id);
	bench_frames = block ? STACK_HEADER_DEPTH(block->words[0]) : 0;
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[STACK_DEPTH]);
} bench_stack SEC(".maps");

/* By frame pointers. */
SEC("uprobe")
int bench_get_stack(struct pt_regs *ctx)
{
	__u32 zero = 0;
	__u64 *frames = bpf_map_lookup_elem(&bench_stack, &zero);
	long bytes;

	stay_on_own_stack(ctx, &bench_none);
	if (!frames)
		return 0;
	bytes = bpf_get_stack(ctx, frames, STACK_DEPTH * sizeof(*frames), BPF_F_USER_STACK);
	bench_frames = bytes > 0 ? bytes / sizeof(*frames) : 0;
	return 0;
}
