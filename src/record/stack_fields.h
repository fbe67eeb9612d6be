/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_STACK_FIELDS_H
#define MEMDRIFT_RECORD_STACK_FIELDS_H

#include "record/codec.h"

/*
 * The records of stacks as they stand in the file, shared by the two sides of src/record/stack_*.c.
 * Strings and files are known by the number of their record, from 1 on; 0 is none. No structure has
 * padding: on the writing side they are compared as bytes.
 */
struct file_record {
	uint64_t text_vaddr, text_offset, text_bytes;
	uint32_t path, build_id;
};

struct frame_record {
	uint64_t offset, function_start;
	uint32_t text, function, object, file, source, line;
	uint32_t flags; /* FRAME_* */
	uint32_t reserved;
};

#define FRAME_INLINED 1u
#define FRAME_RETURN  2u
#define FRAME_FLAGS   (FRAME_INLINED | FRAME_RETURN)

struct identity_record {
	uint64_t start_ns;
	uint32_t pid;
	int32_t id;
	uint32_t stack; /* number of its record, from 1 on */
};

/*
 * By pid, start and id: the order of these records in the file. A hash table would be as quick to
 * look in, but not when somebody has chosen the keys of a file so that they collide.
 */
int identity_record__compare(const struct identity_record *a, const struct identity_record *b);

/* How many there are to refer to; when writing, all that there will be. */
void fields__file(struct codec *codec, struct file_record *file, uint32_t strings);
void fields__frame(struct codec *codec, struct frame_record *frame, uint32_t strings,
		   uint32_t files);
void fields__identity(struct codec *codec, struct identity_record *identity, uint32_t stacks);

#endif
