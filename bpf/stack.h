/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_STACK_H
#define MEMDRIFT_BPF_STACK_H

/*
 * Call stacks, each kept once. A hash finds those that may be the same; whether they are is told
 * by comparing them whole.
 */
#include "common.h"
#include "unwind.h"

/* The loader leaves it out when no stacks are wanted. User space reads it through mmap(2). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, STACK_BLOCKS_MAX);
	__type(key, __u32);
	__type(value, struct stack_block);
} stack_blocks __weak SEC(".maps");

/* First blocks by hash; a stack takes one block or more. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STACK_BLOCKS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} stack_ids __weak SEC(".maps");

/* Blocks given out. */
__u32 stack_block_count __weak;

/* Of 2^16 stacks, two have the same 64-bit hash once in 2^33 traces: further keys are for tests
 * and for who makes such stacks on purpose. */
#define STACK_KEYS 4

/* The words of the last block that the stack does not fill are zero, and word 0 is the header. */
static __always_inline void finish_stack(struct unwind_walk *walk)
{
	enum stack_leaf leaf = walk->returned ? STACK_LEAF_CALL : STACK_LEAF_SITE;
	__u64 *words = walk->blocks[0].words;

#pragma unroll
	for (__u32 i = 1; i < STACK_BLOCK_WORDS; i++)
		words[BELOW((__u64)walk->depth, WALK_WORDS) + i] = 0;
	words[0] = STACK_HEADER_MAKE(walk->depth, walk->end, leaf);
	walk->hash ^= words[0];
}

static __always_inline __u32 blocks_of(const struct unwind_walk *walk)
{
	return (walk->depth + STACK_BLOCK_WORDS) / STACK_BLOCK_WORDS;
}

static long compare_block(__u32 i, struct walk_slot **context)
{
	struct walk_slot *slot = *context;
	__u32 index = slot->first + i;
	const struct stack_block *kept = bpf_map_lookup_elem(&stack_blocks, &index);
	const struct stack_block *own = &slot->walk.blocks[BELOW(i, STACK_BLOCKS_EACH)];
	__u64 difference = 0;

	if (!kept) {
		slot->difference = 1;
		return 1;
	}
#pragma unroll
	for (int word = 0; word < STACK_BLOCK_WORDS; word++)
		difference |= kept->words[word] ^ own->words[word];
	slot->difference |= difference;
	return 0;
}

static __always_inline bool is_kept_at(struct walk_slot *slot, __u32 first)
{
	slot->first = first;
	slot->difference = 0;
	bpf_loop(blocks_of(&slot->walk), compare_block, &slot, 0);
	return !slot->difference;
}

static long store_block(__u32 i, struct walk_slot **context)
{
	struct walk_slot *slot = *context;
	__u32 index = slot->stored + i;
	struct stack_block *kept = bpf_map_lookup_elem(&stack_blocks, &index);

	if (!kept)
		return 1;
	*kept = slot->walk.blocks[BELOW(i, STACK_BLOCKS_EACH)];
	return 0;
}

/* Fills blocks with the stack, whose number is in slot->stored. False: none are left. */
static __always_inline bool store_stack(struct walk_slot *slot)
{
	__u32 blocks = blocks_of(&slot->walk);

	/* Asked first, so that the count stops there whoever adds to it. */
	if (*(volatile __u32 *)&stack_block_count + blocks > config.stack_blocks)
		return false;
	slot->stored = __sync_fetch_and_add(&stack_block_count, blocks);
	if (slot->stored + blocks > config.stack_blocks)
		return false;
	bpf_loop(blocks, store_block, &slot, 0);
	return true;
}

/*
 * One key: 1 when the search is over, with the id or without. Who is overtaken by another CPU with
 * the same stack takes that one's; its own blocks stay unused.
 */
