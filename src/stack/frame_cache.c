// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/frame_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/text_pool.h"
#include "stack/demangle.h"
#include "stack/frame_lines.h"

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

struct frame_cache {
	struct object_cache *objects;
	const struct jit_names *jit;
	struct text_pool *texts;
	struct demangler *demangler;
	struct named_frame *named;
	struct frame_lines *lines;
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
	if (cache->texts)
		cache->lines = frame_lines__new(objects, cache->texts);
	if (cache->lines && cache->demangler)
		return cache;
	frame_cache__free(cache);
	return NULL;
}

void frame_cache__free(struct frame_cache *cache)
{
	struct named_frame *named, *next_named;

	if (!cache)
		return;
	HASH_ITER (hh, cache->named, named, next_named) {
		HASH_DEL(cache->named, named);
		free(named);
	}
	frame_lines__free(cache->lines);
	demangler__free(cache->demangler);
	text_pool__free(cache->texts);
	free(cache);
}

int frame_cache__read_lines(struct frame_cache *cache, const struct stack_frame *frames, size_t n)
{
	return frame_lines__read(cache->lines, frames, n);
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
	/* A signal handler returns to a function's first byte (__restore_rt): it was not called. */
	if (!function && frame->is_return)
		function = object_cache__function(cache->objects, frame->object, frame->offset,
						  &entry->function_start);
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
		      const struct source_line *lines)
{
	for (size_t i = 0; i < named->count; i++) {
		const struct source_line *line = &lines[i];
		struct frame_name *entry = &named->entries[i];

		*entry = named->entries[0];
		entry->is_inlined = i + 1 < named->count;
		if (line->source[0]) {
			entry->source = line->source;
			entry->line = line->line;
		}
	}
	/* What is around it all has a symbol as a rule, which says the same but for what the
	 * compiler made of it ("f.cold"). */
	for (size_t i = 0; i < named->count; i++) {
		struct frame_name *entry = &named->entries[i];

		const char *function = lines[i].function;

		if (i + 1 == named->count && entry->function)
			continue;
		entry->function = function[0] ? demangler__name(cache->demangler, function) : NULL;
	}
}

const struct frame_name *frame_cache__find(struct frame_cache *cache,
					   const struct stack_frame *frame, size_t *n)
{
	const struct source_line *lines;
	struct named_frame *named;
	struct frame_key key;
	size_t count;

	memset(&key, 0, sizeof(key));
	key.offset = frame->offset;
	key.object = frame->object;
	key.is_return = frame->is_return;
	HASH_FIND(hh, cache->named, &key, sizeof(key), named);
	if (!named) {
		lines = frame_lines__find(cache->lines, frame, &count);
		if (!lines)
			count = 1;
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
