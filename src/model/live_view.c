// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "model/live_view_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* With 16 thousand stacks (bpf/stack.h) of four size buckets each. */
#define GROUPS_MAX 65536
/* Fewer readings say nothing about a trend. */
#define FIT_READINGS_MIN 4
/* Of the normal distribution, for 95 %; readings are many or the interval is wide anyway. */
#define TWO_SIDED_95 1.96
/* Of 99.9 %; see struct live_growth. */
#define CERTAIN_SIGMAS       3.3
#define CERTAIN_READINGS_MIN 8

uint32_t size_bucket(uint64_t size)
{
	return size ? 64u - (uint32_t)__builtin_clzll(size) : 0;
}

struct live_view *live_view__new(double since_s)
{
	struct live_view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->refs = 1;
	view->since_s = since_s;
	view->read_s = view->stopped_s = -1;
	view->peak_bytes = view->peak_error_bytes = NAN;
	return view;
}

struct live_view *live_view__ref(struct live_view *view)
{
	if (view)
		view->refs++;
	return view;
}

static void free_items(struct live_group *group)
{
	free(group->born);
	free(group->weights);
	free(group->sizes);
	group->born = group->weights = NULL;
	group->sizes = NULL;
	group->born_count = group->born_room = 0;
}

void live_view__drop_group(struct live_view *view, struct live_group *group)
{
	HASH_DEL(view->groups, group);
	free_items(group);
	free(group);
}

void live_view__unref(struct live_view *view)
{
	struct live_group *group, *next;

	if (!view || --view->refs)
		return;
	/* Takes the table away and leaves the items in their order. */
	group = view->groups;
	HASH_CLEAR(hh, view->groups);
	for (; group; group = next) {
		next = group->hh.next;
		free_items(group);
		free(group);
	}
	free(view->peak_groups);
	live_view__drop_pointers(view);
	free(view);
}

void live_view__drop_pointers(struct live_view *view)
{
	free(view->pointers);
	free(view->sizes);
	view->pointers = view->sizes = NULL;
	view->looked_at = 0;
}

static void keep_pointer(struct live_view *view, const struct live_item *item)
{
	if (!view->pointers) {
		view->pointers = malloc(LIVE_LOOKED_AT_MAX * sizeof(*view->pointers));
		view->sizes = malloc(LIVE_LOOKED_AT_MAX * sizeof(*view->sizes));
	}
	if (!view->pointers || !view->sizes || view->looked_at == LIVE_LOOKED_AT_MAX)
		return;
	view->pointers[view->looked_at] = item->pointer;
	view->sizes[view->looked_at++] = item->size;
}

void live_view__begin(struct live_view *view, bool ages, const struct live_filter *filter,
		      double now_s)
{
	struct live_group *group;

	view->ages = ages;
	view->filter = filter;
	view->now_s = now_s;
	view->failed = false;
	live_view__drop_pointers(view);
	memset(&view->total, 0, sizeof(view->total));
	memset(&view->inherited, 0, sizeof(view->inherited));
	memset(view->buckets, 0, sizeof(view->buckets));
	for (group = view->groups; group; group = group->hh.next) {
		memset(&group->now, 0, sizeof(group->now));
		group->oldest_s = INFINITY;
		group->median_s = NAN;
		group->born_count = 0;
	}
}

void live_sum__add(struct live_sum *sum, const struct live_item *item)
{
	double size = (double)item->size, w = item->weight;

	sum->count += w;
	sum->bytes += w * size;
	/* A trial with the chance 1/w: (1 - 1/w) w^2 of its value squared. */
	sum->count_variance += w * (w - 1);
	sum->bytes_variance += w * (w - 1) * size * size;
}

static struct live_group *find_group(struct live_view *view, int32_t stack, uint32_t bucket)
{
	struct live_group_key key = {.stack = stack, .bucket = bucket};
	struct live_group *group;

	HASH_FIND(hh, view->groups, &key, sizeof(key), group);
	if (group)
		return group;
	/* What finds no room is shown without its stack, so that sums stay right. */
	if (HASH_COUNT(view->groups) >= GROUPS_MAX && stack >= 0)
		return find_group(view, -1, bucket);
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->key = key;
	group->met_s = view->now_s;
	group->oldest_s = INFINITY;
	group->median_s = NAN;
	HASH_ADD(hh, view->groups, key, sizeof(key), group);
	return group;
}

static bool grow_items(struct live_group *group)
{
	size_t room = group->born_room ? 2 * group->born_room : 16;
	double *born = realloc(group->born, room * sizeof(*born));
	double *weights;
	uint64_t *sizes;

	if (!born)
		return false;
	group->born = born;
	weights = realloc(group->weights, room * sizeof(*weights));
	if (!weights)
		return false;
	group->weights = weights;
	sizes = realloc(group->sizes, room * sizeof(*sizes));
	if (!sizes)
		return false;
	group->sizes = sizes;
	group->born_room = room;
	return true;
}

bool live_group__keep(struct live_group *group, const struct live_item *item)
{
	if (group->born_count == group->born_room && !grow_items(group))
		return false;
	group->born[group->born_count] = item->born_s;
	group->sizes[group->born_count] = item->size;
	group->weights[group->born_count++] = item->weight;
	return true;
}

