/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_LIVE_H
#define MEMDRIFT_BPF_LIVE_H

#include "allocator.h"
#include "live_table.h"

/*
 * What allocations and frees do to the live set. A pointer is taken out when free is entered and
 * put in when malloc returns: in between the allocator alone has it, so nobody else's entry of
 * the same address can be met.
 */

static __always_inline bool is_sampled(__u64 size, __u32 shift)
{
	__u64 whole = live_sample_bytes(shift);

	size = live_sampled_size(size);
	if (size >= whole)
		return true;
	/* Beyond 2^32 one random number is too coarse. */
	if (whole >> 32)
		return (((__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()) &
			(whole - 1)) < size;
	return (bpf_get_prandom_u32() & (whole - 1)) < size;
}

/* What each thread allocated last, for --temporary. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64);
} last_pointers __weak SEC(".maps");

/* Allocations that were freed before the next one of their thread, by stack. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct stack_key);
	__type(value, struct size_count);
} temporaries __weak SEC(".maps");

static __always_inline void note_last(__u64 pointer)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	if (bpf_map_update_elem(&last_pointers, &tid, &pointer, BPF_ANY))
		count_loss(LOSS_temporary_full);
}

static __always_inline void count_if_temporary(__u64 pointer, __u64 size, __s32 stack)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct stack_key key = {.pid = pid_tgid >> 32, .stack = stack};
	struct size_count first = {.count = 1, .bytes = size}, *sums;
	__u32 tid = (__u32)pid_tgid;
	__u64 *last = bpf_map_lookup_elem(&last_pointers, &tid);

	if (!last || *last != pointer)
		return;
	*last = 0;
	sums = bpf_map_lookup_elem(&temporaries, &key);
	if (!sums && !bpf_map_update_elem(&temporaries, &key, &first, BPF_NOEXIST))
		return;
	/* Another CPU may have been first. */
	if (!sums)
		sums = bpf_map_lookup_elem(&temporaries, &key);
	if (!sums) {
		count_loss(LOSS_temporary_full);
		return;
	}
	__sync_fetch_and_add(&sums->count, 1);
	__sync_fetch_and_add(&sums->bytes, size);
}

/* At a return the process's counts are not at hand. */
static __always_inline __s32 take_live_stack(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 taken = take_callers_stack(ctx);

	return count_walk(bpf_map_lookup_elem(&alloc_counts, &pid), taken);
}

static __always_inline void live_add(struct pt_regs *ctx, __u32 space_id, __u64 pointer, __u64 size,
				     __u32 shift)
{
	struct live_space *space = bpf_map_lookup_elem(&live_spaces, &space_id);
	struct live_value value = {
		.size = size | (__u64)shift << LIVE_SIZE_BITS,
		.time = (__u32)bpf_jiffies64(),
		.stack = STACK_NONE,
	};

	if (!space || space->stopped || pointer >> LIVE_POINTER_BITS)
		return;
	value.born = space->epoch;
	if (config.live_stacks)
		value.stack = take_live_stack(ctx);
	if (!live_insert(LIVE_KEY(space_id, pointer), &value)) {
		count_loss(LOSS_live_full);
		return;
	}
	hold_change(space_id, size, 1);
	if (config.live_temporary)
		note_last(pointer);
}

/*
 * Takes out the entry whose slot holds `from`; false when somebody else was first (the program
 * frees twice).
 */
static __always_inline bool live_take(const struct live_place *place, __u64 from, __u32 space_id,
				      const struct live_space *space)
{
	__u32 way = place->way & 7;
	__u64 *slot = &place->bucket->keys[way];
	struct live_value *value = &place->bucket->values[way];
	__u64 size = value->size & LIVE_SIZE_MASK;
	/* A child has it since a fork: kept, marked, until user space has made out the child's. */
	bool keep = value->born < space->keep;

	if (keep)
		value->gone = space->epoch;
	if (__sync_val_compare_and_swap(slot, from, keep ? from | LIVE_MARKED : 0) != from)
		return false;
	if (!keep)
		unpass(live_hash(from & ~LIVE_MARKED), place->choice);
	hold_change(space_id, -(__s64)size, -1);
	return true;
}

/* Freed without being in the set: from before the trace, from before the fork, not in the sample.
 */
static __always_inline void live_free_unknown(struct alloc_counts *counts, __u64 pointer)
{
	__u32 space_id = counts->space;
	struct live_space *space = bpf_map_lookup_elem(&live_spaces, &space_id);
	struct live_value tombstone = {.stack = STACK_NONE, .gone = LIVE_TOMBSTONE};

	__sync_fetch_and_add(&counts->unknown_frees, 1);
	if (!space || !space->parent || pointer >> LIVE_POINTER_BITS)
		return;
	tombstone.born = space->epoch;
	if (!live_insert(LIVE_KEY(space_id, pointer) | LIVE_MARKED, &tombstone))
		count_loss(LOSS_live_full);
}

