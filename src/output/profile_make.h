/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_PROFILE_MAKE_H
#define MEMDRIFT_OUTPUT_PROFILE_MAKE_H

#include "output/profile.h"

/* A profile in the making, and what is only needed for that. */
struct known_frame;

struct profile_maker {
	struct profile *profile;
	struct known_frame *known_frames;
	size_t frame_room, stack_frame_room, sample_room, note_room;
};

/*
 * A sample of the last process, without a weight yet. It stays valid until the next one is added.
 * NULL: out of memory.
 */
struct profile_sample *profile_maker__add(struct profile_maker *maker, enum profile_kind kind,
					  const struct frame_name *frames, size_t depth);
/* 0 or -ENOMEM. */
int profile_maker__note(struct profile_maker *maker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What readers of the figures have to know: losses, estimates, what is missing. 0 or -ENOMEM. */
int profile_maker__note_result(struct profile_maker *maker, const struct trace_result *result);
/* Frees what is not the profile. */
void profile_maker__end(struct profile_maker *maker);

#endif
