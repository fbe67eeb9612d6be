// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_spans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* runtime/mheap.go: mSpanState */
enum { SPAN_DEAD, SPAN_IN_USE, SPAN_MANUAL };

/* runtime/sizeclasses.go */
#define GO_PAGE_BYTES 8192ull

/* Spans of one system call, and the part of mspan that is read: its fields end at 120 at most. */
#define BATCH          1024
#define SPAN_BYTES_MAX 256

struct walk {
	const struct go_layout *layout;
	struct subject *subject;
	struct go_spans *spans;
	uint64_t pointers[BATCH];
	uint8_t valid[BATCH];
	size_t each;
	uint8_t *bytes; /* BATCH * each */
};

static uint64_t read_field(const struct walk *walk, const uint8_t *span, enum go_field field,
			   size_t size)
{
	uint64_t value = 0;

	memcpy(&value, span + walk->layout->at[field], size);
	return value;
}

/* How much of an mspan has all that is read of it; 0 when the layout does not tell. */
static size_t span_bytes(const struct go_layout *layout)
{
	size_t end = 0;

	for (enum go_field f = GO_SPAN_START; f <= GO_SPAN_ELEM_BYTES; f++) {
		if (layout->at[f] == GO_ABSENT || layout->at[f] > SPAN_BYTES_MAX - 8)
			return 0;
		end = MAX(end, layout->at[f] + 8);
	}
	return end;
}

/* Objects in one span: all of one size, and no more than have room. */
static int add_objects(struct walk *walk, const uint8_t *span, uint64_t bytes)
{
	uint64_t class = read_field(walk, span, GO_SPAN_CLASS, 1) >> 1;
	uint64_t count = read_field(walk, span, GO_SPAN_ALLOC_COUNT, 2);
	uint64_t each = read_field(walk, span, GO_SPAN_ELEM_BYTES, 8);
	struct go_class *into;

	if (class >= GO_CLASSES_MAX || !each || each > bytes || count > bytes / each)
		return -EINVAL;
	into = &walk->spans->classes[class];
	/* The class of large objects has any size. */
	if (class && into->spans && into->size_bytes != each)
		return -EINVAL;
	into->size_bytes = class ? each : 0;
	into->spans++;
	into->span_bytes += bytes;
	into->objects += count;
	into->object_bytes += count * each;
	walk->spans->object_bytes += count * each;
	return 0;
}

static int add_span(struct walk *walk, const uint8_t *span)
{
	uint64_t state = read_field(walk, span, GO_SPAN_STATE, 1);
	uint64_t start = read_field(walk, span, GO_SPAN_START, 8);
	uint64_t pages = read_field(walk, span, GO_SPAN_PAGES, 8), bytes;

	if (state == SPAN_DEAD)
		return 0;
	if (state > SPAN_MANUAL || start % GO_PAGE_BYTES || start >= SPACE_ADDRESS_MAX ||
	    pages >= SPACE_ADDRESS_MAX / GO_PAGE_BYTES)
		return -EINVAL;
	bytes = pages * GO_PAGE_BYTES;
	if (state == SPAN_MANUAL) {
		walk->spans->manual_span_bytes += bytes;
		walk->spans->manual_resident_bytes +=
			subject__resident(walk->subject, start, start + bytes);
		return 0;
	}
	walk->spans->object_span_bytes += bytes;
	walk->spans->objects_resident_bytes +=
		subject__resident(walk->subject, start, start + bytes);
	return add_objects(walk, span, bytes);
}

static int read_batch(struct walk *walk, uint64_t array, size_t n)
{
	struct memory *memory = &walk->subject->memory;
	int err = memory__read(memory, array, walk->pointers, n * sizeof(walk->pointers[0]));

	if (!err)
		err = memory__gather(memory, walk->pointers, n, walk->each, walk->bytes,
				     walk->valid);
	/* Spans are taken from the system some at a time: those that no page is behind yet were
	 * never used. Were it swapped out, the sums would not agree with the books. */
	for (size_t i = 0; !err && i < n; i++) {
		if (walk->valid[i])
			err = add_span(walk, walk->bytes + i * walk->each);
	}
	return err;
}

int go_spans__read(const struct go_program *program, struct subject *subject,
		   struct go_spans *spans)
{
	uint32_t at = program->layout.at[GO_ALL_SPANS];
	size_t each = span_bytes(&program->layout);
	uint64_t slice[2]; /* address, length */
	struct walk *walk;
	int err;

	*spans = (struct go_spans){0};
	if (at == GO_ABSENT || !each)
		return -ENOENT;
	err = memory__read(&subject->memory, program->at[GO_MHEAP] + at, slice, sizeof(slice));
	if (err)
		return err;
	if (slice[1] > GO_SPANS_MAX)
		return -E2BIG;
	walk = malloc(sizeof(*walk) + BATCH * each);
	if (!walk)
		return -ENOMEM;
	walk->layout = &program->layout;
	walk->subject = subject;
	walk->spans = spans;
	walk->each = each;
	walk->bytes = (uint8_t *)(walk + 1);
	for (uint64_t i = 0; !err && i < slice[1]; i += BATCH)
		err = read_batch(walk, slice[0] + i * sizeof(uint64_t), MIN(slice[1] - i, BATCH));
	free(walk);
	return err;
}
