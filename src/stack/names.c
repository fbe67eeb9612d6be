// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/config.h"
#include "stack/image.h"
#include "stack/objects.h"
#include "stack/stack_table.h"

/* Doubling stops here: even then one reading of maps per 4,096 strange frames costs nothing. */
#define BACKOFF_MAX 4096
/* How many ancestors are asked for a stack; forks of forks that never exec are rarely deeper. */
#define ANCESTORS_MAX 16

struct lineage {
	UT_hash_handle hh;
	struct image_key child;
	struct image_key parent;
};

/* A name that had to be written: "libc.so.6+0x98e50". One per distinct frame. */
struct frame_text {
	UT_hash_handle hh;
	struct {
		uint64_t offset;
		uint64_t object;
	} key;
	char *text;
};

struct stack_names {
	struct stack_source source;
	struct object_cache *objects;
	struct stack_table stacks;
	struct image *images;
	struct lineage *lineages;
	struct frame_text *texts;
};

struct stack_names *stack_names__new(const struct stack_source *source)
{
	struct stack_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->source = *source;
	names->objects = object_cache__new();
	if (!names->objects) {
		free(names);
		return NULL;
	}
	return names;
}

static void drop_image(struct stack_names *names, struct image *image)
{
	HASH_DEL(names->images, image);
	image__clear(image);
	free(image);
}

void stack_names__free(struct stack_names *names)
{
	struct image *image, *next_image;
	struct lineage *lineage, *next_lineage;
	struct frame_text *text, *next_text;

	if (!names)
		return;
	HASH_ITER (hh, names->images, image, next_image)
		drop_image(names, image);
	HASH_ITER (hh, names->lineages, lineage, next_lineage) {
		HASH_DEL(names->lineages, lineage);
		free(lineage);
	}
	HASH_ITER (hh, names->texts, text, next_text) {
		HASH_DEL(names->texts, text);
		free(text->text);
		free(text);
	}
	stack_table__free(&names->stacks);
	object_cache__free(names->objects);
	free(names);
}

static struct image *find_image(const struct stack_names *names, uint32_t pid, uint64_t start_ns)
{
	struct image_key key = {.start_ns = start_ns, .pid = pid};
	struct image *image;

	HASH_FIND(hh, names->images, &key, sizeof(key), image);
	return image;
}

static struct image *make_image(struct stack_names *names, uint32_t pid, uint64_t start_ns)
{
	struct image *image;

	/* uthash keeps the order of insertion: its head is the oldest. */
	if (HASH_COUNT(names->images) >= STACK_IMAGES_MAX)
		drop_image(names, names->images);
	image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	image->key = (struct image_key){.start_ns = start_ns, .pid = pid};
	HASH_ADD(hh, names->images, key, sizeof(image->key), image);
	return image;
}

static int read_image(struct stack_names *names, struct image *image, const struct process *process)
{
	struct maps_entry *entries;
	size_t n;
	int err;

	err = names->source.read_maps(names->source.ctx, process->pid, process->start_ticks,
				      &entries, &n);
	if (err)
		return err;
	err = image__fill(image, entries, n, IMAGE_RANGES_MAX);
	image->execs = process->execs;
	for (size_t i = 0; i < n; i++)
		free(entries[i].path);
	free(entries);
	return err;
}

/* The image to look in, read when it is new or of another program. NULL when memory is out. */
static struct image *current_image(struct stack_names *names, const struct process *process)
{
	struct image *image = find_image(names, process->pid, process->start_ns);

	if (image && image->execs == process->execs)
		return image;
	if (image)
		drop_image(names, image);
	image = make_image(names, process->pid, process->start_ns);
	if (image)
		read_image(names, image, process);
	return image;
}

void stack_names__learn(struct stack_names *names, const struct process *process)
{
	struct image *image = find_image(names, process->pid, process->start_ns);

	if (image && image->execs == process->execs)
		read_image(names, image, process);
	else
		current_image(names, process);
}

static void locate_frame(struct stack_names *names, struct image *image,
			 const struct process *process, uint64_t address, bool is_return,
			 struct stack_frame *frame)
{
	frame->object = OBJECT_NONE;
	frame->offset = address;
	if (image__locate(image, names->objects, address, is_return, frame))
		return;
	if (image->wait) {
		image->wait--;
		return;
	}
	if (!read_image(names, image, process) &&
	    image__locate(image, names->objects, address, is_return, frame)) {
		image->backoff = 0;
		return;
	}
	image->backoff = image->backoff < BACKOFF_MAX ? 2 * image->backoff + 1 : BACKOFF_MAX;
	image->wait = image->backoff;
}

int stack_names__note(struct stack_names *names, const struct process *process, int32_t id,
		      enum stack_leaf leaf)
{
	uint64_t addresses[STACK_DEPTH];
	struct image *image;
	struct stack *stack;
	int depth;

