// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/frame_cache.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text_pool.h"
#include "stack/demangle.h"

#define JIT_OBJECT     "[jit]"
#define UNKNOWN_OBJECT "[unknown]"

struct frame_key {
	uint64_t offset;
	uint64_t object;
	uint64_t is_return;
};

struct named_frame {
	UT_hash_handle hh;
	struct frame_key key;
	size_t count;
	struct frame_name entries[];
};

/* Source lines by the byte that is looked up: is_return is 0 in their keys. */
struct frame_lines {
	UT_hash_handle hh;
	struct frame_key key;
	size_t count;              /* 0: asked, and there are none */
	struct source_line *lines; /* texts are the pool's */
};

struct frame_cache {
	struct object_cache *objects;
	const struct jit_names *jit;
	struct text_pool *texts;
	struct demangler *demangler;
	struct named_frame *named;
	struct frame_lines *lines;
	uint64_t lines_ns; /* spent so far */
};

struct frame_cache *frame_cache__new(struct object_cache *objects, const struct jit_names *jit)
{
	struct frame_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->objects = objects;
	cache->jit = jit;
	cache->texts = text_pool__new(FRAME_TEXTS_MAX_BYTES);
	cache->demangler = demangler__new();
	if (cache->texts && cache->demangler)
		return cache;
	frame_cache__free(cache);
	return NULL;
}

void frame_cache__free(struct frame_cache *cache)
{
	struct named_frame *named, *next_named;
	struct frame_lines *lines, *next_lines;

	if (!cache)
		return;
	HASH_ITER (hh, cache->named, named, next_named) {
		HASH_DEL(cache->named, named);
		free(named);
	}
	HASH_ITER (hh, cache->lines, lines, next_lines) {
		HASH_DEL(cache->lines, lines);
		free(lines->lines);
		free(lines);
	}
	demangler__free(cache->demangler);
	text_pool__free(cache->texts);
	free(cache);
}

static struct frame_key key_of(const struct stack_frame *frame, bool by_byte)
{
	struct frame_key key;

	memset(&key, 0, sizeof(key));
	key.offset = frame->offset - (by_byte && frame->is_return);
	key.object = frame->object;
	key.is_return = !by_byte && frame->is_return;
	return key;
}

static struct frame_lines *find_lines(const struct frame_cache *cache, const struct frame_key *key)
{
	struct frame_lines *lines;

	HASH_FIND(hh, cache->lines, key, sizeof(*key), lines);
	return lines;
}

static const char *keep(struct frame_cache *cache, const char *text)
{
	const char *kept = text_pool__keep(cache->texts, text);

	return kept ? kept : "";
}

struct asking {
	struct frame_cache *cache;
	struct frame_lines **wanted; /* of one object, by offset */
};

static void take_lines(void *ctx, size_t at, const struct source_line *lines, size_t n)
{
	const struct asking *asking = ctx;
	struct frame_lines *wanted = asking->wanted[at];

	if (wanted->count)
		return;
	wanted->lines = calloc(n, sizeof(*lines));
	if (!wanted->lines)
		return;
	wanted->count = n;
	for (size_t i = 0; i < n; i++) {
		wanted->lines[i].function = keep(asking->cache, lines[i].function);
		wanted->lines[i].source = keep(asking->cache, lines[i].source);
		wanted->lines[i].line = lines[i].line;
	}
}

static int compare_wanted(const void *a, const void *b)
{
	const struct frame_key *x = &(*(struct frame_lines *const *)a)->key;
	const struct frame_key *y = &(*(struct frame_lines *const *)b)->key;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void ask_object(struct frame_cache *cache, struct frame_lines **wanted, size_t n)
{
	struct asking asking = {cache, wanted};
	uint64_t started_ns = monotonic_ns();
	uint64_t *offsets;

	if (cache->lines_ns > FRAME_LINES_NS_MAX)
		return;
	offsets = calloc(n, sizeof(*offsets));
	if (!offsets)
		return;
	for (size_t i = 0; i < n; i++)
		offsets[i] = wanted[i]->key.offset;
	object_cache__lines(cache->objects, (uint32_t)wanted[0]->key.object, offsets, n, take_lines,
			    &asking);
	free(offsets);
	cache->lines_ns += monotonic_ns() - started_ns;
	if (cache->lines_ns > FRAME_LINES_NS_MAX)
		log_warning("reading source lines took more than %llu s: the rest has none",
			    FRAME_LINES_NS_MAX / 1000000000);
}

/* New entries for frames in files that were not asked for yet; how many, or -ENOMEM. */
static ssize_t collect_wanted(struct frame_cache *cache, const struct stack_frame *frames, size_t n,
			      struct frame_lines **wanted)
{
	ssize_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct frame_key key = key_of(&frames[i], true);
		struct frame_lines *lines;

		if (frames[i].object >= OBJECT_JIT || find_lines(cache, &key))
			continue;
		lines = calloc(1, sizeof(*lines));
		if (!lines)
			return -ENOMEM;
		lines->key = key;
		HASH_ADD(hh, cache->lines, key, sizeof(lines->key), lines);
		wanted[count++] = lines;
	}
	return count;
}

