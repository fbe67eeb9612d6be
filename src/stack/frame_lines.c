// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/frame_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

/* The byte that is looked up: within the call for a return address. */
struct byte_key {
	uint64_t offset;
	uint64_t object;
};

struct known_lines {
	UT_hash_handle hh;
	struct byte_key key;
	size_t count;              /* 0: asked, and there are none */
	struct source_line *lines; /* texts are the pool's */
};

struct frame_lines {
	struct object_cache *objects;
	struct text_pool *texts;
	struct known_lines *known;
	uint64_t spent_ns;
};

struct frame_lines *frame_lines__new(struct object_cache *objects, struct text_pool *texts)
{
	struct frame_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return NULL;
	lines->objects = objects;
	lines->texts = texts;
	return lines;
}

void frame_lines__free(struct frame_lines *lines)
{
	struct known_lines *known, *next;

	if (!lines)
		return;
	HASH_ITER (hh, lines->known, known, next) {
		HASH_DEL(lines->known, known);
		free(known->lines);
		free(known);
	}
	free(lines);
}

static struct byte_key key_of(const struct stack_frame *frame)
{
	struct byte_key key;

	memset(&key, 0, sizeof(key));
	key.offset = frame->offset - frame->is_return;
	key.object = frame->object;
	return key;
}

static struct known_lines *find_known(const struct frame_lines *lines,
				      const struct stack_frame *frame)
{
	struct byte_key key = key_of(frame);
	struct known_lines *known;

	HASH_FIND(hh, lines->known, &key, sizeof(key), known);
	return known;
}

static const char *keep(struct frame_lines *lines, const char *text)
{
	const char *kept = text_pool__keep(lines->texts, text);

	return kept ? kept : "";
}

struct asking {
	struct frame_lines *lines;
	struct known_lines **wanted; /* of one object, by offset */
};

static void take_lines(void *ctx, size_t at, const struct source_line *found, size_t n)
{
	const struct asking *asking = ctx;
	struct known_lines *wanted = asking->wanted[at];

	if (wanted->count)
		return;
	wanted->lines = calloc(n, sizeof(*found));
	if (!wanted->lines)
		return;
	wanted->count = n;
	for (size_t i = 0; i < n; i++) {
		wanted->lines[i].function = keep(asking->lines, found[i].function);
		wanted->lines[i].source = keep(asking->lines, found[i].source);
		wanted->lines[i].line = found[i].line;
	}
}

static int compare_wanted(const void *a, const void *b)
{
	const struct byte_key *x = &(*(struct known_lines *const *)a)->key;
	const struct byte_key *y = &(*(struct known_lines *const *)b)->key;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void ask_object(struct frame_lines *lines, struct known_lines **wanted, size_t n)
{
	struct asking asking = {lines, wanted};
	uint64_t started_ns = monotonic_ns();
	uint32_t object = (uint32_t)wanted[0]->key.object;
	uint64_t *offsets;
	char name[128];

	if (lines->spent_ns > FRAME_LINES_NS_MAX)
		return;
	offsets = calloc(n, sizeof(*offsets));
	if (!offsets)
		return;
	for (size_t i = 0; i < n; i++)
		offsets[i] = wanted[i]->key.offset;
	log_progress(
		"reading source lines of %s",
		text_printable(name, sizeof(name), object_cache__name(lines->objects, object)));
	object_cache__lines(lines->objects, object, offsets, n, take_lines, &asking);
	log_progress("%s", "");
	free(offsets);
	lines->spent_ns += monotonic_ns() - started_ns;
	if (lines->spent_ns > FRAME_LINES_NS_MAX)
		log_warning("reading source lines took more than %llu s: the rest has none",
			    FRAME_LINES_NS_MAX / 1000000000);
}

/* New entries for frames in files that were not asked for yet; how many, or -ENOMEM. */
static ssize_t collect_wanted(struct frame_lines *lines, const struct stack_frame *frames, size_t n,
			      struct known_lines **wanted)
{
	ssize_t count = 0;

	for (size_t i = 0; i < n; i++) {
		struct known_lines *known;

		if (frames[i].object >= OBJECT_JIT || find_known(lines, &frames[i]))
			continue;
		known = calloc(1, sizeof(*known));
		if (!known)
			return -ENOMEM;
		known->key = key_of(&frames[i]);
		HASH_ADD(hh, lines->known, key, sizeof(known->key), known);
		wanted[count++] = known;
	}
	return count;
}

int frame_lines__read(struct frame_lines *lines, const struct stack_frame *frames, size_t n)
{
	struct known_lines **wanted;
	ssize_t count;

	if (!n)
		return 0;
	wanted = calloc(n, sizeof(struct known_lines *));
	if (!wanted)
		return -ENOMEM;
	count = collect_wanted(lines, frames, n, wanted);
	if (count > 0)
		qsort(wanted, (size_t)count, sizeof(struct known_lines *), compare_wanted);
	for (ssize_t i = 0, next; i < count; i = next) {
		for (next = i + 1;
		     next < count && wanted[next]->key.object == wanted[i]->key.object; next++)
			;
		ask_object(lines, wanted + i, (size_t)(next - i));
	}
	free(wanted);
	return count < 0 ? (int)count : 0;
}

const struct source_line *frame_lines__find(const struct frame_lines *lines,
					    const struct stack_frame *frame, size_t *n)
{
	const struct known_lines *known = find_known(lines, frame);

	if (!known || !known->count)
		return NULL;
	*n = known->count;
	return known->lines;
}
