/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_FLAME_GRAPH_H
#define MEMDRIFT_OUTPUT_FLAME_GRAPH_H

#include "output/profile.h"
#include "output/strings.h"

/*
 * One weight of a profile as a tree: the root is everything, below it are processes, below these
 * their frames from the root on; those of equal names are one, as in folded stacks. It is not
 * built: sorted by their frames, samples that share a part of the tree are neighbours.
 */
struct flame_sample {
	const struct profile_sample *sample;
	uint64_t value;
};

struct flame_graph {
	const struct profile *profile;
	uint64_t total;
	struct string_set names, objects; /* printable */
	uint32_t *frame_names, *frame_objects, *process_names;
	uint32_t other_names[PROFILE_NOT_LISTED + 1];
	struct flame_sample *samples; /* sorted */
	size_t count;
};

#define FLAME_ROOT STRING_NONE

struct flame_block {
	uint32_t name;   /* FLAME_ROOT: everything */
	uint32_t object; /* of its first frame; STRING_NONE: no frame */
	uint32_t depth;  /* 0: the root */
	uint64_t start, value;
};

struct flame_walk {
	/* Called for each block of at least this value, a parent before its children. */
	uint64_t least;
	void (*block)(void *ctx, const struct flame_block *block);
	void *ctx;
	/* What was passed over. */
	uint64_t left_out, left_out_value;
	uint32_t deepest; /* of those that were not */
};

/* 0, -ENOMEM, or -EOVERFLOW when the total is beyond 64 bits. To be freed either way. */
int flame_graph__make(struct flame_graph *graph, const struct profile *profile,
		      enum profile_weight weight);
void flame_graph__free(struct flame_graph *graph);
/* Siblings largest first. 0 or -ENOMEM. */
int flame_graph__walk(const struct flame_graph *graph, struct flame_walk *walk);

#endif
