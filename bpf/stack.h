/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_STACK_H
#define MEMDRIFT_BPF_STACK_H

#include "common.h"

/*
 * User stacks by frame pointers. The kernel compares whole stacks, not only hashes, before it
 * hands out an id (no BPF_F_FAST_STACK_CMP), and refuses when two share a bucket (no
 * BPF_F_REUSE_STACKID): then the next table is tried, so that of 1,000 stacks less than one is
 * lost and of 5,000 some ten; a counted loss, never a wrong stack. 1 KiB each, 14 MiB in all.
 */
#define STACK_TABLE(name, entries)                               \
	struct {                                                 \
		__uint(type, BPF_MAP_TYPE_STACK_TRACE);          \
		__uint(max_entries, entries);                    \
		__uint(key_size, sizeof(__u32));                 \
		__uint(value_size, STACK_DEPTH * sizeof(__u64)); \
	} name __weak SEC(".maps")

STACK_TABLE(stacks, 8192);
STACK_TABLE(more_stacks, 4096);
STACK_TABLE(last_stacks, 2048);

/*
 * Callers alone, where there are no frame pointers to walk: code built without them has anything
 * in the register, and what the kernel then makes of it is another stack each time.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STACK_CALLERS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} caller_ids __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STACK_CALLERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} callers __weak SEC(".maps");

__u32 caller_count __weak;

static __always_inline __s32 take_caller(__u64 address)
{
	__u32 *known = bpf_map_lookup_elem(&caller_ids, &address), id;
	__u64 *place;

	if (known)
		return STACK_ID(STACK_TABLE_CALLERS, *known);
	id = __sync_fetch_and_add(&caller_count, 1);
	place = bpf_map_lookup_elem(&callers, &id);
	if (!place || bpf_map_update_elem(&caller_ids, &address, &id, BPF_ANY)) {
		count_loss(LOSS_stacks_lost);
		return STACK_NONE;
	}
	*place = address;
	return STACK_ID(STACK_TABLE_CALLERS, id);
}

/* Frames are rarely larger, threads' stacks mostly not. */
#define FRAME_BYTES_MAX (1 << 20)

/*
 * Whether the register holds a frame: it lies on the stack, and so does the caller's frame that is
 * saved there, further up, beside an address that is on no stack.
 */
static __always_inline bool has_frame_pointer(const struct pt_regs *regs)
{
	__u64 frame[2];

	if (regs->bp < regs->sp || regs->bp - regs->sp >= FRAME_BYTES_MAX || regs->bp & 7 ||
	    bpf_probe_read_user(frame, sizeof(frame), (void *)regs->bp))
		return false;
	/* The outermost frame has no caller. */
	if (frame[0] && (frame[0] <= regs->bp || frame[0] - regs->bp >= FRAME_BYTES_MAX))
		return false;
	return frame[1] > 4096 && (frame[1] <= regs->sp || frame[1] - regs->sp >= FRAME_BYTES_MAX);
}

/* An id, or STACK_NONE. */
static __always_inline __s32 take_stack(void *ctx)
{
	long id = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);

	if (id >= 0)
		return STACK_ID(0, id);
	/* -EFAULT: there is no user stack to walk; nothing was lost. */
	if (id == -14)
		return STACK_NONE;
	id = bpf_get_stackid(ctx, &more_stacks, BPF_F_USER_STACK);
	if (id >= 0)
		return STACK_ID(1, id);
	id = bpf_get_stackid(ctx, &last_stacks, BPF_F_USER_STACK);
	if (id >= 0)
		return STACK_ID(2, id);
	count_loss(LOSS_stacks_lost);
	return STACK_NONE;
}

/* The same of a function that returns: the program stands behind the call. */
static __always_inline __s32 take_callers_stack(struct pt_regs *regs)
{
	return has_frame_pointer(regs) ? take_stack(regs) : take_caller(regs->ip);
}

#endif
