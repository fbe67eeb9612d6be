// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/flame_colours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void weigh_objects(const struct flame_graph *graph, double *weights, size_t *seen)
{
	for (size_t i = 0; i < graph->count; i++) {
		const struct profile_sample *sample = graph->samples[i].sample;

		for (uint32_t k = 0; k < sample->depth; k++) {
			uint32_t frame = graph->profile->stack_frames[sample->first + k];
			uint32_t object = graph->frame_objects[frame];

			/* Once a stack. */
			if (seen[object] == i + 1)
				continue;
			seen[object] = i + 1;
			weights[object] += (double)graph->samples[i].value;
		}
	}
}

int flame_colours__choose(struct flame_colours *colours, const struct flame_graph *graph)
{
	const struct string_set *objects = &graph->objects;
	double *weights = calloc(objects->count + 1, sizeof(*weights));
	size_t *seen = calloc(objects->count + 1, sizeof(*seen));

	colours->by_object = malloc(objects->count + 1);
	if (!weights || !seen || !colours->by_object) {
		free(weights);
		free(seen);
		return -ENOMEM;
	}
	memset(colours->by_object, FLAME_COLOUR_REST, objects->count + 1);
	weigh_objects(graph, weights, seen);
	while (colours->count < FLAME_COLOURS_MAX) {
		uint32_t best = 0;

		for (uint32_t i = 1; i < objects->count; i++) {
			if (weights[i] > weights[best])
				best = i;
		}
		if (!objects->count || weights[best] <= 0)
			break;
		weights[best] = 0;
		colours->by_object[best] = (uint8_t)colours->count;
		colours->objects[colours->count++] = best;
	}
	free(weights);
	free(seen);
	return 0;
}