static __always_inline void live_remove(struct alloc_counts *counts, __u64 pointer)
{
	__u32 space_id = counts->space;
	struct live_space *space = bpf_map_lookup_elem(&live_spaces, &space_id);
	__u64 key = LIVE_KEY(space_id, pointer);
	struct live_place place;

	if (!space || !space_id || space->stopped || pointer >> LIVE_POINTER_BITS)
		return;
	place = live_find(key);
	if (!place.bucket) {
		live_free_unknown(counts, pointer);
		return;
	}
	if (config.live_temporary) {
		struct live_value *value = &place.bucket->values[place.way & 7];

		count_if_temporary(pointer, value->size & LIVE_SIZE_MASK, value->stack);
	}
	if (!live_take(&place, key, space_id, space))
		live_free_unknown(counts, pointer);
}

/*
 * The state of a call between its entry and its return, in one word: for an allocation its size
 * and space; for a realloc of a known pointer the slot that stands for it, marked as moving.
 */
#define STATE_MOVES        (1ull << 63)
#define STATE_BY_POINTER   (1ull << 62) /* posix_memalign: the result is where it was told */
#define STATE_NOTHING      0ull         /* its result is of no interest */
#define STATE_SKIPPED      (~0ull)      /* nor is its return */
#define STATE_SLOT_SHIFT   LIVE_SIZE_BITS
#define STATE_SLOT(state)  ((__u32)((state) >> STATE_SLOT_SHIFT) & ((1u << 23) - 1))
#define STATE_SPACE(state) ((__u32)((state) >> STATE_SLOT_SHIFT) & 0xffff)

/* What has no session to be kept in, or does not fit into one word, by thread. */
struct live_call {
	__u64 sp; /* at the entry: tells the return of this call from an inner one's */
	__u64 state;
	__u64 result_at; /* STATE_BY_POINTER: where the result goes */
	__u64 size;      /* when it is too large for the state */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct live_call);
} live_calls __weak SEC(".maps");

/* realloc starts: the old allocation stays live until it succeeds, but nobody else's. 0: it is not
 * in the set. */
static __always_inline __u64 begin_move(struct alloc_counts *counts, __u64 pointer, __u64 size)
{
	__u32 space_id = counts->space, way;
	__u64 key = LIVE_KEY(space_id, pointer);
	struct live_place place;

	if (!space_id || pointer >> LIVE_POINTER_BITS)
		return 0;
	place = live_find(key);
	if (!place.bucket)
		return 0;
	way = place.way & 7;
	place.bucket->values[way].gone = LIVE_MOVING;
	if (__sync_val_compare_and_swap(&place.bucket->keys[way], key, key | LIVE_MARKED) != key)
		return 0;
	return STATE_MOVES | (__u64)LIVE_SLOT(place.index, way) << STATE_SLOT_SHIFT | size;
}

/* The choice whose bucket this is: the passes of the ones before are to be taken back. */
static __always_inline __u32 choice_of(__u64 hash, __u32 index)
{
	for (__u32 i = 0; i < LIVE_CHOICES; i++)
		if ((LIVE_CHOICE(hash, i) & config.live_bucket_mask) == index)
			return i;
	return 0;
}

static __always_inline void end_move(struct pt_regs *ctx, __u64 state, __u64 result)
{
	__u32 index = LIVE_SLOT_BUCKET(STATE_SLOT(state)), way = LIVE_SLOT_WAY(STATE_SLOT(state));
	struct live_bucket *bucket = bpf_map_lookup_elem(&live_buckets, &index);
	__u64 size = state & LIVE_SIZE_MASK, key;
	struct live_place place = {.bucket = bucket, .way = way, .index = index};
	struct live_space *space;
	__u32 space_id, shift = live.shift;

	if (!bucket)
		return;
	key = bucket->keys[way] & ~LIVE_MARKED;
	/* Failed: as before. Size 0 is a free, whose result is NULL. */
	if (!result && size) {
		__sync_lock_test_and_set(&bucket->keys[way], key);
		return;
	}
	space_id = LIVE_KEY_SPACE(key);
	space = bpf_map_lookup_elem(&live_spaces, &space_id);
	if (!space)
		return;
	place.choice = choice_of(live_hash(key), index);
	live_take(&place, key | LIVE_MARKED, space_id, space);
	if (result && (!shift || is_sampled(size, shift)))
		live_add(ctx, space_id, result, size, shift);
}

#endif
