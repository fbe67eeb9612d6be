// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/jemalloc.h"

#include <errno.h>
#include <string.h>

#include <bsd/string.h>

/* A process that works while it is read changes some elements under our eyes; the best of so many
 * walks counts. */
#define WALKS_MAX 3

/* Elements that may differ, of so many extents: with that the figures are within a percent. */
#define EXTENTS_PER_DIFFERENCE 200

static bool is_consistent(const struct jemalloc_walk *walk)
{
	return walk->complete && walk->mapped_bytes == walk->extent_bytes &&
	       walk->differing <= walk->extents / EXTENTS_PER_DIFFERENCE;
}

static bool is_better(const struct jemalloc_walk *walk, const struct jemalloc_walk *than)
{
	if (walk->complete != than->complete)
		return walk->complete;
	return walk->differing < than->differing;
}

/* What any of the walks saw is claimed; the figures are the best one's. */
static int walk_tree(const struct tree *tree, struct subject *subject, struct claims *claims,
		     struct jemalloc_walk *best)
{
	int err = jemalloc__walk(tree, subject, claims, best);

	for (int i = 1; !err && i < WALKS_MAX && !is_consistent(best); i++) {
		struct jemalloc_walk again;

		err = jemalloc__walk(tree, subject, claims, &again);
		if (!err && is_better(&again, best))
			*best = again;
	}
	return err;
}

static void add_walk(struct jemalloc_facts *facts, const struct jemalloc_walk *walk)
{
	size_t build = 0;
	bool sound;

	for (size_t k = 1; k < JEMALLOC_BUILDS; k++)
		if (walk->unsound[k] < walk->unsound[build])
			build = k;
	sound = walk->unsound[build] <= walk->extents / EXTENTS_PER_DIFFERENCE;

	facts->active_bytes += walk->active_bytes;
	facts->allocated_bytes += walk->allocated_bytes[build];
	facts->dirty_bytes += walk->dirty_bytes;
	facts->muzzy_bytes += walk->muzzy_bytes;
	facts->retained_bytes += walk->retained_bytes;
	facts->metadata_bytes += walk->block_bytes;
	facts->extents += walk->extents;
	facts->extents_in_mappings.found += walk->mapped_bytes;
	facts->extents_in_mappings.expected += walk->extent_bytes;
	facts->extents_in_mappings.ok &= sound && is_consistent(walk);
}

int jemalloc__read(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct allocators *out)
{
	const struct jemalloc_layout *layout = jemalloc_kind__layout(tree->kind);
	struct jemalloc_walk walk;
	int err = walk_tree(tree, subject, claims, &walk);

	if (err)
		return err;
	if (!out->has_jemalloc) {
		out->has_jemalloc = true;
		out->jemalloc.extents_in_mappings = (struct check){.done = true, .ok = true};
		strlcpy(out->jemalloc.layout, layout->name, sizeof(out->jemalloc.layout));
	}
	add_walk(&out->jemalloc, &walk);
	return 0;
}