static long try_key(__u32 i, struct walk_slot **context)
{
	struct walk_slot *slot = *context;
	__u64 key = (slot->walk.hash & config.stack_hash_mask) + i;
	__u32 *known = bpf_map_lookup_elem(&stack_ids, &key), first;

	if (!known) {
		slot->failed = 1;
		if (!store_stack(slot))
			return 1;
		first = slot->stored;
		if (!bpf_map_update_elem(&stack_ids, &key, &first, BPF_NOEXIST)) {
			slot->failed = 0;
			slot->id = (__s32)first;
			return 1;
		}
		known = bpf_map_lookup_elem(&stack_ids, &key);
		if (!known)
			return 1;
		slot->failed = 0;
	}
	if (!is_kept_at(slot, *known))
		return 0;
	slot->id = (__s32)slot->first;
	return 1;
}

static __always_inline __s32 keep_stack(struct walk_slot *slot)
{
	slot->id = STACK_NONE;
	slot->failed = 0;
	bpf_loop(STACK_KEYS, try_key, &slot, 0);
	if (slot->id == STACK_NONE)
		count_loss(LOSS_stacks_lost);
	return slot->id;
}

/* What take_stack returns: an id, or STACK_NONE, and how many frames were walked for it. */
#define TAKEN_MAKE(id, frames) ((__u32)(id) | (__u64)(frames) << 32)
#define TAKEN_ID(taken)        ((__s32)(taken))
#define TAKEN_FRAMES(taken)    ((__u32)((taken) >> 32))

/* In place of an id: code was mapped, or tables moved, while the walk was under way. */
#define STACK_STALE (-2)

/* A function of its own to the verifier, which looks at it once and not at each call. */
__weak __noinline __u64 take_stack_once(__u64 ip, __u64 sp, __u64 bp, __u32 from)
{
	struct walk_slot *slot = claim_slot();
	__s32 id = STACK_STALE;
	__u32 frames;

	if (!slot) {
		count_loss(LOSS_stacks_busy);
		return TAKEN_MAKE(STACK_NONE, 0);
	}
	if (walk_stack(slot, ip, sp, bp, from)) {
		finish_stack(&slot->walk);
		id = keep_stack(slot);
	}
	frames = slot->walk.depth;
	release_slot(slot);
	return TAKEN_MAKE(id, frames);
}

/* The same without STACK_STALE: a second time the change is mostly over. */
__weak __noinline __u64 take_stack(__u64 ip, __u64 sp, __u64 bp, __u32 from)
{
	__u64 taken = take_stack_once(ip, sp, bp, from);
	__u32 frames = 0;

	if (TAKEN_ID(taken) == STACK_STALE) {
		frames = TAKEN_FRAMES(taken);
		taken = take_stack_once(ip, sp, bp, from);
	}
	frames += TAKEN_FRAMES(taken);
	if (TAKEN_ID(taken) != STACK_STALE)
		return TAKEN_MAKE(TAKEN_ID(taken), frames);
	count_loss(LOSS_stacks_stale);
	return TAKEN_MAKE(STACK_NONE, frames);
}

/* Of a function that is being called, `pushed` bytes after its entry. */
static __always_inline __u64 take_stack_of_call(struct pt_regs *regs, __u32 pushed)
{
	return take_stack(regs->ip, regs->sp + pushed, regs->bp, FROM_ENTRY);
}

/* Of a function that returns: the program stands behind the call. */
static __always_inline __u64 take_callers_stack(struct pt_regs *regs)
{
	return take_stack(regs->ip, regs->sp, regs->bp, FROM_RETURN);
}

/* Of a probe somewhere in a function. */
static __always_inline __u64 take_stack_here(struct pt_regs *regs)
{
	return take_stack(regs->ip, regs->sp, regs->bp, FROM_INSTRUCTION);
}

/* Of the thread that is in a system call. */
static __always_inline __u64 take_stack_of_syscall(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return take_stack(regs->ip, regs->sp, regs->bp, FROM_RETURN);
}

#endif
