// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "record/stack_book.h"
#include "record/stack_fields.h"

struct recorded_stack {
	uint32_t count;
	uint32_t *frames; /* indexes, leaf first */
};

static void read_string(struct recorded_stacks *stacks, struct codec *codec)
{
	char **strings = codec__grow(codec, stacks->strings, stacks->string_count,
				     &stacks->string_room, sizeof(*strings), RECORD_ENTRIES_MAX);
	char *text = NULL;

	if (!strings)
		return;
	stacks->strings = strings;
	codec__string(codec, "text", &text, RECORD_STRING_MAX);
	if (!codec->err && !text)
		codec__refuse(codec, "text", "it lacks");
	if (codec->err)
		free(text);
	else
		strings[stacks->string_count++] = text;
}

/* NULL for 0, which is none. */
static const char *string_of(const struct recorded_stacks *stacks, uint32_t number)
{
	return number ? stacks->strings[number - 1] : NULL;
}

static void read_file(struct recorded_stacks *stacks, struct codec *codec)
{
	struct frame_file *files =
		codec__grow(codec, stacks->files, stacks->file_count, &stacks->file_room,
			    sizeof(*files), RECORD_ENTRIES_MAX);
	struct file_record record = {0};

	if (!files)
		return;
	stacks->files = files;
	fields__file(codec, &record, stacks->string_count);
	if (codec->err)
		return;
	files[stacks->file_count++] = (struct frame_file){
		.path = string_of(stacks, record.path),
		.build_id = string_of(stacks, record.build_id),
		.text_vaddr = record.text_vaddr,
		.text_offset = record.text_offset,
		.text_bytes = record.text_bytes,
	};
}

static void read_frame(struct recorded_stacks *stacks, struct codec *codec)
{
	struct frame_name *frames =
		codec__grow(codec, stacks->frames, stacks->frame_count, &stacks->frame_room,
			    sizeof(*frames), RECORD_ENTRIES_MAX);
	struct frame_record record = {0};

	if (!frames)
		return;
	stacks->frames = frames;
	fields__frame(codec, &record, stacks->string_count, stacks->file_count);
	if (codec->err)
		return;
	/* All files came before: they stay where they are. */
	frames[stacks->frame_count++] = (struct frame_name){
		.text = string_of(stacks, record.text),
		.function = string_of(stacks, record.function),
		.object = string_of(stacks, record.object),
		.file = record.file ? &stacks->files[record.file - 1] : NULL,
		.offset = record.offset,
		.function_start = record.function_start,
		.is_inlined = record.flags & FRAME_INLINED,
		.is_return = record.flags & FRAME_RETURN,
		.source = string_of(stacks, record.source),
		.line = record.line,
	};
}

static void read_stack(struct recorded_stacks *stacks, struct codec *codec)
{
	struct recorded_stack *list =
		codec__grow(codec, stacks->stacks, stacks->stack_count, &stacks->stack_room,
			    sizeof(*list), RECORD_ENTRIES_MAX);
	struct recorded_stack *stack;

	if (!list)
		return;
	stacks->stacks = list;
	stack = &list[stacks->stack_count];
	stack->count = (uint32_t)codec__count(codec, "frames", 0, RECORD_STACK_FRAMES_MAX, 1);
	stack->frames = codec__alloc(codec, "frames", stack->count, sizeof(*stack->frames));
	if (!stack->frames)
		return;
	stacks->stack_count++;
	for (uint32_t i = 0; i < stack->count; i++) {
		uint32_t number = 0;

		codec__u32(codec, "frame", &number, stacks->frame_count);
		if (!codec->err && !number)
			codec__refuse(codec, "frame", "0 where a frame's number was expected");
		/* Of a refused file nothing is used, but it must be freed. */
		stack->frames[i] = number ? number - 1 : 0;
	}
}

static void read_identity(struct recorded_stacks *stacks, struct codec *codec)
{
	struct identity_record *list =
		codec__grow(codec, stacks->identities, stacks->identity_count,
			    &stacks->identity_room, sizeof(*list), RECORD_ENTRIES_MAX);
	struct identity_record record = {0};

	if (!list)
		return;
	stacks->identities = list;
	fields__identity(codec, &record, stacks->stack_count);
	if (!codec->err && stacks->identity_count &&
	    identity_record__compare(&list[stacks->identity_count - 1], &record) >= 0)
		codec__refuse(codec, "stack ids", "%d of process %u is out of order", record.id,
			      record.pid);
	if (!codec->err)
		list[stacks->identity_count++] = record;
}

void recorded_stacks__read(struct recorded_stacks *stacks, struct codec *codec,
			   enum record_section section)
{
	switch (section) {
	case RECORD_STRINGS:
		read_string(stacks, codec);
		break;
	case RECORD_FILES:
		read_file(stacks, codec);
		break;
	case RECORD_FRAMES:
		read_frame(stacks, codec);
		break;
	case RECORD_STACKS:
		read_stack(stacks, codec);
		break;
	default:
		read_identity(stacks, codec);
	}
}

void recorded_stacks__free(struct recorded_stacks *stacks)
{
	for (uint32_t i = 0; i < stacks->stack_count; i++)
		free(stacks->stacks[i].frames);
	for (uint32_t i = 0; i < stacks->string_count; i++)
		free(stacks->strings[i]);
	free(stacks->identities);
	free(stacks->stacks);
	free(stacks->frames);
	free(stacks->files);
	free(stacks->strings);
	*stacks = (struct recorded_stacks){0};
}

static int compare_identities(const void *a, const void *b)
{
	return identity_record__compare(a, b);
}

static size_t name_stack(void *ctx, uint32_t pid, uint64_t start_ns, int32_t id,
			 struct frame_name *frames, size_t max)
{
	const struct recorded_stacks *stacks = ctx;
	struct identity_record wanted = {.start_ns = start_ns, .pid = pid, .id = id};
	const struct identity_record *identity;
	const struct recorded_stack *stack;
	size_t n = 0;

	if (!stacks->identity_count)
		return 0;
	identity = bsearch(&wanted, stacks->identities, stacks->identity_count, sizeof(wanted),
			   compare_identities);
	if (!identity)
		return 0;
	stack = &stacks->stacks[identity->stack - 1];
	for (; n < stack->count && n < max; n++)
		frames[n] = stacks->frames[stack->frames[n]];
	return n;
}

struct stack_namer recorded_stacks__namer(struct recorded_stacks *stacks)
{
	return (struct stack_namer){.ctx = stacks, .name = name_stack};
}
