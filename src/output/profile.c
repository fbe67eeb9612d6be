// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a profile holds: frames, stacks, samples. */
#include "output/profile_make.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output/derive.h"

/* A frame by what it says; pointers stand for strings, which the namer keeps once each. */
struct known_frame {
	UT_hash_handle hh;
	struct frame_key {
		const char *text, *function, *object, *source;
		const struct frame_file *file;
		uint64_t offset;
		uint32_t line;
		uint16_t is_inlined, is_return;
	} key;
	uint32_t index;
};

_Static_assert(sizeof(struct frame_key) == 56, "frame_key has no padding that could differ");

/* Room for one more element, doubling from 64 on. 0 or -ENOMEM. */
static int grow(void *array, size_t *room, size_t count, size_t size)
{
	void **elements = array, *bigger;
	size_t wanted = *room ? 2 * *room : 64;

	if (count < *room)
		return 0;
	bigger = reallocarray(*elements, wanted, size);
	if (!bigger)
		return -ENOMEM;
	*elements = bigger;
	*room = wanted;
	return 0;
}

static int add_frame(struct profile_maker *maker, const struct frame_name *frame, uint32_t *index)
{
	struct profile *profile = maker->profile;
	const struct frame_key key = {
		.text = frame->text,
		.function = frame->function,
		.object = frame->object,
		.source = frame->source,
		.file = frame->file,
		.offset = frame->offset,
		.line = frame->line,
		.is_inlined = frame->is_inlined,
		.is_return = frame->is_return,
	};
	struct known_frame *known;

	HASH_FIND(hh, maker->known_frames, &key, sizeof(key), known);
	if (known) {
		*index = known->index;
		return 0;
	}
	if (profile->frame_count == UINT32_MAX ||
	    grow(&profile->frames, &maker->frame_room, profile->frame_count,
		 sizeof(*profile->frames)))
		return -ENOMEM;
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	known->key = key;
	known->index = *index = profile->frame_count;
	profile->frames[profile->frame_count++] = *frame;
	HASH_ADD(hh, maker->known_frames, key, sizeof(known->key), known);
	return 0;
}

static int add_stack(struct profile_maker *maker, const struct frame_name *frames, size_t depth,
		     uint32_t *first)
{
	struct profile *profile = maker->profile;
	uint32_t index;

	/* Stacks are bounded by stack_table's 4 million frames; this is what an index can say. */
	if (profile->stack_frame_count > UINT32_MAX - STACK_ENTRIES_MAX)
		return -ENOMEM;
	*first = (uint32_t)profile->stack_frame_count;
	for (size_t i = 0; i < depth; i++) {
		if (grow(&profile->stack_frames, &maker->stack_frame_room,
			 profile->stack_frame_count, sizeof(*profile->stack_frames)) ||
		    add_frame(maker, &frames[i], &index))
			return -ENOMEM;
		profile->stack_frames[profile->stack_frame_count++] = index;
	}
	return 0;
}

struct profile_sample *profile_maker__add(struct profile_maker *maker, enum profile_kind kind,
					  const struct frame_name *frames, size_t depth)
{
	struct profile *profile = maker->profile;
	struct profile_sample *sample;
	uint32_t first = 0;

	if (grow(&profile->samples, &maker->sample_room, profile->sample_count,
		 sizeof(*profile->samples)) ||
	    add_stack(maker, frames, depth, &first))
		return NULL;
	sample = &profile->samples[profile->sample_count++];
	*sample = (struct profile_sample){
		.kind = kind,
		.process = profile->process_count - 1,
		.first = first,
		.depth = (uint32_t)depth,
	};
	return sample;
}

int profile_maker__note(struct profile_maker *maker, const char *format, ...)
{
	struct profile *profile = maker->profile;
	va_list args;
	char *text;
	int wrote;

	if (grow(&profile->notes, &maker->note_room, profile->note_count, sizeof(*profile->notes)))
		return -ENOMEM;
	va_start(args, format);
	wrote = vasprintf(&text, format, args);
	va_end(args);
	if (wrote < 0)
		return -ENOMEM;
	profile->notes[profile->note_count++] = text;
	return 0;
}

void profile_maker__end(struct profile_maker *maker)
{
	struct known_frame *known, *next;

	HASH_ITER (hh, maker->known_frames, known, next) {
		HASH_DEL(maker->known_frames, known);
		free(known);
	}
}

void profile__free(struct profile *profile)
{
	if (!profile)
		return;
	for (size_t i = 0; i < profile->note_count; i++)
		free(profile->notes[i]);
	free(profile->notes);
	free(profile->processes);
	free(profile->samples);
	free(profile->frames);
	free(profile->stack_frames);
	free(profile);
}

const char *profile_sample__instead(const struct profile_sample *sample)
{
	switch (sample->kind) {
	case PROFILE_NO_STACK:
		return FOLDED_NO_STACK;
	case PROFILE_NOT_LISTED:
		return FOLDED_NOT_LISTED;
	default:
		return NULL;
	}
}
