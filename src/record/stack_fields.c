// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "record/stack_fields.h"

int identity_record__compare(const struct identity_record *a, const struct identity_record *b)
{
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

/* A reference that must lead somewhere. */
static void refer(struct codec *codec, const char *field, uint32_t *number, uint32_t count)
{
	codec__u32(codec, field, number, count);
	if (!codec->err && !*number)
		codec__refuse(codec, field, "0 where a number from 1 to %u was expected", count);
}

void fields__file(struct codec *codec, struct file_record *file, uint32_t strings)
{
	refer(codec, "path", &file->path, strings);
	refer(codec, "build_id", &file->build_id, strings);
	CODEC_U64(codec, file, text_vaddr);
	CODEC_U64(codec, file, text_offset);
	CODEC_U64(codec, file, text_bytes);
}

void fields__frame(struct codec *codec, struct frame_record *frame, uint32_t strings,
		   uint32_t files)
{
	refer(codec, "text", &frame->text, strings);
	codec__u32(codec, "function", &frame->function, strings);
	refer(codec, "object", &frame->object, strings);
	codec__u32(codec, "file", &frame->file, files);
	codec__u32(codec, "source", &frame->source, strings);
	CODEC_U32(codec, frame, line);
	codec__u32(codec, "flags", &frame->flags, FRAME_FLAGS);
	CODEC_U64(codec, frame, offset);
	CODEC_U64(codec, frame, function_start);
}

void fields__identity(struct codec *codec, struct identity_record *identity, uint32_t stacks)
{
	CODEC_U32(codec, identity, pid);
	CODEC_U64(codec, identity, start_ns);
	codec__i32(codec, "id", &identity->id, 0, INT32_MAX);
	refer(codec, "stack", &identity->stack, stacks);
}
