/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_STACK_BOOK_H
#define MEMDRIFT_RECORD_STACK_BOOK_H

#include "record/file.h"
#include "stack/namer.h"

/*
 * The stacks of a recording with all that the namer tells of their frames: each string, file, frame
 * and stack once.
 */

/* Frames of one stack: STACK_DEPTH of them, in some of which a few functions are inlined. */
#define RECORD_STACK_FRAMES_MAX 1024
/* Of all kinds; the tables of the trace hold fewer. */
#define RECORD_ENTRIES_MAX (16u << 20)
/* A mangled C++ name has up to some 10 KB. */
#define RECORD_STRING_MAX (1u << 16)

struct stack_book;

/* For writing: asks the namer, which must live as long. NULL when memory is out. */
struct stack_book *stack_book__new(const struct stack_namer *namer);
void stack_book__free(struct stack_book *book);
/* Takes up what a stack id means in a process; ids below 0 are none. 0 or -ENOMEM. */
int stack_book__add(struct stack_book *book, uint32_t pid, uint64_t start_ns, int32_t stack);
void stack_book__write(struct stack_book *book, struct record_writer *writer);

/* What was read, all zero at first. */
struct recorded_stacks {
	char **strings;
	struct frame_file *files;
	struct frame_name *frames;
	struct recorded_stack *stacks;
	struct identity_record *identities; /* in their order */
	uint32_t string_count, file_count, frame_count, stack_count, identity_count;
	uint32_t string_room, file_room, frame_room, stack_room, identity_room;
};

/* One record of the section (RECORD_STRINGS to RECORD_IDENTITIES); errors stay in the codec. */
void recorded_stacks__read(struct recorded_stacks *stacks, struct codec *codec,
			   enum record_section section);
void recorded_stacks__free(struct recorded_stacks *stacks);
/* Valid as long as the stacks, which must stay where they are. */
struct stack_namer recorded_stacks__namer(struct recorded_stacks *stacks);

#endif
