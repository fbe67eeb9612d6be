/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_ALLOCATOR_H
#define MEMDRIFT_BPF_ALLOCATOR_H

/*
 * Counting of allocator calls where they happen: the hot path, at up to millions of hits a second.
 * A hit costs one look-up and three atomic adds on memory of its own CPU. Atomic, because uprobe
 * programs can be preempted by others of the same process on the same CPU.
 */
#include "bits.h"
#include "common.h"
#include "size_class.h"
#include "stack.h"

/* Hits in processes that are not counted, when probes are placed for all processes at once. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} bystander_hits __weak SEC(".maps");

/* Weights by call stack, on request. 65,536 pairs of process and stack. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct stack_key);
	__type(value, struct size_count);
} stack_counts __weak SEC(".maps");

static __always_inline struct alloc_counts *find_counts(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct alloc_counts *counts = bpf_map_lookup_elem(&alloc_counts, &pid);
	__u32 zero = 0;
	__u64 *hits;

	if (!counts) {
		hits = bpf_map_lookup_elem(&bystander_hits, &zero);
		if (hits)
			__sync_fetch_and_add(hits, 1);
	}
	return counts;
}

static __always_inline void count_call(struct alloc_counts *counts, __u64 cookie)
{
	__sync_fetch_and_add(&counts->calls[COOKIE_ROW(cookie) & (CALL_ROWS - 1)], 1);
}

/* What a hit costs depends on the stack that it walks. The stack's id. */
static __always_inline __s32 count_walk(struct alloc_counts *counts, __u64 taken)
{
	__u32 frames = TAKEN_FRAMES(taken);

	if (counts && frames) {
		__sync_fetch_and_add(&counts->stacks, 1);
		__sync_fetch_and_add(&counts->frames, frames);
	}
	return TAKEN_ID(taken);
}

static __always_inline void count_stack(struct pt_regs *ctx, struct alloc_counts *counts,
					__u64 cookie, __u64 size)
{
	struct size_count first = {.count = 1, .bytes = size}, *sums;
	struct stack_key key = {.pid = bpf_get_current_pid_tgid() >> 32};

	key.stack = count_walk(counts, take_stack_of_call(ctx, COOKIE_SP_DELTA(cookie)));
	sums = bpf_map_lookup_elem(&stack_counts, &key);
	if (!sums) {
		if (!bpf_map_update_elem(&stack_counts, &key, &first, BPF_NOEXIST))
			return;
		/* Another CPU may have been first. */
		sums = bpf_map_lookup_elem(&stack_counts, &key);
		if (!sums) {
			count_loss(LOSS_stack_counts_full);
			return;
		}
	}
	__sync_fetch_and_add(&sums->count, 1);
	__sync_fetch_and_add(&sums->bytes, size);
}

static __always_inline void count_size(struct pt_regs *ctx, struct alloc_counts *counts,
				       __u64 cookie, __u64 size)
{
	struct size_count *bucket;

	if (size >> 63) {
		__sync_fetch_and_add(&counts->impossible, 1);
		return;
	}
	bucket = &counts->buckets[bucket_of(size) & (SIZE_BUCKETS - 1)];
	__sync_fetch_and_add(&bucket->count, 1);
	__sync_fetch_and_add(&bucket->bytes, size);
	/* One question in the common case, of which the kernel leaves nothing but the load. */
	if (config.count_by) {
		if (config.count_by & COUNT_BY_STACK)
			count_stack(ctx, counts, cookie, size);
		if (config.count_by & COUNT_BY_CLASS)
			count_class(size);
	}
}

/* What a product beyond 64 bits counts as: a size that no allocator can give. */
#define IMPOSSIBLE_SIZE (~0UL)

static __always_inline __u64 multiply(__u64 a, __u64 b)
{
	__u64 product = a * b;

	/* Keeps clang from making a 128-bit multiplication of the check, which BPF has not. */
	barrier_var(product);
	if ((a | b) >> 32 && b && product / b != a)
		return IMPOSSIBLE_SIZE;
	return product;
}

struct call_args {
	__u64 first, second, third, ax;
};

/*
 * All of them at once, and kept apart from the choice between them: clang would otherwise choose
 * the register's place first, and the verifier allows no computed access to a context.
 */
static __always_inline struct call_args read_args(struct pt_regs *ctx)
{
	struct call_args args = {ctx->di, ctx->si, ctx->dx, ctx->ax};

	barrier_var(args.first);
	barrier_var(args.second);
	barrier_var(args.third);
	barrier_var(args.ax);
	return args;
}

/* What the call asks for, by where its function expects the size. */
static __always_inline __u64 requested_size(const struct call_args *args, __u32 layout)
{
	switch (layout) {
	case LAYOUT_NMEMB_SIZE:
		return multiply(args->first, args->second);
	case LAYOUT_REALLOC:
	case LAYOUT_ALIGNED:
		return args->second;
	case LAYOUT_REALLOCARRAY:
	case LAYOUT_HEAP_NMEMB_SIZE:
		return multiply(args->second, args->third);
	case LAYOUT_AX_SIZE:
		return multiply(args->ax, args->second);
	case LAYOUT_HEAP_REALLOC:
	case LAYOUT_POSIX_MEMALIGN:
		return args->third;
	default:
		return args->first;
	}
}

#endif
