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

#endif
