// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/flame_graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of blocks below the root: the process, and its frames or what stands for them. */
static uint32_t path_length(const struct flame_sample *sample)
{
	return 1 + (sample->sample->depth ? sample->sample->depth : 1);
}

/* The name at a depth below the root. */
static uint32_t name_at(const struct flame_graph *graph, const struct flame_sample *flame,
			uint32_t depth)
{
	const struct profile_sample *sample = flame->sample;

	if (!depth)
		return graph->process_names[sample->process];
	if (!sample->depth)
		return graph->other_names[sample->kind];
	return graph
		->frame_names[graph->profile->stack_frames[sample->first + sample->depth - depth]];
}

/* The file of that frame. */
static uint32_t object_at(const struct flame_graph *graph, const struct flame_sample *flame,
			  uint32_t depth)
{
	const struct profile_sample *sample = flame->sample;

	if (!depth || !sample->depth)
		return STRING_NONE;
	return graph->frame_objects[graph->profile
					    ->stack_frames[sample->first + sample->depth - depth]];
}

static int compare_samples(const void *left, const void *right, void *ctx)
{
	const struct flame_sample *a = left, *b = right;
	uint32_t a_length = path_length(a), b_length = path_length(b);

	for (uint32_t i = 0; i < a_length && i < b_length; i++) {
		uint32_t a_name = name_at(ctx, a, i), b_name = name_at(ctx, b, i);

		if (a_name != b_name)
			return a_name < b_name ? -1 : 1;
	}
	return (a_length > b_length) - (a_length < b_length);
}

static uint32_t common_length(const struct flame_graph *graph, const struct flame_sample *a,
			      const struct flame_sample *b)
{
	uint32_t a_length = path_length(a), b_length = path_length(b), i = 0;

	while (i < a_length && i < b_length && name_at(graph, a, i) == name_at(graph, b, i))
		i++;
	return i;
}

static int name_frames(struct flame_graph *graph)
{
	const struct profile *profile = graph->profile;

	graph->frame_names = calloc(profile->frame_count + 1, sizeof(*graph->frame_names));
	graph->frame_objects = calloc(profile->frame_count + 1, sizeof(*graph->frame_objects));
	if (!graph->frame_names || !graph->frame_objects)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile->frame_count; i++) {
		const struct frame_name *frame = &profile->frames[i];

		graph->frame_names[i] = string_set__add_printable(&graph->names, frame->text);
		graph->frame_objects[i] = string_set__add_printable(&graph->objects, frame->object);
		if (graph->frame_names[i] == STRING_NONE || graph->frame_objects[i] == STRING_NONE)
			return -ENOMEM;
	}
	return 0;
}

static int name_processes(struct flame_graph *graph)
{
	const struct profile *profile = graph->profile;
	char text[COMM_TEXT_MAX + 16];

	graph->process_names = calloc(profile->process_count + 1, sizeof(*graph->process_names));
	if (!graph->process_names)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile->process_count; i++) {
		snprintf(text, sizeof(text), "%s-%u", profile->processes[i].comm,
			 profile->processes[i].pid);
		graph->process_names[i] = string_set__add(&graph->names, text);
		if (graph->process_names[i] == STRING_NONE)
			return -ENOMEM;
	}
	return 0;
}

static int name_others(struct flame_graph *graph)
{
	for (int kind = PROFILE_NO_STACK; kind <= PROFILE_NOT_LISTED; kind++) {
		const struct profile_sample sample = {.kind = (enum profile_kind)kind};

		graph->other_names[kind] =
			string_set__add(&graph->names, profile_sample__instead(&sample));
		if (graph->other_names[kind] == STRING_NONE)
			return -ENOMEM;
	}
	return 0;
}

static int take_samples(struct flame_graph *graph, enum profile_weight weight)
{
	const struct profile *profile = graph->profile;

	graph->samples = calloc(profile->sample_count + 1, sizeof(*graph->samples));
	if (!graph->samples)
		return -ENOMEM;
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (!sample->values[weight])
			continue;
		if (__builtin_add_overflow(graph->total, sample->values[weight], &graph->total))
			return -EOVERFLOW;
		graph->samples[graph->count++] =
			(struct flame_sample){sample, sample->values[weight]};
	}
	qsort_r(graph->samples, graph->count, sizeof(*graph->samples), compare_samples, graph);
	return 0;
}