	if (id < 0 || stack_table__find(&names->stacks, process->pid, process->start_ns, id))
		return 0;
	depth = names->source.read_stack(names->source.ctx, id, addresses, STACK_DEPTH);
	if (depth < 0)
		return depth;
	if (depth > STACK_DEPTH)
		return -EINVAL;
	/* The kernel's entries are padded with zeroes; a chain of frame pointers can end in one. */
	while (depth && !addresses[depth - 1])
		depth--;
	image = current_image(names, process);
	if (!image)
		return -ENOMEM;
	stack = stack_table__add(&names->stacks, process->pid, process->start_ns, id,
				 (uint32_t)depth);
	if (!stack)
		return -ENOSPC;
	for (int i = 0; i < depth; i++) {
		locate_frame(names, image, process, addresses[i],
			     i > 0 || leaf == STACK_LEAF_CALLER, &stack->frames[i]);
		/*
		 * A caller outside all code is what code without frame pointers had in the
		 * register: the walk went astray there, and what follows is no caller either.
		 */
		if (i && stack->frames[i].object == OBJECT_NONE &&
		    stack->frames[0].object != OBJECT_NONE) {
			stack->depth = (uint32_t)i;
			break;
		}
	}
	return 0;
}

void stack_names__fork(struct stack_names *names, uint32_t child_pid, uint64_t child_start_ns,
		       uint32_t parent_pid, uint64_t parent_start_ns)
{
	struct image_key child = {.start_ns = child_start_ns, .pid = child_pid};
	struct lineage *lineage;

	HASH_FIND(hh, names->lineages, &child, sizeof(child), lineage);
	if (lineage || HASH_COUNT(names->lineages) >= LINEAGE_MAX)
		return;
	lineage = calloc(1, sizeof(*lineage));
	if (!lineage)
		return;
	lineage->child = child;
	lineage->parent = (struct image_key){.start_ns = parent_start_ns, .pid = parent_pid};
	HASH_ADD(hh, names->lineages, child, sizeof(child), lineage);
}

void stack_names__ended(struct stack_names *names, uint32_t pid, uint64_t start_ns)
{
	struct image *image = find_image(names, pid, start_ns);

	if (image)
		drop_image(names, image);
}

/* A child's mappings carry the stacks of the parent that made them. */
static const struct stack *find_stack(const struct stack_names *names, uint32_t pid,
				      uint64_t start_ns, int32_t id)
{
	struct image_key key = {.start_ns = start_ns, .pid = pid};

	for (int i = 0; i < ANCESTORS_MAX; i++) {
		const struct stack *stack =
			stack_table__find(&names->stacks, (uint32_t)key.pid, key.start_ns, id);
		struct lineage *lineage;

		if (stack)
			return stack;
		HASH_FIND(hh, names->lineages, &key, sizeof(key), lineage);
		if (!lineage)
			return NULL;
		key = lineage->parent;
	}
	return NULL;
}

static const char *frame_object(const struct stack_names *names, const struct stack_frame *frame)
{
	return frame->object == OBJECT_NONE ? "[unknown]"
					    : object_cache__name(names->objects, frame->object);
}

static const char *written_name(struct stack_names *names, const struct stack_frame *frame)
{
	struct frame_text *text;
	struct frame_text wanted;

	memset(&wanted, 0, sizeof(wanted));
	wanted.key.offset = frame->offset;
	wanted.key.object = frame->object;
	HASH_FIND(hh, names->texts, &wanted.key, sizeof(wanted.key), text);
	if (text)
		return text->text;
	text = calloc(1, sizeof(*text));
	if (!text)
		return frame_object(names, frame);
	text->key = wanted.key;
	if (asprintf(&text->text, "%s+0x%" PRIx64, frame_object(names, frame), frame->offset) < 0) {
		free(text);
		return frame_object(names, frame);
	}
	HASH_ADD(hh, names->texts, key, sizeof(text->key), text);
	return text->text;
}

static size_t name_stack(void *ctx, uint32_t pid, uint64_t start_ns, int32_t id,
			 struct frame_name *frames, size_t max)
{
	struct stack_names *names = ctx;
	const struct stack *stack = find_stack(names, pid, start_ns, id);
	size_t n = 0;

	for (; stack && n < stack->depth && n < max; n++) {
		const struct stack_frame *frame = &stack->frames[n];
		/* Return addresses are one past the call. */
		const char *function = object_cache__function(names->objects, frame->object,
							      frame->offset - frame->is_return);

		memset(&frames[n], 0, sizeof(frames[n]));
		frames[n].offset = frame->offset;
		frames[n].is_return = frame->is_return;
		frames[n].object = frame_object(names, frame);
		frames[n].function = function;
		frames[n].text = function ? function : written_name(names, frame);
	}
	return n;
}

struct stack_namer stack_names__namer(struct stack_names *names)
{
	return (struct stack_namer){.ctx = names, .name = name_stack};
}
