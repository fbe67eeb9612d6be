/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_LIVE_TABLE_H
#define MEMDRIFT_BPF_LIVE_TABLE_H

#include "common.h"
#include "memdrift/live.h"

/* The live set; see memdrift/live.h. The loader sets the size (--live-memory) or leaves it out. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct live_bucket);
} live_buckets __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LIVE_SPACES_MAX);
	__type(key, __u32);
	__type(value, struct live_space);
} live_spaces __weak SEC(".maps");

/* Changes not yet in live_spaces, by space; see LIVE_HELD_SHIFT. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LIVE_SPACES_MAX);
	__type(key, __u32);
	__type(value, __s64);
} live_held __weak SEC(".maps");

/* Numbers of spaces that nobody has. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, LIVE_SPACES_MAX);
	__type(value, __u32);
} live_free_ids __weak SEC(".maps");

struct live_state live __weak;

/*
 * Keeps half as many of the small allocations from now on, and asks for more room only when a
 * sixth of what is left has gone: user space thins the set out at its next reading, and a storm
 * must not fill it before.
 */
static __always_inline void raise_sampling(void)
{
	__s64 slots = (__s64)(config.live_bucket_mask + 1) * LIVE_WAYS, limit = live.limit;

	if (live.shift >= LIVE_SHIFT_MAX)
		return;
	if (__sync_val_compare_and_swap(&live.limit, limit,
					limit + (__s64)((__u64)(slots - limit) / 6)) == limit)
		__sync_fetch_and_add(&live.shift, 1);
}

static __always_inline void raise_peak(struct live_space *space, __s64 bytes)
{
	for (int i = 0; i < 8; i++) {
		__s64 peak = space->peak_bytes;

		if (bytes <= peak ||
		    __sync_val_compare_and_swap(&space->peak_bytes, peak, bytes) == peak)
			return;
	}
}

static __always_inline void release_held(__u32 id, __s64 *held)
{
	struct live_space *space = bpf_map_lookup_elem(&live_spaces, &id);
	__s64 change = __sync_lock_test_and_set(held, 0);
	/* The count in the low bits, with its sign. */
	__s64 count = change << (64 - LIVE_HELD_SHIFT) >> (64 - LIVE_HELD_SHIFT);
	__s64 bytes = (change - count) >> LIVE_HELD_SHIFT;

	if (space)
		raise_peak(space, __sync_fetch_and_add(&space->bytes, bytes) + bytes);
	if (__sync_fetch_and_add(&live.used, count) + count > live.limit && count > 0)
		raise_sampling();
}

/* The sum of what is live; adding and reading one word that all CPUs share would cost a hit more
 * than the table does. */
static __always_inline void hold_change(__u32 id, __s64 bytes, __s64 count)
{
	__s64 *held = bpf_map_lookup_elem(&live_held, &id), now, now_count;

	if (!held)
		return;
	bytes = (bytes << LIVE_HELD_SHIFT) + count;
	now = __sync_fetch_and_add(held, bytes) + bytes;
	now_count = now << (64 - LIVE_HELD_SHIFT) >> (64 - LIVE_HELD_SHIFT);
	if (now >= (__s64)LIVE_HELD_BYTES << LIVE_HELD_SHIFT ||
	    now <= -((__s64)LIVE_HELD_BYTES << LIVE_HELD_SHIFT) || now_count >= LIVE_HELD_COUNT ||
	    now_count <= -LIVE_HELD_COUNT)
		release_held(id, held);
}

static __always_inline struct live_bucket *live_bucket(__u64 hash, __u32 choice)
{
	__u32 index = LIVE_CHOICE(hash, choice) & config.live_bucket_mask;

	return bpf_map_lookup_elem(&live_buckets, &index);
}

/* An entry that lies in its choice-th bucket has passed by the ones before. */
static __always_inline void unpass(__u64 hash, __u32 choice)
{
	for (__u32 i = 0; i < LIVE_CHOICES; i++) {
		struct live_bucket *bucket;

		if (i >= choice)
			return;
		bucket = live_bucket(hash, i);
		if (bucket)
			__sync_fetch_and_add(&bucket->passed, -1);
	}
}

/* True when the slot was claimed; value is what the reader will find there. */
static __always_inline bool claim_way(struct live_bucket *bucket, int way, __u64 key,
				      const struct live_value *value)
{
	if (bucket->keys[way] || __sync_val_compare_and_swap(&bucket->keys[way], 0, LIVE_RESERVED))
		return false;
	bucket->values[way] = *value;
	/* An exchange rather than a store: nobody may see the key before the value. */
	__sync_lock_test_and_set(&bucket->keys[way], key);
	return true;
}

/* Entries lie where their unmarked key hashes to. False: no room. */
static __always_inline bool live_insert(__u64 key, const struct live_value *value)
{
	__u64 hash = live_hash(key & ~LIVE_MARKED);

	for (__u32 i = 0; i < LIVE_CHOICES; i++) {
		struct live_bucket *bucket = live_bucket(hash, i);

		if (!bucket)
			return false;
#pragma unroll
		for (int way = 0; way < LIVE_WAYS; way++)
			if (claim_way(bucket, way, key, value))
				return true;
		__sync_fetch_and_add(&bucket->passed, 1);
	}
	unpass(hash, LIVE_CHOICES);
	return false;
}

struct live_place {
	struct live_bucket *bucket; /* NULL: not found */
	__u32 way;
	__u32 choice;
	__u32 index; /* of the bucket */
};

static __always_inline struct live_place live_find(__u64 key)
{
	struct live_place place = {0};
	__u64 hash = live_hash(key);

	for (__u32 i = 0; i < LIVE_CHOICES; i++) {
		struct live_bucket *bucket = live_bucket(hash, i);

		if (!bucket)
			return place;
#pragma unroll
		for (int way = 0; way < LIVE_WAYS; way++) {
			if (bucket->keys[way] == key) {
				place.bucket = bucket;
				place.way = way;
				place.choice = i;
				place.index = LIVE_CHOICE(hash, i) & config.live_bucket_mask;
				return place;
			}
		}
		if (!bucket->passed)
			return place;
	}
	return place;
}

#endif
