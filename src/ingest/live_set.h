/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_INGEST_LIVE_SET_H
#define MEMDRIFT_INGEST_LIVE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memdrift/live.h"

struct memdrift;

/*
 * User space's side of the live set: the table as the BPF programs write it, mapped, not copied.
 */
struct live_set;

/* Least and most memory of the table; a power of two. */
#define LIVE_BYTES_MIN     (64ull << 10)
#define LIVE_BYTES_MAX     ((uint64_t)LIVE_BUCKETS_MAX * sizeof(struct live_bucket))
#define LIVE_BYTES_DEFAULT (64ull << 20)

/* Slots that a table of that size has. */
uint64_t live_set__slots(uint64_t bytes);
/* How many may be in use before sampling begins: above, entries find their buckets full. */
int64_t live_set__limit(uint64_t slots);

/* Maps the table of loaded programs and gives out `spaces` numbers. 0 or a negative errno. */
int live_set__open(struct memdrift *skel, uint32_t spaces, struct live_set **out);
void live_set__close(struct live_set *set);

/* A number of an empty space, with one user; 0: none is left. */
uint32_t live_set__new_space(struct live_set *set);

/*
 * Calls fn for each filled slot; one that changes meanwhile may be met or not. fn may answer true
 * to have the slot emptied, if it still holds that key.
 */
typedef bool (*live_entry_fn)(void *ctx, uint64_t key, const struct live_value *value);
void live_set__each(struct live_set *set, live_entry_fn fn, void *ctx);

/* Gives the number back; its slots must be empty. */
void live_set__release(struct live_set *set, uint32_t space);

/* What the kernel keeps of a space; NULL for number 0 and above LIVE_SPACES_MAX. */
struct live_space *live_set__space(struct live_set *set, uint32_t space);

/*
 * When the sampling shift has risen: takes as many of the older entries out as would not have been
 * kept at the new one, so that all stand for what they say. Returns how many.
 */
uint64_t live_set__thin(struct live_set *set);
/* 0: everything is kept. */
uint32_t live_set__shift(const struct live_set *set);
/* Now, by both clocks. 0 or a negative errno. */
int live_set__clock(const struct live_set *set, struct live_clock *clock);
/*
 * When an entry was made, CLOCK_MONOTONIC in ns: up to a tick early or late. One made since the
 * clock was read, by up to 1,024 ticks, is newer than it.
 */
double live_clock__time_ns(const struct live_clock *clock, uint32_t stamp);

/* What an entry stands for: 1 when everything was kept. */
double live_value__weight(const struct live_value *value);

#endif
