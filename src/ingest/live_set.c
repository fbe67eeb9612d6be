// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "ingest/live_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/mapped.h"
#include "ingest/programs.h"

struct live_set {
	struct memdrift *skel;
	struct mapped_array bucket_array, space_array;
	struct live_bucket *buckets; /* in them */
	size_t bucket_count;
	struct live_space *spaces;
	uint32_t thinned_to; /* the shift that all entries have by now */
};

uint64_t live_set__slots(uint64_t bytes)
{
	return bytes / sizeof(struct live_bucket) * LIVE_WAYS;
}

int64_t live_set__limit(uint64_t slots)
{
	return (int64_t)(slots * 2 / 5);
}

int live_set__open(struct memdrift *skel, uint32_t spaces, struct live_set **out)
{
	struct live_set *set = calloc(1, sizeof(*set));
	int err;

	if (!set)
		return -ENOMEM;
	set->skel = skel;
	err = mapped_array__open(&set->bucket_array, skel->maps.live_buckets);
	if (!err)
		err = mapped_array__open(&set->space_array, skel->maps.live_spaces);
	set->buckets = set->bucket_array.at;
	set->spaces = set->space_array.at;
	set->bucket_count = bpf_map__max_entries(skel->maps.live_buckets);
	for (uint32_t id = 1; id <= spaces && id < LIVE_SPACES_MAX && !err; id++)
		err = bpf_map__update_elem(skel->maps.live_free_ids, NULL, 0, &id, sizeof(id), 0);
	if (err) {
		live_set__close(set);
		return err;
	}
	*out = set;
	return 0;
}

void live_set__close(struct live_set *set)
{
	if (!set)
		return;
	mapped_array__close(&set->bucket_array);
	mapped_array__close(&set->space_array);
	free(set);
}

uint32_t live_set__new_space(struct live_set *set)
{
	uint32_t id = 0;

	if (bpf_map__lookup_and_delete_elem(set->skel->maps.live_free_ids, NULL, 0, &id, sizeof(id),
					    0) ||
	    !live_set__space(set, id))
		return 0;
	set->spaces[id].users = 1;
	set->spaces[id].taken = 1;
	return id;
}

struct live_space *live_set__space(struct live_set *set, uint32_t space)
{
	return space && space < LIVE_SPACES_MAX ? &set->spaces[space] : NULL;
}

static void zero_held(struct live_set *set, uint32_t space)
{
	size_t size = sizeof(int64_t) * (size_t)libbpf_num_possible_cpus();
	void *zeros = calloc(1, size);

	if (zeros)
		bpf_map__update_elem(set->skel->maps.live_held, &space, sizeof(space), zeros, size,
				     BPF_ANY);
	free(zeros);
}

void live_set__release(struct live_set *set, uint32_t space)
{
	if (!space || space >= LIVE_SPACES_MAX)
		return;
	zero_held(set, space);
	memset(&set->spaces[space], 0, sizeof(set->spaces[space]));
	bpf_map__update_elem(set->skel->maps.live_free_ids, NULL, 0, &space, sizeof(space), 0);
}

/* As the kernel's side does: the buckets that the entry passed by forget it. */
static void unpass(struct live_set *set, uint64_t key, size_t index)
{
	uint64_t hash = live_hash(key & ~LIVE_MARKED);
	size_t mask = set->bucket_count - 1;

	for (uint32_t i = 0; i < LIVE_CHOICES; i++) {
		size_t passed = LIVE_CHOICE(hash, i) & mask;

		if (passed == index)
			return;
		__atomic_fetch_sub(&set->buckets[passed].passed, 1, __ATOMIC_RELAXED);
	}
}

