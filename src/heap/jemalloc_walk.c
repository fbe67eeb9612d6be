// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Walks a radix tree of jemalloc's: every extent, in order of address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "heap/allocators_scan.h"
#include "heap/jemalloc.h"
#include "heap/jemalloc_blocks.h"

struct walk {
	const struct jemalloc_layout *layout;
	struct subject *subject;
	struct claims *claims;
	struct jemalloc_walk *out;
	struct jemalloc_blocks blocks;
};

static void count_extent(struct walk *w, const struct jemalloc_extent *extent)
{
	const struct jemalloc_layout *layout = w->layout;
	uint64_t size = jemalloc_extent__size(extent);
	struct jemalloc_walk *out = w->out;

	switch (jemalloc_extent__state(layout, extent)) {
	case JEMALLOC_ACTIVE:
		out->active_bytes += size;
		for (unsigned int k = 0; k < JEMALLOC_BUILDS; k++) {
			bool sound = true;

			out->allocated_bytes[k] += jemalloc_extent__allocated(
				layout, &jemalloc_builds[k], extent, &sound);
			out->unsound[k] += !sound;
		}
		break;
	case JEMALLOC_DIRTY:
		out->dirty_bytes += size;
		break;
	case JEMALLOC_MUZZY:
		out->muzzy_bytes += size;
		break;
	case JEMALLOC_RETAINED:
		out->retained_bytes += size;
		break;
	default:
		out->moving_bytes += size;
		break;
	}
}

static int take_extent(void *ctx, const struct tree_run *run, const void *descriptor, uint64_t at)
{
	uint64_t start = run->page * JEMALLOC_PAGE_BYTES;
	uint64_t size = run->pages * JEMALLOC_PAGE_BYTES;
	struct walk *w = ctx;
	int err;

	w->out->extents++;
	w->out->extent_bytes += size;
	if (!scan__is_anonymous(w->subject, start, start + size))
		return 0;
	w->out->mapped_bytes += size;
	count_extent(w, descriptor);
	err = claims__add(w->claims, start, start + size, LEDGER_JEMALLOC,
			  "extents of jemalloc's own page table");
	return err == -ENOMEM ? err : jemalloc_blocks__note(&w->blocks, w->subject, at);
}

static int take_table(void *ctx, uint64_t addr)
{
	struct walk *w = ctx;

	return jemalloc_blocks__note(&w->blocks, w->subject, addr);
}

int jemalloc__walk(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct jemalloc_walk *out)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct tree_walk walk = {.run = take_extent, .table = take_table, .ctx = w};
	int err;

	*out = (struct jemalloc_walk){0};
	if (!w)
		return -ENOMEM;
	w->layout = jemalloc_kind__layout(tree->kind);
	w->subject = subject;
	w->claims = claims;
	w->out = out;
	err = tree__walk(tree, subject, &walk);
	out->differing = walk.differing;
	/* Out of time or bytes: what was seen so far stays true. */
	out->complete = !err;
	if (err == -ETIME || err == -EDQUOT)
		err = 0;
	if (!err)
		err = jemalloc_blocks__claim(&w->blocks, claims, &out->block_bytes);
	free(w);
	return err;
}
