/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_FLAME_COLOURS_H
#define MEMDRIFT_OUTPUT_FLAME_COLOURS_H

#include "output/flame_graph.h"

/* The files that most of the weight passes through have colours of their own. */
#define FLAME_COLOURS_MAX 8
#define FLAME_COLOUR_REST FLAME_COLOURS_MAX

struct flame_colours {
	uint32_t objects[FLAME_COLOURS_MAX]; /* by colour, heaviest first */
	uint32_t count;
	uint8_t *by_object; /* owned; the colour of each of the graph's objects */
};

/* 0 or -ENOMEM. by_object is the caller's to free either way. */
int flame_colours__choose(struct flame_colours *colours, const struct flame_graph *graph);

#endif