static bool empty_slot(struct live_set *set, size_t index, int way, uint64_t key)
{
	if (!__atomic_compare_exchange_n(&set->buckets[index].keys[way], &key, 0, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	unpass(set, key, index);
	/* Marked ones were taken off the sum when they were marked, but for moving ones. */
	if (!(key & LIVE_MARKED))
		__atomic_fetch_sub(&set->skel->bss->live.used, 1, __ATOMIC_RELAXED);
	return true;
}

void live_set__each(struct live_set *set, live_entry_fn fn, void *ctx)
{
	for (size_t i = 0; i < set->bucket_count; i++) {
		struct live_bucket *bucket = &set->buckets[i];

		for (int way = 0; way < LIVE_WAYS; way++) {
			uint64_t key = __atomic_load_n(&bucket->keys[way], __ATOMIC_ACQUIRE);
			struct live_value value;

			if (!key || key == LIVE_RESERVED)
				continue;
			value = bucket->values[way];
			/* Freed or taken anew while it was copied: this is nobody's value. */
			if (__atomic_load_n(&bucket->keys[way], __ATOMIC_ACQUIRE) != key)
				continue;
			if (fn(ctx, key, &value))
				empty_slot(set, i, way, key);
		}
	}
}

uint32_t live_set__shift(const struct live_set *set)
{
	return __atomic_load_n(&set->skel->bss->live.shift, __ATOMIC_RELAXED);
}

static double kept_share(uint64_t size, uint32_t shift)
{
	uint64_t whole = live_sample_bytes(shift);

	size = live_sampled_size(size);
	return !shift || size >= whole ? 1 : (double)size / (double)whole;
}

double live_value__weight(const struct live_value *value)
{
	return 1 /
	       kept_share(value->size & LIVE_SIZE_MASK, (uint32_t)(value->size >> LIVE_SIZE_BITS));
}

/* Whether an entry of an older shift stays; then it says the new one. */
static bool survives(struct live_value *value, uint32_t shift)
{
	uint64_t old = __atomic_load_n(&value->size, __ATOMIC_RELAXED);
	uint64_t size = old & LIVE_SIZE_MASK;
	double share =
		kept_share(size, shift) / kept_share(size, (uint32_t)(old >> LIVE_SIZE_BITS));

	if (drand48() >= share)
		return false;
	/* The slot may have changed hands: then its new owner wrote the new shift by itself. */
	__atomic_compare_exchange_n(&value->size, &old, size | (uint64_t)shift << LIVE_SIZE_BITS,
				    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return true;
}

/* Room was made. What is left may still be more than the usual limit. */
static void reset_limit(struct live_set *set)
{
	struct live_state *live = &set->skel->bss->live;
	int64_t slots = (int64_t)(set->bucket_count * LIVE_WAYS);
	int64_t limit = live_set__limit((uint64_t)slots);
	int64_t used = __atomic_load_n(&live->used, __ATOMIC_RELAXED);

	if (used + (slots - used) / 6 > limit)
		limit = used + (slots - used) / 6;
	__atomic_store_n(&live->limit, limit, __ATOMIC_RELAXED);
}

uint64_t live_set__thin(struct live_set *set)
{
	uint32_t shift = live_set__shift(set);
	uint64_t taken = 0;

	if (shift == set->thinned_to)
		return 0;
	for (size_t i = 0; i < set->bucket_count; i++) {
		struct live_bucket *bucket = &set->buckets[i];

		for (int way = 0; way < LIVE_WAYS; way++) {
			uint64_t key = __atomic_load_n(&bucket->keys[way], __ATOMIC_ACQUIRE);

			if (!key || key == LIVE_RESERVED || key & LIVE_MARKED ||
			    bucket->values[way].size >> LIVE_SIZE_BITS >= shift ||
			    survives(&bucket->values[way], shift))
				continue;
			taken += empty_slot(set, i, way, key);
		}
	}
	set->thinned_to = shift;
	reset_limit(set);
	return taken;
}

int live_set__clock(const struct live_set *set, struct live_clock *clock)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = clock, .ctx_size_in = sizeof(*clock));

	memset(clock, 0, sizeof(*clock));
	return bpf_prog_test_run_opts(bpf_program__fd(set->skel->progs.live_clock), &options);
}

double live_clock__time_ns(const struct live_clock *clock, uint32_t stamp)
{
	const uint32_t newer = 1024;
	struct timespec tick; /* the resolution of the coarse clocks: kernel/time/posix-timers.c */
	double ticks = (double)(uint32_t)((uint32_t)clock->ticks - stamp + newer) - newer;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return (double)clock->ns - ticks * ((double)tick.tv_sec * 1e9 + (double)tick.tv_nsec);
}
