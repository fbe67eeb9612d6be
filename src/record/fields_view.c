// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "record/fields.h"

static void fields_sum(struct codec *codec, struct live_sum *sum)
{
	CODEC_REAL(codec, sum, count);
	CODEC_REAL(codec, sum, bytes);
	CODEC_REAL(codec, sum, count_variance);
	CODEC_REAL(codec, sum, bytes_variance);
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
	CODEC_REAL(codec, group, peak_bytes);
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

	CODEC_REAL(codec, view, peak_bytes);
	CODEC_REAL(codec, view, peak_error_bytes);
	CODEC_REAL(codec, view, peak_read_s);
	CODEC_REAL(codec, view, peak_read_bytes);
	n = codec__count(codec, "peak groups", view->peak_group_count, RECORD_GROUPS_MAX, 18);
	if (!codec->writes) {
		view->peak_groups =
			codec__alloc(codec, "peak groups", n, sizeof(*view->peak_groups));
		view->peak_group_count = view->peak_groups ? n : 0;
	}
	for (size_t i = 0; i < view->peak_group_count && !codec->err; i++) {
		fields_key(codec, &view->peak_groups[i].key);
		CODEC_REAL(codec, &view->peak_groups[i], count);
		CODEC_REAL(codec, &view->peak_groups[i], bytes);
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
	if (codec->err) {
		live_view__unref(view);
		return NULL;
	}
	return view;
}
