/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_LIVE_H
#define MEMDRIFT_LIVE_H

#include "memdrift/types.h"

/*
 * The live set: every allocation that has not been freed, in one table that BPF programs write and
 * user space reads through mmap(2). It is a table of our own because a BPF hash map takes a lock
 * and a free list for each insertion and removal, about 100 ns each, and can only be read by a
 * system call per entry.
 *
 * A pointer hashes to LIVE_CHOICES buckets of LIVE_WAYS slots each and lies in the first that had
 * room. A slot is claimed with LIVE_RESERVED, filled, and published by storing its key; whoever
 * takes it out of the set does so with one compare-and-exchange of the key.
 */
#define LIVE_WAYS    7
#define LIVE_CHOICES 6
/* Keys: 47 bits of pointer (all that user space has without LA57), a mark, 16 bits of space. */
#define LIVE_POINTER_BITS 47
#define LIVE_MARKED       (1ull << LIVE_POINTER_BITS)
#define LIVE_SPACE_SHIFT  48
#define LIVE_RESERVED     1ull

#define LIVE_KEY(space, pointer) ((uint64_t)(space) << LIVE_SPACE_SHIFT | (pointer))
#define LIVE_KEY_SPACE(key)      ((uint32_t)((key) >> LIVE_SPACE_SHIFT))
#define LIVE_KEY_POINTER(key)    ((key) & (LIVE_MARKED - 1))

/*
 * What a marked key means. Marked slots are found by nobody who looks for their pointer, which may
 * belong to another allocation by now.
 */
#define LIVE_MOVING    0xffffffffu /* in gone: under realloc, live until that succeeds */
#define LIVE_TOMBSTONE 0xfffffffeu /* in gone: the process freed what it had before its fork */
/* Else gone is the epoch in which it was freed: kept because a child has it since a fork. */

struct live_value {
	uint64_t
		size; /* requested, LIVE_SIZE_BITS; above them the sampling shift it was taken at */
	uint32_t time; /* when it was allocated: the kernel's ticks (jiffies), their low bits */
	int32_t stack; /* id as in rec_mapping, or STACK_NONE */
	uint32_t born; /* epoch of its space */
	uint32_t gone;
};
MEMDRIFT_ASSERT_SIZE(struct live_value, 24);

struct live_bucket {
	uint64_t keys[LIVE_WAYS]; /* 0: free. One cache line with passed */
	uint32_t passed; /* entries that found it full and went on: a search may stop at 0 */
	uint32_t reserved;
	struct live_value values[LIVE_WAYS];
	uint64_t padding[3];
};
MEMDRIFT_ASSERT_SIZE(struct live_bucket, 256);

#define LIVE_BUCKETS_MAX (1u << 20)
/* A slot's number: bucket and way. */
#define LIVE_SLOT(bucket, way) ((uint32_t)(bucket) << 3 | (way))
#define LIVE_SLOT_BUCKET(slot) ((slot) >> 3)
#define LIVE_SLOT_WAY(slot)    ((slot)&7)

/* Sizes beyond 512 GiB are not tracked (a named loss): the state of a call is one word. */
#define LIVE_SIZE_BITS 39
#define LIVE_SIZE_MASK ((1ull << LIVE_SIZE_BITS) - 1)

/*
 * Ticks beside the clock, for user space to tell a stamp's age by: reading the clock at each
 * allocation costs some 100 ns of a pair on a virtual machine, reading the ticks is one load. A
 * tick is 1 to 10 ms; 32 bits of them last 198 days at 250 a second, 49 at 1,000.
 */
struct live_clock {
	uint64_t ticks;
	uint64_t ns; /* CLOCK_MONOTONIC */
};
MEMDRIFT_ASSERT_SIZE(struct live_clock, 16);

/* The buckets of a key: first + i x step. */
static inline uint64_t live_hash(uint64_t key)
{
	/* Multiplicative hashing; the constant is 2^64 over the golden ratio. Low bits of pointers
	 * are zero: the high half is folded in. */
	key *= 0x9e3779b97f4a7c15ull;
	return key ^ key >> 32;
}

#define LIVE_FIRST(hash)     ((uint32_t)(hash))
#define LIVE_STEP(hash)      ((uint32_t)((hash) >> 40) | 1)
#define LIVE_CHOICE(hash, i) (LIVE_FIRST(hash) + (i)*LIVE_STEP(hash))

/*
 * Sampling, when the set fills: shift k > 0 keeps an allocation with the probability
 * min(1, size / 2^(LIVE_SAMPLE_BASE + k)), and it then stands for the inverse of that. Bernoulli
 * trials for each allocation with a chance proportional to its bytes (Poisson sampling); k = 0
 * keeps all. A size under LIVE_SAMPLE_LEAST is taken for that, which is what glibc sets aside for
 * it (malloc/malloc.c, MINSIZE without the next chunk's header on 64 bits): each of a few
 * allocations of one byte would otherwise stand for so many that the count hung on them.
 */
#define LIVE_SAMPLE_BASE  7
#define LIVE_SAMPLE_LEAST 24
#define LIVE_SHIFT_MAX    40

static inline uint64_t live_sample_bytes(uint32_t shift)
{
	return 1ull << (LIVE_SAMPLE_BASE + shift);
}

static inline uint64_t live_sampled_size(uint64_t size)
{
	return size < LIVE_SAMPLE_LEAST ? LIVE_SAMPLE_LEAST : size;
}

/*
 * An address space: what belongs to one process between its birth or exec and its next exec or
 * end. Number 0 is none. Numbers are given out by the kernel's side (map live_free_ids) and taken
 * back by user space when it has read and emptied the space.
 */
#define LIVE_SPACES_MAX 16384

struct live_space {
	int64_t bytes; /* live, without what the CPUs hold back: see LIVE_HELD_BYTES */
	int64_t peak_bytes;
	uint32_t epoch;        /* forks so far; allocations are born in it */
	uint32_t keep;         /* freed allocations born before it are kept for children */
	uint32_t parent;       /* the space it is a copy of, 0: none */
	uint32_t parent_epoch; /* allocations of the parent born up to here are its own too */
	uint32_t users;   /* processes in it: several after vfork(2). At 0 it can be taken back */
	uint32_t taken;   /* the number was given out */
	uint32_t stopped; /* its probes come and go: nothing is kept of it any more */
	uint32_t reserved;
};
MEMDRIFT_ASSERT_SIZE(struct live_space, 48);

/* Each CPU adds up changes of a space by itself until they reach this: what peak_bytes may lack
 * for each CPU. */
#define LIVE_HELD_BYTES 65536
#define LIVE_HELD_COUNT 64
/* Held changes in one word: bytes above, count in the low bits. */
#define LIVE_HELD_SHIFT 14

/* Stands for the call of bpf_session_cookie() until the loader knows its number. */
#define SESSION_COOKIE_CALL 0x6d656d64

/* How the set fills. What every hit reads does not share a cache line with what changes. */
struct live_state {
	int64_t used;  /* slots, without what the CPUs hold back */
	int64_t limit; /* beyond this many the sampling shift rises */
	uint64_t padding[7];
	uint32_t shift; /* 0: everything is kept */
	uint32_t reserved;
};
MEMDRIFT_ASSERT_SIZE(struct live_state, 80);

#endif
