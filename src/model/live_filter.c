// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Filters on outstanding allocations after they were read, from the items that a reading left. */
#include <errno.h>
#include <math.h>

#include "model/live_view_impl.h"

enum cover { COVER_NONE, COVER_ALL, COVER_SOME };

/* How much of a bucket the sizes of a filter let through. */
static enum cover cover_of(const struct live_filter *filter, uint32_t bucket)
{
	uint64_t least = bucket ? 1ull << (bucket - 1) : 0;
	uint64_t most = bucket ? 2 * (least - 1) + 1 : 0;

	if (filter->max_bytes < least || filter->min_bytes > most)
		return COVER_NONE;
	return filter->min_bytes <= least && filter->max_bytes >= most ? COVER_ALL : COVER_SOME;
}

static struct live_item item_of(const struct live_group *group, size_t i)
{
	return (struct live_item){.size = group->sizes[i],
				  .weight = group->weights[i],
				  .born_s = group->born[i],
				  .stack = group->key.stack};
}

static bool has_items(const struct live_group *group)
{
	struct live_sum sum = {0};

	for (size_t i = 0; i < group->born_count; i++) {
		struct live_item item = item_of(group, i);

		live_sum__add(&sum, &item);
	}
	return sum.count == group->now.count && sum.bytes == group->now.bytes;
}

bool live_view__has_items(const struct live_view *view)
{
	for (const struct live_group *group = view->groups; group; group = group->hh.next)
		if (!has_items(group))
			return false;
	return true;
}

/* Keeps what passes, in its order. */
static void filter_items(struct live_group *group, const struct live_filter *filter, double now_s)
{
	size_t n = 0;

	group->now = (struct live_sum){0};
	group->oldest_s = INFINITY;
	for (size_t i = 0; i < group->born_count; i++) {
		struct live_item item = item_of(group, i);

		if (!live_filter__passes(filter, now_s, &item))
			continue;
		live_sum__add(&group->now, &item);
		group->oldest_s = fmin(group->oldest_s, item.born_s);
		group->born[n] = item.born_s;
		group->sizes[n] = item.size;
		group->weights[n++] = item.weight;
	}
	group->born_count = n;
}

static void filter_group(struct live_view *view, struct live_group *group,
			 const struct live_filter *filter)
{
	if (filter->older_s <= 0 && cover_of(filter, group->key.bucket) == COVER_ALL)
		return;
	filter_items(group, filter, view->read_s);
	group->median_s = NAN;
	live_group__find_median(group);
	/* The readings before this one were of other items, too. */
	group->fit.n = 0;
	group->peak_bytes = NAN;
}

static void filter_peak(struct live_view *view, const struct live_filter *filter)
{
	size_t n = 0;

	for (size_t i = 0; i < view->peak_group_count; i++) {
		enum cover cover = cover_of(filter, view->peak_groups[i].key.bucket);

		if (cover == COVER_SOME)
			view->peak_unknown = true;
		if (cover != COVER_NONE)
			view->peak_groups[n++] = view->peak_groups[i];
	}
	view->peak_group_count = n;
	if (filter->older_s > 0)
		view->peak_unknown = true;
}

int live_view__filter(struct live_view *view, const struct live_filter *filter)
{
	struct live_group *group, *next;

	if (!live_view__has_items(view))
		return -ENODATA;
	HASH_ITER (hh, view->groups, group, next) {
		/* No reading with this filter would have made it. */
		if (cover_of(filter, group->key.bucket) == COVER_NONE)
			live_view__drop_group(view, group);
		else
			filter_group(view, group, filter);
	}
	filter_peak(view, filter);
	return 0;
}
