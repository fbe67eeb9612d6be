/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_LIVE_VIEW_H
#define MEMDRIFT_MODEL_LIVE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "memdrift/config.h"

/*
 * What is outstanding in one address space, by call stack and size bucket, as of the last reading
 * of the live set, and how it got there. Sizes in bytes, times in seconds since the trace began.
 */

/* One allocation that has not been freed. */
struct live_item {
	uint64_t pointer;
	uint64_t size; /* requested */
	double weight; /* how many such it stands for: 1, or more when the set is a sample */
	double born_s;
	int32_t stack;
};

/*
 * Counts and bytes are exact while every weight is 1. Otherwise they are unbiased estimates, and
 * the variances are those of the estimates (Horvitz-Thompson): twice the root is the 95 % error.
 */
struct live_sum {
	double count, bytes;
	double count_variance, bytes_variance;
};

struct live_group_key {
	int32_t stack; /* STACK_NONE: without */
	uint32_t bucket;
};

struct live_group {
	UT_hash_handle hh;
	struct live_group_key key;
	struct live_sum now;
	double oldest_s;   /* when the oldest was allocated */
	double median_s;   /* the same of the median; NAN unless the reading was asked for ages */
	double met_s;      /* the first reading that found it */
	double peak_bytes; /* the most of all readings; NAN: unknown, see live_view__filter */
	bool named;        /* its stack was handed to the namer */
	/* Least squares of bytes over the readings since the group was first met. */
	struct {
		double n, t, y, tt, ty, yy;
	} fit;
	/* Of this reading, when ages are wanted: by item. They stay if the view keeps items. */
	double *born;
	double *weights;
	uint64_t *sizes;
	size_t born_count, born_room;
};

/*
 * How fast a group grows, by its readings: bytes per second, with the ends of a 95 % interval; NAN
 * with fewer than four readings. certain: memory that is kept. One group in forty has a lower end
 * above 0 by chance, so that asks for more: 99.9 %, eight readings, and something in it that is
 * there since the first half of the time, as what is freed again and again is not.
 */
struct live_growth {
	double best, low, high;
	bool certain;
};

/* A group as it was when the process held most. */
struct live_peak_group {
	struct live_group_key key;
	double count, bytes;
};

/* What groups are made of; sums and buckets are always of everything. */
struct live_filter {
	double older_s; /* at least this old */
	uint64_t min_bytes, max_bytes;
};

/*
 * Internal fragmentation: usable against requested bytes of outstanding allocations, of as many as
 * were looked at. The table lies in no order of the program's, so the first ones are a fair choice.
 */
#define LIVE_LOOKED_AT_MAX 100000

struct live_usable {
	const char *source; /* how it was told; NULL: it was not */
	uint64_t count;     /* looked at and told */
	uint64_t unread;    /* looked at in vain */
	uint64_t requested_bytes, usable_bytes;
};

struct live_view {
	uint32_t refs;
	double since_s; /* what was allocated before is unknown, unless it was inherited */
	uint32_t readings;
	double read_s;    /* the last one; negative: none yet */
	bool sampled;     /* some weight was above 1 */
	bool incomplete;  /* what it had before its fork is missing */
	bool final;       /* its process has ended, or loaded another program */
	double stopped_s; /* from when on its frees were not all seen; negative: they were */
	struct live_sum total;
	struct live_sum inherited; /* of total: allocated before its fork by its parent */
	uint64_t inherited_frees;  /* of what it had from its parent */
	struct live_sum buckets[SIZE_BUCKETS];
	struct live_group *groups;
	/* The most that it held at once, as the kernel's side saw it, and what that may lack; NAN
	 * when unknown. */
	double peak_bytes, peak_error_bytes;
	/* The reading with the most. */
	struct live_usable usable;
	double peak_read_s, peak_read_bytes;
	struct live_peak_group *peak_groups;
	size_t peak_group_count;
	/* Of the reading under way. */
	const struct live_filter *filter;
	double now_s;
	uint64_t *pointers, *sizes; /* of a reading with ages: LIVE_LOOKED_AT_MAX at most */
	size_t looked_at;
	bool ages;
	bool keeps_items;  /* readings with ages leave their items, for live_view__filter() */
	bool peak_unknown; /* what the fullest reading held was filtered by what it does not tell */
	bool failed;       /* memory ran out: what was read is not to be used */
};

/* With one reference. NULL: out of memory. */
struct live_view *live_view__new(double since_s);
struct live_view *live_view__ref(struct live_view *view);
/* NULL is fine. */
void live_view__unref(struct live_view *view);

/* A reading: begin, add each item, end. ages: medians are wanted, at 16 bytes an item. filter: NULL
 * for all; must live as long as the reading. */
void live_view__begin(struct live_view *view, bool ages, const struct live_filter *filter,
		      double now_s);
void live_view__add(struct live_view *view, const struct live_item *item, bool inherited);
void live_view__end(struct live_view *view);
/*
 * Lists what passes the filter only, as if the readings had been asked with it: for a view whose
 * last reading left its items. Sizes that no bucket is cut by are exact in all respects; else the
 * growth of a group, its peak and what made the fullest reading full cannot be told any more.
 * 0, or -ENODATA: the items were not kept, and nothing is changed.
 */
int live_view__filter(struct live_view *view, const struct live_filter *filter);
/* Adds an item to a group of a view that is read from a file. False: memory is out. */
bool live_group__keep(struct live_group *group, const struct live_item *item);
/* Whether the items of all groups are there: added up again in their order they make its sums. */
bool live_view__has_items(const struct live_view *view);

/* What a reading with ages kept for a look at usable bytes goes. */
void live_view__drop_pointers(struct live_view *view);

struct live_growth live_group__growth(const struct live_view *view, const struct live_group *group);

/* The bucket of a size, as in struct alloc_counts. */
uint32_t size_bucket(uint64_t size);

#endif
