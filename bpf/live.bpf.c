// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Allocator calls with their results, for `--live`. One session program for entry and return where
 * the kernel has such links (6.13), else an entry and a return program.
 */
#include "live.h"

NO_PROGRAMS(live_none);
NO_PROGRAMS(session_none);

/*
 * Where return probes are, as file offsets: to tell an entry point that another one of the same
 * allocator calls (musl's calloc calls malloc) from what somebody else's return probe stands on.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} return_sites SEC(".maps");

/* Run by user space at each reading. */
SEC("syscall")
int live_clock(struct live_clock *clock)
{
	clock->ticks = bpf_jiffies64();
	clock->ns = bpf_ktime_get_ns();
	return 0;
}

/* A return pops its address. */
#define RETURN_ADDRESS_BYTES 8

/* More than any chain of entry points is long, with other tracers' return probes in between. */
#define RETURNS_MAX 8

/*
 * Whether the program's call is under way already. The kernel keeps a list of return probes that
 * have not returned; it is empty for nearly every hit.
 */
static __always_inline bool is_inner_call(struct pt_regs *ctx, __u64 cookie)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct return_instance *outer = task->utask->return_instances;

	for (int i = 0; i < RETURNS_MAX; i++) {
		__u32 offset;

		if (!outer)
			return false;
		offset = COOKIE_OFFSET(cookie) - (__u32)(ctx->ip - outer->func);
		/* Left behind by a longjmp or an exception when it lies below. */
		if (outer->stack >= ctx->sp && bpf_map_lookup_elem(&return_sites, &offset))
			return true;
		outer = outer->next;
	}
	return false;
}

/* What the call may move; 0: nothing. */
static __always_inline __u64 old_pointer(const struct call_args *args, __u32 layout)
{
	if (layout == LAYOUT_REALLOC || layout == LAYOUT_REALLOCARRAY)
		return args->first;
	return layout == LAYOUT_HEAP_REALLOC ? args->second : 0;
}

/* An allocation starts. Its state. */
static __always_inline __u64 begin_allocation(struct alloc_counts *counts,
					      const struct call_args *args, __u32 layout,
					      __u64 size)
{
	__u64 state = 0, old = old_pointer(args, layout);
	__u32 shift = live.shift;

	/* Above PTRDIFF_MAX it fails for certain. */
	if (size >> 63)
		return STATE_NOTHING;
	/* Most likely it fails as well: its size is kept for that. */
	if (size > LIVE_SIZE_MASK) {
		state = LIVE_SIZE_MASK;
	} else if (old) {
		state = begin_move(counts, old, size);
		if (state)
			return state;
		live_free_unknown(counts, old);
	}
	if (!state) {
		if (shift && !is_sampled(size, shift))
			return STATE_NOTHING;
		state = size;
	}
	state |= counts->space << STATE_SLOT_SHIFT;
	return layout == LAYOUT_POSIX_MEMALIGN ? state | STATE_BY_POINTER : state;
}

static __always_inline void count_failure(__u64 size)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct alloc_counts *counts = bpf_map_lookup_elem(&alloc_counts, &pid);

	if (!counts)
		return;
	__sync_fetch_and_add(&counts->failed, 1);
	__sync_fetch_and_add(&counts->failed_bytes, size);
}

static __always_inline void end_allocation(struct pt_regs *ctx, __u64 state, __u64 result)
{
	__u64 size = state & LIVE_SIZE_MASK;

	if (!result && size)
		count_failure(size);
	if (state & STATE_MOVES)
		end_move(ctx, state, result);
	else if (result)
		live_add(ctx, STATE_SPACE(state), result, size, live.shift);
}

/* Whether the word does not say all: where the result goes, or a size that it has no room for. */
static __always_inline bool needs_more(__u64 state)
{
	return !(state & STATE_MOVES) &&
	       (state & STATE_BY_POINTER || (state & LIVE_SIZE_MASK) == LIVE_SIZE_MASK);
}

static __always_inline void keep_call(struct pt_regs *ctx, __u64 state,
				      const struct call_args *args, __u64 cookie)
{
	struct live_call call = {.sp = ctx->sp, .state = state, .result_at = args->first};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if ((state & LIVE_SIZE_MASK) == LIVE_SIZE_MASK)
		call.size = requested_size(args, COOKIE_LAYOUT(cookie));
	if (bpf_map_update_elem(&live_calls, &tid, &call, BPF_ANY))
		count_loss(LOSS_live_calls_full);
}

/* The call of this thread that was kept, if it is the one that returns now. */
static __always_inline bool take_call(struct live_call *call, struct pt_regs *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct live_call *kept = bpf_map_lookup_elem(&live_calls, &tid);

	if (!kept || kept->sp != ctx->sp - RETURN_ADDRESS_BYTES)
		return false;
	*call = *kept;
	bpf_map_delete_elem(&live_calls, &tid);
	return true;
}