int frame_cache__read_lines(struct frame_cache *cache, const struct stack_frame *frames, size_t n)
{
	struct frame_lines **wanted;
	ssize_t count;

	if (!n)
		return 0;
	wanted = calloc(n, sizeof(struct frame_lines *));
	if (!wanted)
		return -ENOMEM;
	count = collect_wanted(cache, frames, n, wanted);
	if (count > 0)
		qsort(wanted, (size_t)count, sizeof(struct frame_lines *), compare_wanted);
	for (ssize_t i = 0, next; i < count; i = next) {
		for (next = i + 1;
		     next < count && wanted[next]->key.object == wanted[i]->key.object; next++)
			;
		ask_object(cache, wanted + i, (size_t)(next - i));
	}
	free(wanted);
	return count < 0 ? (int)count : 0;
}

/* What the symbol tables say: all of an entry but the source. */
static void name_entry(struct frame_cache *cache, const struct stack_frame *frame,
		       struct frame_name *entry)
{
	uint64_t byte = frame->offset - frame->is_return;
	const struct jit_frame *jit;
	const char *function;

	memset(entry, 0, sizeof(*entry));
	entry->offset = frame->offset;
	entry->is_return = frame->is_return;
	if (frame->object == OBJECT_NONE) {
		entry->object = UNKNOWN_OBJECT;
		return;
	}
	if (frame->object == OBJECT_JIT) {
		jit = jit_names__frame(cache->jit, frame->offset);
		entry->object = JIT_OBJECT;
		if (jit) {
			entry->offset = jit->address;
			entry->function_start = jit->start;
			entry->function = jit->name;
		}
		return;
	}
	entry->object = object_cache__name(cache->objects, frame->object);
	entry->file = object_cache__file(cache->objects, frame->object, byte);
	function =
		object_cache__function(cache->objects, frame->object, byte, &entry->function_start);
	if (function)
		entry->function = demangler__name(cache->demangler, function);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* object+0xoffset for what has no name, and the source behind what has one. */
static void write_text(struct frame_cache *cache, struct frame_name *entry)
{
	const char *kept = NULL;
	char *text = NULL;

	entry->text = entry->function ? entry->function : entry->object;
	if (entry->function && !entry->source)
		return;
	if (!entry->function) {
		if (asprintf(&text, "%s+0x%" PRIx64, entry->object, entry->offset) < 0)
			return;
	} else if (asprintf(&text, "%s (%s:%u)", entry->function, base_name(entry->source),
			    entry->line) < 0) {
		return;
	}
	kept = text_pool__keep(cache->texts, text);
	if (kept)
		entry->text = kept;
	free(text);
}

static void add_lines(struct frame_cache *cache, struct named_frame *named,
		      const struct frame_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		const struct source_line *line = &lines->lines[i];
		struct frame_name *entry = &named->entries[i];

		*entry = named->entries[0];
		entry->is_inlined = i + 1 < lines->count;
		if (line->source[0]) {
			entry->source = line->source;
			entry->line = line->line;
		}
	}
	/* What is around it all has a symbol as a rule, which says the same but for what the
	 * compiler made of it ("f.cold"). */
	for (size_t i = 0; i < lines->count; i++) {
		struct frame_name *entry = &named->entries[i];

		const char *function = lines->lines[i].function;

		if (i + 1 == lines->count && entry->function)
			continue;
		entry->function = function[0] ? demangler__name(cache->demangler, function) : NULL;
	}
}

const struct frame_name *frame_cache__find(struct frame_cache *cache,
					   const struct stack_frame *frame, size_t *n)
{
	const struct frame_key key = key_of(frame, false), by_byte = key_of(frame, true);
	const struct frame_lines *lines = find_lines(cache, &by_byte);
	struct named_frame *named;
	size_t count = lines && lines->count ? lines->count : 1;

	HASH_FIND(hh, cache->named, &key, sizeof(key), named);
	if (!named) {
		named = calloc(1, sizeof(*named) + count * sizeof(named->entries[0]));
		if (!named)
			return NULL;
		named->key = key;
		named->count = count;
		name_entry(cache, frame, &named->entries[0]);
		if (lines)
			add_lines(cache, named, lines);
		for (size_t i = 0; i < count; i++)
			write_text(cache, &named->entries[i]);
		HASH_ADD(hh, cache->named, key, sizeof(named->key), named);
	}
	*n = named->count;
	return named->entries;
}
