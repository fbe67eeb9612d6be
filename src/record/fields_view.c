// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/fields.h"

/* Outputs make whole numbers of them; nothing holds 2^62 of anything. */
#define SUM_MAX 0x1p62
/* Of a variance: its root is then in the same range. */
#define VARIANCE_MAX 0x1p120

static void fields_amount(struct codec *codec, const char *field, double *amount, bool or_nan)
{
	codec__real_in(codec, field, amount, 0, SUM_MAX, or_nan);
}

static void fields_sum(struct codec *codec, struct live_sum *sum)
{
	fields_amount(codec, "count", &sum->count, false);
	fields_amount(codec, "bytes", &sum->bytes, false);
	codec__real_in(codec, "count_variance", &sum->count_variance, 0, VARIANCE_MAX, false);
	codec__real_in(codec, "bytes_variance", &sum->bytes_variance, 0, VARIANCE_MAX, false);
}

static void fields_key(struct codec *codec, struct live_group_key *key)
{
	codec__i32(codec, "stack", &key->stack, INT32_MIN, INT32_MAX);
	codec__u32(codec, "bucket", &key->bucket, SIZE_BUCKETS - 1);
}

static void fields_group(struct codec *codec, struct live_group *group)
{
	fields_key(codec, &group->key);
	fields_sum(codec, &group->now);
	CODEC_REAL(codec, group, oldest_s);
	CODEC_REAL(codec, group, median_s);
	CODEC_REAL(codec, group, met_s);
	fields_amount(codec, "peak_bytes", &group->peak_bytes, false);
	CODEC_REAL(codec, &group->fit, n);
	CODEC_REAL(codec, &group->fit, t);
	CODEC_REAL(codec, &group->fit, y);
	CODEC_REAL(codec, &group->fit, tt);
	CODEC_REAL(codec, &group->fit, ty);
	CODEC_REAL(codec, &group->fit, yy);
}

/* How it was told is one of a few words, which outputs compare. */
static void fields_usable(struct codec *codec, struct live_usable *usable)
{
	static const char *const sources[] = {NULL, "chunk-headers", "size-classes"};
	uint32_t source = 0;

	if (usable->source)
		source = !strcmp(usable->source, sources[1]) ? 1 : 2;
	codec__u32(codec, "source", &source, 2);
	usable->source = sources[source];
	CODEC_U64(codec, usable, count);
	CODEC_U64(codec, usable, unread);
	CODEC_U64(codec, usable, requested_bytes);
	CODEC_U64(codec, usable, usable_bytes);
}

static void fields_peak(struct codec *codec, struct live_view *view)
{
	size_t n;

	fields_amount(codec, "peak_bytes", &view->peak_bytes, true);
	fields_amount(codec, "peak_error_bytes", &view->peak_error_bytes, true);
	CODEC_REAL(codec, view, peak_read_s);
	fields_amount(codec, "peak_read_bytes", &view->peak_read_bytes, false);
	n = codec__count(codec, "peak groups", view->peak_group_count, RECORD_GROUPS_MAX, 18);
	if (!codec->writes) {
		view->peak_groups =
			codec__alloc(codec, "peak groups", n, sizeof(*view->peak_groups));
		view->peak_group_count = view->peak_groups ? n : 0;
	}
	for (size_t i = 0; i < view->peak_group_count && !codec->err; i++) {
		fields_key(codec, &view->peak_groups[i].key);
		fields_amount(codec, "count", &view->peak_groups[i].count, false);
		fields_amount(codec, "bytes", &view->peak_groups[i].bytes, false);
	}
}

static void fields_view(struct codec *codec, struct live_view *view)
{
	CODEC_REAL(codec, view, since_s);
	CODEC_U32(codec, view, readings);
	CODEC_REAL(codec, view, read_s);
	CODEC_BOOL(codec, view, sampled);
	CODEC_BOOL(codec, view, incomplete);
	CODEC_BOOL(codec, view, final);
	CODEC_REAL(codec, view, stopped_s);
	fields_sum(codec, &view->total);
	fields_sum(codec, &view->inherited);
	CODEC_U64(codec, view, inherited_frees);
	for (int i = 0; i < SIZE_BUCKETS; i++)
		fields_sum(codec, &view->buckets[i]);
	fields_peak(codec, view);
	fields_usable(codec, &view->usable);
}

/* Two keys, four doubles of each sum, four of its own, six of the fit. */
#define GROUP_BYTES_LEAST (2 + 8 * (4 + 4 + 6))

#define ITEM_BYTES_LEAST 17

void fields__write_view(struct codec *codec, const struct live_view *view)
{
	/* Writing changes nothing of it, but for what a source's word is called. */
	struct live_view copy = *view;

	fields_view(codec, &copy);
	codec__count(codec, "groups", HASH_COUNT(view->groups), RECORD_GROUPS_MAX,
		     GROUP_BYTES_LEAST);
	for (struct live_group *group = view->groups; group; group = group->hh.next)
		fields_group(codec, group);
}

/*
 * Nobody looks for a group by its key, so that the keys of a file, which could be chosen to
 * collide, need not be looked for either.
 */
static void read_group(struct codec *codec, struct live_view *view)
{
	struct live_group *group = codec__alloc(codec, "group", 1, sizeof(*group));

	if (!group)
		return;
	fields_group(codec, group);
	HASH_ADD(hh, view->groups, key, sizeof(group->key), group);
}

/* What outputs derive from the groups has to be in range, too. */
static void check_groups(struct codec *codec, const struct live_view *view)
{
	double bytes = 0, count = 0;

	for (const struct live_group *group = view->groups; group; group = group->hh.next) {
		struct live_growth growth = live_group__growth(view, group);

		bytes += group->now.bytes;
		count += group->now.count;
		if (!isnan(growth.low) &&
		    !(fabs(growth.low) <= SUM_MAX && fabs(growth.high) <= SUM_MAX))
			codec__refuse(codec, "fit", "bytes of groups that no growth fits");
	}
	if (!(bytes <= SUM_MAX && count <= SUM_MAX))
		codec__refuse(codec, "groups", "more bytes or allocations than 2^62");
}

struct live_view *fields__read_view(struct codec *codec)
{
	struct live_view *view = live_view__new(0);
	size_t n;

	if (!view) {
		codec__refuse(codec, "view", "out of memory");
		return NULL;
	}
	if (codec__charge(codec, "view", sizeof(*view)))
		fields_view(codec, view);
	n = codec__count(codec, "groups", 0, RECORD_GROUPS_MAX, GROUP_BYTES_LEAST);
	for (size_t i = 0; i < n && !codec->err; i++)
		read_group(codec, view);
	check_groups(codec, view);
	if (codec->err) {
		live_view__unref(view);
		return NULL;
	}
	return view;
}

void fields__items(struct codec *codec, struct items_record *items, uint32_t views)
{
	codec__u32(codec, "view", &items->view, views);
	codec__u32(codec, "group", &items->group, RECORD_GROUPS_MAX);
	items->count = (uint32_t)codec__count(codec, "items", items->count, RECORD_ITEMS_CHUNK,
					      ITEM_BYTES_LEAST);
	if (!codec->err && (!items->view || !items->count))
		codec__refuse(codec, "items", "none, or of no view");
}

void fields__item(struct codec *codec, struct live_item *item)
{
	CODEC_U64(codec, item, size);
	CODEC_REAL(codec, item, born_s);
	/* Of a sample each stands for many. */
	codec__real_in(codec, "weight", &item->weight, 1, 0x1p60, false);
}