static __always_inline void end_kept(struct pt_regs *ctx, const struct live_call *call)
{
	__u64 result = ctx->ax;

	/* posix_memalign returns 0 or an error and leaves the pointer in memory. */
	if (call->state & STATE_BY_POINTER && !(call->state & STATE_MOVES) &&
	    ((__u32)ctx->ax ||
	     bpf_probe_read_user(&result, sizeof(result), (void *)call->result_at)))
		result = 0;
	if ((call->state & LIVE_SIZE_MASK) != LIVE_SIZE_MASK)
		end_allocation(ctx, call->state, result);
	else if (result)
		count_loss(LOSS_live_too_large);
	else
		count_failure(call->size);
}

/* The state of the call that starts. */
static __always_inline __u64 enter(struct pt_regs *ctx, struct call_args *args)
{
	struct alloc_counts *counts = find_counts();
	__u64 cookie, size, state = STATE_NOTHING;
	__u32 layout;

	if (!counts)
		return STATE_SKIPPED;
	cookie = bpf_get_attach_cookie(ctx);
	layout = COOKIE_LAYOUT(cookie);
	if (is_inner_call(ctx, cookie)) {
		__sync_fetch_and_add(&counts->tail_calls, 1);
		return STATE_SKIPPED;
	}
	count_call(counts, cookie);
	*args = read_args(ctx);
	if (layout == LAYOUT_FREE) {
		if (args->first)
			live_remove(counts, args->first);
		return COOKIE_WANTS_RETURN(cookie) ? STATE_NOTHING : STATE_SKIPPED;
	}
	size = layout == LAYOUT_SIZE ? args->first : requested_size(args, layout);
	count_size(ctx, counts, cookie, size);
	if (counts->space)
		state = begin_allocation(counts, args, layout, size);
	/* The return probe is what tells the calls that it makes inside from the program's own. */
	return state == STATE_NOTHING && !COOKIE_WANTS_RETURN(cookie) ? STATE_SKIPPED : state;
}

/*
 * bpf_session_cookie(): eight bytes that the kernel keeps from the entry to the return. Called by
 * a number that the loader replaces, as its prototype has an argument from 7.0 on and libbpf
 * refuses a declaration that is not the kernel's; see src/probe/session.h.
 */
static __always_inline __u64 *session_cookie(void *ctx)
{
	__u64 *cookie;

	asm volatile("r1 = %[ctx]\n"
		     "call %[id]\n"
		     "%[cookie] = r0"
		     : [cookie] "=r"(cookie)
		     : [ctx] "r"(ctx), [id] "i"(SESSION_COOKIE_CALL)
		     : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
	return cookie;
}

/* RETURN_SKIPPED: from a session program at the entry, spares the return. */
enum { RETURN_WANTED, RETURN_SKIPPED };

SEC("uprobe")
int live_session(struct pt_regs *ctx)
{
	__u64 *kept = session_cookie(ctx), state;
	struct live_call call;
	struct call_args args;

	stay_on_own_stack(ctx, &session_none);
	/* At the entry the probed address is where the program stands. */
	if (bpf_get_func_ip(ctx) != ctx->ip) {
		state = *kept;
		if (state == STATE_NOTHING)
			return 0;
		if (!needs_more(state))
			end_allocation(ctx, state, ctx->ax);
		else if (take_call(&call, ctx))
			end_kept(ctx, &call);
		return 0;
	}
	state = enter(ctx, &args);
	if (state == STATE_SKIPPED)
		return RETURN_SKIPPED;
	*kept = state;
	if (needs_more(state))
		keep_call(ctx, state, &args, bpf_get_attach_cookie(ctx));
	return RETURN_WANTED;
}

SEC("uprobe")
int live_enter(struct pt_regs *ctx)
{
	struct call_args args;
	__u64 state = enter(ctx, &args);

	stay_on_own_stack(ctx, &live_none);
	if (state != STATE_SKIPPED && state != STATE_NOTHING)
		keep_call(ctx, state, &args, bpf_get_attach_cookie(ctx));
	return 0;
}

SEC("uretprobe")
int live_return(struct pt_regs *ctx)
{
	struct live_call call;

	stay_on_own_stack(ctx, &live_none);
	if (take_call(&call, ctx))
		end_kept(ctx, &call);
	return 0;
}

/* Nothing, with and without the return: what the kernel's part of these links costs; for
 * calibration and `make bench`. */
SEC("uprobe")
int empty_session(struct pt_regs *ctx)
{
	return RETURN_WANTED;
}

SEC("uprobe")
int empty_skip(struct pt_regs *ctx)
{
	return RETURN_SKIPPED;
}

SEC("uretprobe")
int empty_return(struct pt_regs *ctx)
{
	return 0;
}
