// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Counting allocator calls by entry probes alone. */
#include "allocator.h"
#include "tail.h"

NO_PROGRAMS(allocator_none);

/* MALLOC_ALIGNMENT of 64-bit glibc: what malloc gives anyway. */
#define MALLOC_ALIGNMENT 16

/*
 * Whether this call is going to jump on to another entry point. realloc does so when there is
 * nothing to move, reallocarray unless its product overflows.
 */
static __always_inline bool will_jump(const struct call_args *args, __u64 cookie, __u64 size)
{
	__u32 layout = COOKIE_LAYOUT(cookie);

	if (COOKIE_HANDOFF(cookie) == HANDOFF_NONE)
		return false;
	if (COOKIE_HANDOFF(cookie) == HANDOFF_SMALL_ALIGN)
		return layout == LAYOUT_ALIGNED && args->first <= MALLOC_ALIGNMENT;
	if (COOKIE_HANDOFF(cookie) == HANDOFF_ALIAS)
		return true;
	if (layout == LAYOUT_REALLOC)
		return !args->first;
	return layout != LAYOUT_REALLOCARRAY || size != IMPOSSIBLE_SIZE;
}

/*
 * What follows a hit: a note when its function may reach another one. What is called from inside
 * leaves none: the note of the program's own call tells the places of what it calls as well.
 */
static __always_inline void note_reach(struct pt_regs *ctx, const struct call_args *args,
				       __u64 cookie, __u64 size, enum hit hit)
{
	bool jumps;

	if (hit == CALLED_INSIDE)
		return;
	jumps = will_jump(args, cookie, size);
	if (jumps || COOKIE_NESTED(cookie))
		note_call(ctx, cookie, size, jumps);
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
	enum hit hit;
	__u32 layout;

	stay_on_own_stack(ctx, &allocator_none);
	if (!counts)
		return 0;
	cookie = bpf_get_attach_cookie(ctx);
	layout = COOKIE_LAYOUT(cookie);
	args = read_args(ctx);
	/* A free's pointer is what it hands on. */
	if (layout == LAYOUT_SIZE || layout == LAYOUT_FREE)
		size = args.first;
	else
		size = requested_size(&args, layout);
	hit = explain_hit(ctx, cookie, size);
	if (hit == OWN_CALL) {
		count_call(counts, cookie);
		if (layout != LAYOUT_FREE)
			count_size(ctx, counts, cookie, size);
	} else {
		__sync_fetch_and_add(&counts->tail_calls, 1);
	}
	if (COOKIE_REACHES(cookie))
		note_reach(ctx, &args, cookie, size, hit);
	return 0;
}

/* Nothing: what the kernel's part of a hit costs; for calibration and `make bench`. */
SEC("uprobe")
int empty_probe(struct pt_regs *ctx)
{
	return 0;
}