int flame_graph__make(struct flame_graph *graph, const struct profile *profile,
		      enum profile_weight weight)
{
	int err;

	*graph = (struct flame_graph){.profile = profile};
	err = name_frames(graph);
	if (!err)
		err = name_processes(graph);
	if (!err)
		err = name_others(graph);
	return err ? err : take_samples(graph, weight);
}

void flame_graph__free(struct flame_graph *graph)
{
	string_set__free(&graph->names);
	string_set__free(&graph->objects);
	free(graph->frame_names);
	free(graph->frame_objects);
	free(graph->process_names);
	free(graph->samples);
}

/* Samples from low to high - 1: a block, and what is in it. */
struct range {
	size_t low, high;
	uint32_t name;
	uint64_t value;
};

static int compare_ranges(const void *left, const void *right)
{
	const struct range *a = left, *b = right;

	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return a->low < b->low ? -1 : a->low > b->low;
}

/* The blocks of a range at this depth; the caller frees. NULL: there are none, or no memory. */
static struct range *split(const struct flame_graph *graph, const struct range *range,
			   uint32_t depth, size_t *count, int *err)
{
	struct range *parts = NULL, *bigger;
	size_t room = 0;

	*count = 0;
	for (size_t i = range->low; i < range->high; i++) {
		const struct flame_sample *sample = &graph->samples[i];
		uint32_t name;

		/* Samples that end above come first. */
		if (path_length(sample) <= depth)
			continue;
		name = name_at(graph, sample, depth);
		if (!*count || parts[*count - 1].name != name) {
			if (*count == room) {
				room = room ? 2 * room : 8;
				bigger = reallocarray(parts, room, sizeof(*parts));
				if (!bigger) {
					*err = -ENOMEM;
					return parts;
				}
				parts = bigger;
			}
			parts[(*count)++] = (struct range){i, i, name, 0};
		}
		parts[*count - 1].high = i + 1;
		parts[*count - 1].value += sample->value;
	}
	if (*count)
		qsort(parts, *count, sizeof(*parts), compare_ranges);
	return parts;
}

/* Each sample adds those blocks of its path that the one before it has not. */
static void leave_out(const struct flame_graph *graph, struct flame_walk *walk,
		      const struct range *range, uint32_t depth)
{
	walk->left_out_value += range->value;
	for (size_t i = range->low; i < range->high; i++) {
		uint32_t known = depth;

		if (i > range->low)
			known = common_length(graph, &graph->samples[i - 1], &graph->samples[i]);
		walk->left_out += path_length(&graph->samples[i]) - known;
	}
}

/* As deep as the deepest stack, STACK_ENTRIES_MAX: some 150 kB of stack. */
static int walk_range(const struct flame_graph *graph, struct flame_walk *walk,
		      const struct range *range, uint32_t depth, uint64_t start)
{
	size_t count;
	int err = 0;
	struct range *parts = split(graph, range, depth, &count, &err);

	for (size_t i = 0; i < count && !err; i++) {
		const struct flame_block block = {
			.name = parts[i].name,
			.object = object_at(graph, &graph->samples[parts[i].low], depth),
			.depth = depth + 1,
			.start = start,
			.value = parts[i].value,
		};

		if (parts[i].value < walk->least) {
			leave_out(graph, walk, &parts[i], depth);
			continue;
		}
		if (block.depth > walk->deepest)
			walk->deepest = block.depth;
		walk->block(walk->ctx, &block);
		err = walk_range(graph, walk, &parts[i], depth + 1, start);
		start += parts[i].value;
	}
	free(parts);
	return err;
}

int flame_graph__walk(const struct flame_graph *graph, struct flame_walk *walk)
{
	const struct range all = {0, graph->count, FLAME_ROOT, graph->total};
	const struct flame_block root = {FLAME_ROOT, STRING_NONE, 0, 0, graph->total};

	walk->left_out = walk->left_out_value = 0;
	walk->deepest = 0;
	walk->block(walk->ctx, &root);
	return walk_range(graph, walk, &all, 0, 0);
}