bool live_filter__passes(const struct live_filter *filter, double now_s,
			 const struct live_item *item)
{
	if (!filter)
		return true;
	/* Some are allocated while they are read, after now. */
	if (filter->older_s > 0 && now_s - item->born_s < filter->older_s)
		return false;
	return item->size >= filter->min_bytes && item->size <= filter->max_bytes;
}

void live_view__add(struct live_view *view, const struct live_item *item, bool inherited)
{
	uint32_t bucket = size_bucket(item->size) & (SIZE_BUCKETS - 1);
	struct live_group *group;

	live_sum__add(&view->total, item);
	live_sum__add(&view->buckets[bucket], item);
	if (inherited)
		live_sum__add(&view->inherited, item);
	if (item->weight > 1)
		view->sampled = true;
	if (view->ages)
		keep_pointer(view, item);
	if (!live_filter__passes(view->filter, view->now_s, item))
		return;
	group = find_group(view, item->stack, bucket);
	if (!group || (view->ages && !live_group__keep(group, item))) {
		view->failed = true;
		return;
	}
	live_sum__add(&group->now, item);
	if (item->born_s < group->oldest_s)
		group->oldest_s = item->born_s;
}

struct aged {
	double born_s, weight;
};

static int compare_aged(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return (x->born_s > y->born_s) - (x->born_s < y->born_s);
}

/* Half of what the group stands for is older. */
void live_group__find_median(struct live_group *group)
{
	struct aged *aged = malloc((group->born_count + 1) * sizeof(*aged));
	double passed = 0;

	if (!aged)
		return;
	for (size_t i = 0; i < group->born_count; i++)
		aged[i] = (struct aged){group->born[i], group->weights[i]};
	qsort(aged, group->born_count, sizeof(*aged), compare_aged);
	for (size_t i = 0; i < group->born_count; i++) {
		passed += aged[i].weight;
		if (2 * passed >= group->now.count) {
			group->median_s = aged[i].born_s;
			break;
		}
	}
	free(aged);
}

static void end_group(struct live_view *view, struct live_group *group)
{
	/* Close to zero: products of large times would cancel each other's digits. */
	double t = view->now_s - view->since_s, y = group->now.bytes;

	if (y > group->peak_bytes)
		group->peak_bytes = y;
	group->fit.n++;
	group->fit.t += t;
	group->fit.y += y;
	group->fit.tt += t * t;
	group->fit.ty += t * y;
	group->fit.yy += y * y;
	if (view->ages)
		live_group__find_median(group);
	if (!view->keeps_items || !view->ages)
		free_items(group);
}

static void keep_peak(struct live_view *view)
{
	struct live_peak_group *groups;
	size_t n = 0;

	/* A copy at each new peak would be one at each reading while a process grows: a hundredth
	 * more is worth one. The last reading is the groups themselves. */
	if (view->peak_groups && view->total.bytes < 1.01 * view->peak_read_bytes)
		return;
	groups = malloc((HASH_COUNT(view->groups) + 1) * sizeof(*groups));
	if (!groups)
		return;
	for (struct live_group *group = view->groups; group; group = group->hh.next)
		if (group->now.count > 0)
			groups[n++] = (struct live_peak_group){group->key, group->now.count,
							       group->now.bytes};
	free(view->peak_groups);
	view->peak_groups = groups;
	view->peak_group_count = n;
	view->peak_read_bytes = view->total.bytes;
	view->peak_read_s = view->now_s;
}

void live_view__end(struct live_view *view)
{
	if (view->failed)
		return;
	for (struct live_group *group = view->groups; group; group = group->hh.next)
		end_group(view, group);
	view->readings++;
	view->read_s = view->now_s;
	keep_peak(view);
}

static bool keeps(const struct live_view *view, const struct live_group *group,
		  const struct live_growth *growth)
{
	double half_width = growth->best - growth->low;

	return group->fit.n >= CERTAIN_READINGS_MIN && group->now.count > 0 &&
	       growth->best - half_width * CERTAIN_SIGMAS / TWO_SIDED_95 > 0 &&
	       view->read_s - group->oldest_s > (view->read_s - group->met_s) / 2;
}

struct live_growth live_group__growth(const struct live_view *view, const struct live_group *group)
{
	struct live_growth growth = {NAN, NAN, NAN, false};
	double n = group->fit.n, stt, sty, syy, slope, residual, error;

	if (n < FIT_READINGS_MIN)
		return growth;
	stt = group->fit.tt - group->fit.t * group->fit.t / n;
	sty = group->fit.ty - group->fit.t * group->fit.y / n;
	syy = group->fit.yy - group->fit.y * group->fit.y / n;
	if (stt <= 0)
		return growth;
	slope = sty / stt;
	residual = fmax(syy - slope * sty, 0);
	error = TWO_SIDED_95 * sqrt(residual / (n - 2) / stt);
	growth = (struct live_growth){.best = slope, .low = slope - error, .high = slope + error};
	growth.certain = keeps(view, group, &growth);
	return growth;
}
