// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/config.h"
#include "stack/frame_cache.h"
#include "stack/image.h"
#include "stack/jit_names.h"
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

struct stack_names {
	struct stack_source source;
	struct object_cache *objects;
	struct stack_table stacks;
	struct image *images;
	struct lineage *lineages;
	struct jit_names *jit;
	struct frame_cache *frames;
	bool with_lines;
	size_t lines_stacks; /* stacks whose lines were read */
};

struct stack_names *stack_names__new(const struct stack_source *source)
{
	struct stack_names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->source = *source;
	names->objects = object_cache__new();
	names->jit = jit_names__new();
	if (names->objects && names->jit)
		names->frames = frame_cache__new(names->objects, names->jit);
	if (names->frames)
		return names;
	stack_names__free(names);
	return NULL;
}

void stack_names__want(struct stack_names *names, bool lines, bool servers)
{
	names->with_lines = lines;
	object_cache__want(names->objects, lines, servers);
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

	if (!names)
		return;
	HASH_ITER (hh, names->images, image, next_image)
		drop_image(names, image);
	HASH_ITER (hh, names->lineages, lineage, next_lineage) {
		HASH_DEL(names->lineages, lineage);
		free(lineage);
	}
	stack_table__free(&names->stacks);
	frame_cache__free(names->frames);
	jit_names__free(names->jit);
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

bool stack_names__knows(const struct stack_names *names, const struct process *process)
{
	const struct image *image = find_image(names, process->pid, process->start_ns);

	return image && image->execs == process->execs && image->count;
}

void stack_names__freeze(struct stack_names *names, const struct process *process)
{
	struct image *image = find_image(names, process->pid, process->start_ns);

	/* No strange frame has it read again; with the next program it goes. */
	if (image)
		image->wait = UINT32_MAX;
}

/* Code that the process made itself: its own name for it, when it has one. */
static void name_generated(struct stack_names *names, const struct image *image,
			   const struct process *process, uint64_t address,
			   struct stack_frame *frame)
{
	uint64_t jit;

	if (!image__is_generated(image, address - frame->is_return))
		return;
	jit = jit_names__find(names->jit, process->pid, process->start_ns, address,
			      frame->is_return);
	if (jit == JIT_NONE)
		return;
	frame->object = OBJECT_JIT;
	frame->offset = jit;
}

static void locate_frame(struct stack_names *names, struct image *image,
			 const struct process *process, uint64_t address, bool is_return,
			 struct stack_frame *frame)
{
	frame->object = OBJECT_NONE;
	frame->offset = address;
	if (image__locate(image, names->objects, address, is_return, frame)) {
		name_generated(names, image, process, address, frame);
		return;
	}
	if (image->wait) {
		image->wait--;
		return;
	}
	if (!read_image(names, image, process) &&
	    image__locate(image, names->objects, address, is_return, frame)) {
		image->backoff = 0;
		name_generated(names, image, process, address, frame);
		return;
	}
	image->backoff = image->backoff < BACKOFF_MAX ? 2 * image->backoff + 1 : BACKOFF_MAX;
	image->wait = image->backoff;
}

int stack_names__note(struct stack_names *names, const struct process *process, int32_t id)
{
	struct kept_stack kept;
	struct image *image;
	struct stack *stack;
	int err;

	if (id < 0 || stack_table__find(&names->stacks, process->pid, process->start_ns, id))
		return 0;
	err = names->source.read_stack(names->source.ctx, id, &kept);
	if (err)
		return err;
	image = current_image(names, process);
	if (!image)
		return -ENOMEM;
	stack = stack_table__add(&names->stacks, process->pid, process->start_ns, id, kept.depth);
	if (!stack)
		return -ENOSPC;
	stack->truncated = !STACK_END_IS_ROOT(kept.end);
	for (uint32_t i = 0; i < kept.depth; i++) {
		locate_frame(names, image, process, kept.frames[i],
			     i > 0 || kept.leaf == STACK_LEAF_CALL, &stack->frames[i]);
		/* By frame pointers that may be anything: what lies behind no code is no caller. */
		if (i && kept.end == STACK_END_no_tables &&
		    stack->frames[i].object == OBJECT_NONE &&
		    stack->frames[0].object != OBJECT_NONE) {
			stack->depth = i;
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
	jit_names__ended(names->jit, pid, start_ns);
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

/* Of all stacks that came since the last time, so that an object's lines are read together. */
static void read_lines(struct stack_names *names)
{
	struct stack_frame *frames;
	struct stack *stack;
	size_t n = 0;

	if (!names->with_lines || names->lines_stacks == names->stacks.count)
		return;
	frames = calloc(names->stacks.frames, sizeof(*frames));
	for (stack = names->stacks.stacks; frames && stack; stack = stack->hh.next) {
		memcpy(frames + n, stack->frames, stack->depth * sizeof(*frames));
		n += stack->depth;
	}
	if (frames)
		frame_cache__read_lines(names->frames, frames, n);
	names->lines_stacks = names->stacks.count;
	free(frames);
}

static size_t name_stack(void *ctx, uint32_t pid, uint64_t start_ns, int32_t id,
			 struct frame_name *frames, size_t max)
{
	struct stack_names *names = ctx;
	const struct stack *stack = find_stack(names, pid, start_ns, id);
	size_t n = 0;

	read_lines(names);
	for (size_t i = 0; stack && i < stack->depth && n < max; i++) {
		size_t left = stack->depth - i, count = 0;
		const struct frame_name *entries =
			frame_cache__find(names->frames, &stack->frames[i], &count);

		if (!entries)
			break;
		/* When room runs short, callers are worth more than what was inlined. */
		if (count > 1 && max - n < left - 1 + count) {
			entries += count - 1;
			count = 1;
		}
		memcpy(frames + n, entries, count * sizeof(*entries));
		n += count;
	}
	if (stack && stack->truncated && n < max)
		frames[n++] =
			(struct frame_name){.text = FRAME_TRUNCATED, .object = FRAME_TRUNCATED};
	return n;
}

struct stack_namer stack_names__namer(struct stack_names *names)
{
	return (struct stack_namer){.ctx = names, .name = name_stack};
}
