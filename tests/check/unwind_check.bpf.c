// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * For tests/check/unwind_check.c: takes a stack as the allocator programs do, beside what the
 * kernel's own walk by frame pointers finds, and either counts how both ended or stops the thread
 * there, so that somebody else can walk the same stack.
 */
#include "stack.h"

NO_PROGRAMS(check_none);

/* In order: what is wanted, who is at it, done. */
enum { CHECK_IDLE, CHECK_COUNT, CHECK_COUNTING, CHECK_STOP, CHECK_STOPPING, CHECK_STOPPED };
__u32 check_state;

__u32 check_pid, check_tid;
__s32 check_stack;
__u64 check_pointers[STACK_DEPTH]; /* the walk by frame pointers */
__s32 check_pointer_bytes;

__u64 check_seen, check_lost, check_frames, check_pointer_frames, check_pointer_roots;
__u64 check_ends[STACK_ENDS_COUNT];

#define SIGSTOP 19

/* The outermost frame of both walks is the same, and ours is a root. */
static __always_inline void count_ends(const struct stack_block *first)
{
	__u32 depth = STACK_HEADER_DEPTH(first->words[0]), end = STACK_HEADER_END(first->words[0]);
	__u32 index = check_stack + depth / STACK_BLOCK_WORDS, last;
	const struct stack_block *block = bpf_map_lookup_elem(&stack_blocks, &index);

	if (end >= STACK_ENDS_COUNT || !block)
		return;
	check_ends[end]++;
	check_frames += depth;
	if (check_pointer_bytes <= 0)
		return;
	last = (__u32)check_pointer_bytes / sizeof(__u64) - 1;
	check_pointer_frames += last + 1;
	if (STACK_END_IS_ROOT(end) && last < STACK_DEPTH &&
	    check_pointers[last] == block->words[depth & (STACK_BLOCK_WORDS - 1)])
		check_pointer_roots++;
}

static __always_inline void take_both(struct pt_regs *ctx)
{
	check_stack = TAKEN_ID(take_stack_of_call(ctx, (__u8)bpf_get_attach_cookie(ctx)));
	check_pointer_bytes =
		bpf_get_stack(ctx, check_pointers, sizeof(check_pointers), BPF_F_USER_STACK);
}

SEC("uprobe")
int check_call(struct pt_regs *ctx)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	const struct stack_block *first;
	__u32 index;

	stay_on_own_stack(ctx, &check_none);
	if (pid_tgid >> 32 != check_pid)
		return 0;
	if (__sync_val_compare_and_swap(&check_state, CHECK_COUNT, CHECK_COUNTING) == CHECK_COUNT) {
		take_both(ctx);
		index = check_stack;
		first = check_stack < 0 ? NULL : bpf_map_lookup_elem(&stack_blocks, &index);
		if (first)
			count_ends(first);
		else
			check_lost++;
		check_seen++;
		__sync_val_compare_and_swap(&check_state, CHECK_COUNTING, CHECK_COUNT);
		return 0;
	}
	if (__sync_val_compare_and_swap(&check_state, CHECK_STOP, CHECK_STOPPING) != CHECK_STOP)
		return 0;
	take_both(ctx);
	check_tid = (__u32)pid_tgid;
	bpf_send_signal_thread(SIGSTOP);
	__sync_val_compare_and_swap(&check_state, CHECK_STOPPING, CHECK_STOPPED);
	return 0;
}
