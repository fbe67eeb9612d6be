/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_STACK_H
#define MEMDRIFT_BPF_STACK_H

#include "common.h"

/*
 * User stacks by frame pointers. The kernel compares whole stacks, not only hashes, before it
 * hands out an id (no BPF_F_FAST_STACK_CMP), and refuses when two would share one (no
 * BPF_F_REUSE_STACKID): a collision is a counted loss, never a wrong stack.
 * 8,192 stacks x 1 KiB.
 */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 8192);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, STACK_DEPTH * sizeof(__u64));
} stacks __weak SEC(".maps");

static __always_inline __s32 take_stack(void *ctx)
{
	long id = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);

	if (id >= 0)
		return id;
	/* -EFAULT: there is no user stack to walk; nothing was lost. */
	if (id != -14)
		count_loss(LOSS_stacks_lost);
	return STACK_NONE;
}

#endif
