// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Counting allocator calls by entry probes alone. */
#include "allocator.h"
#include "tail.h"

NO_PROGRAMS(allocator_none);

/* True when the hit is a call of its own. */
static __always_inline bool begins_call(struct pt_regs *ctx, struct alloc_counts *counts,
					__u64 cookie, __u64 size)
{
	if (is_tail_call(ctx, cookie, size)) {
		__sync_fetch_and_add(&counts->tail_calls, 1);
		return false;
	}
	return true;
}

/* MALLOC_ALIGNMENT of 64-bit glibc: what malloc gives anyway. */
#define MALLOC_ALIGNMENT 16

/*
 * Whether this call is going to jump on to another entry point. realloc does so when there is
 * nothing to move, reallocarray unless its product overflows.
 */
static __always_inline bool will_jump(const struct call_args *args, __u64 cookie, __u64 size)
{
	__u32 layout = COOKIE_LAYOUT(cookie);

	if (COOKIE_HANDOFF(cookie) == HANDOFF_SMALL_ALIGN)
		return layout == LAYOUT_ALIGNED && args->first <= MALLOC_ALIGNMENT;
	if (COOKIE_HANDOFF(cookie) == HANDOFF_ALIAS)
		return true;
	if (layout == LAYOUT_REALLOC)
		return !args->first;
	return layout != LAYOUT_REALLOCARRAY || size != IMPOSSIBLE_SIZE;
}

/*
 * Every allocator entry point: one program, because one link can then hold all sites of a file
 * and is taken off as fast as one site. malloc and free, nearly all of the calls, are told first.
 */
SEC("uprobe")
int allocator_enter(struct pt_regs *ctx)
{
	struct alloc_counts *counts = find_counts();
	struct call_args args;
	__u64 cookie, size;
	__u32 layout;

	stay_on_own_stack(ctx, &allocator_none);
	if (!counts)
		return 0;
	cookie = bpf_get_attach_cookie(ctx);
	layout = COOKIE_LAYOUT(cookie);
	if (layout == LAYOUT_FREE) {
		count_call(counts, cookie);
		return 0;
	}
	args = read_args(ctx);
	size = layout == LAYOUT_SIZE ? args.first : requested_size(&args, layout);
	if (begins_call(ctx, counts, cookie, size)) {
		count_call(counts, cookie);
		count_size(ctx, counts, size);
	}
	if (COOKIE_HANDOFF(cookie) && will_jump(&args, cookie, size))
		note_tail_call(ctx, cookie, size);
	return 0;
}

/* Nothing: what the kernel's part of a hit costs; for calibration and `make bench`. */
SEC("uprobe")
int empty_probe(struct pt_regs *ctx)
{
	return 0;
}
