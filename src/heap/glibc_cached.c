// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_cached.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/glibc_tcache_shape.h"

/* A tcache bin has at most this many chunks (MAX_TCACHE_COUNT of malloc/malloc.c). */
#define TCACHE_COUNT_MAX 65535

int cached_chunks__add(struct cached_chunks *chunks, const struct cached_chunk *chunk)
{
	if (chunks->count == CACHED_CHUNKS_MAX) {
		chunks->left_off++;
		return 0;
	}
	if (chunks->count == chunks->room) {
		size_t room = chunks->room ? 2 * chunks->room : 4096;
		struct cached_chunk *items = reallocarray(chunks->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		chunks->items = items;
		chunks->room = room;
	}
	chunks->items[chunks->count++] = *chunk;
	return 0;
}

void cached_chunks__free(struct cached_chunks *chunks)
{
	free(chunks->items);
	memset(chunks, 0, sizeof(*chunks));
}

static struct cached_chunk *find_chunk(const struct cached_chunks *chunks, uint64_t address)
{
	size_t low = 0, high = chunks->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (chunks->items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < chunks->count && chunks->items[low].address == address ? &chunks->items[low]
									    : NULL;
}

/* Each step marks a chunk that was not marked: a circle ends where it closes. */
static void reach_list(struct cached_chunks *chunks, uint64_t first, bool in_tcache)
{
	struct cached_chunk *chunk;
	uint64_t at = first;

	while (at) {
		chunk = find_chunk(chunks, in_tcache ? at - CHUNK_HEADER_BYTES : at);
		if (!chunk || chunk->reached)
			return;
		/* The key of a former life may be in it still. */
		chunk->in_tcache = in_tcache;
		chunk->reached = true;
		at = chunk->next;
	}
}

typedef void (*list_fn)(void *ctx, uint64_t first, bool in_tcache);

/* Calls fn with the head of each list that is not empty. */
static void each_list(const struct glibc_map *map, const struct glibc_tcaches *tcaches,
		      struct memory *memory, list_fn fn, void *ctx)
{
	uint8_t body[TCACHE_CHUNK_MAX];

	for (size_t i = 0; i < map->state_count; i++) {
		for (size_t k = 0; k < GLIBC_FASTBINS; k++)
			fn(ctx, map->states[i].fastbins[k], false);
	}
	for (size_t i = 0; i < tcaches->count; i++) {
		const struct tcache_shape *shape = tcache_shape(tcaches->items[i].chunk_bytes);

		if (memory__read(memory, tcaches->items[i].address, body, tcache_bytes(shape)))
			continue;
		for (uint32_t k = 0; k < shape->bins; k++)
			fn(ctx, tcache_entry(shape, body, k), true);
	}
}

static void reach(void *ctx, uint64_t first, bool in_tcache)
{
	reach_list(ctx, first, in_tcache);
}

void cached_chunks__reach(struct cached_chunks *chunks, const struct glibc_map *map,
			  const struct glibc_tcaches *tcaches, struct memory *memory)
{
	each_list(map, tcaches, memory, reach, chunks);
}

struct list_reader {
	struct memory *memory;
	const struct glibc_map *map;
	uint64_t *chunks;
	size_t count, room;
	int err;
};

static int append(struct list_reader *reader, uint64_t chunk)
{
	if (reader->count == reader->room) {
		size_t room = reader->room ? 2 * reader->room : 1024;
		uint64_t *chunks = reallocarray(reader->chunks, room, sizeof(*chunks));

		if (!chunks)
			return -ENOMEM;
		reader->chunks = chunks;
		reader->room = room;
	}
	reader->chunks[reader->count++] = chunk;
	return 0;
}

/* Brent: a list that meets a node again, which only a broken one does, ends there. */
struct circle {
	uint64_t seen;
	size_t steps, limit;
};

static bool closes_circle(struct circle *circle, uint64_t at)
{
	if (at == circle->seen)
		return true;
	if (++circle->steps > circle->limit) {
		circle->seen = at;
		circle->steps = 0;
		circle->limit = 2 * circle->limit + 1;
	}
	return false;
}

static void read_list(void *ctx, uint64_t first, bool in_tcache)
{
	struct list_reader *reader = ctx;
	const struct glibc_layout *layout = &reader->map->layout;
	uint64_t at = in_tcache && first ? first - CHUNK_HEADER_BYTES : first, bytes = 0;
	struct circle circle = {0};

	/* Where keys tell what is in a tcache now, its lists would add what was in it before. */
	if (in_tcache && layout->key_kind == TCACHE_KEY_OWNER)
		return;
	for (size_t n = 0; at && reader->count < CACHED_CHUNKS_MAX; n++) {
		uint64_t words[3];

		if ((in_tcache && n == TCACHE_COUNT_MAX) || at % 16 || closes_circle(&circle, at) ||
		    memory__read(reader->memory, at, words, sizeof(words)))
			return;
		/* All chunks of a list are of one size; another one means that it broke. */
		words[1] &= ~(uint64_t)7;
		if (bytes && words[1] != bytes)
			return;
		bytes = words[1];
		reader->err = append(reader, at | in_tcache);
		if (reader->err)
			return;
		at = reveal_link(layout, at + CHUNK_HEADER_BYTES, words[2]);
		if (in_tcache && at)
			at -= CHUNK_HEADER_BYTES;
	}
}

static int by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

int cached_lists__read(const struct glibc_map *map, const struct glibc_tcaches *tcaches,
		       struct memory *memory, uint64_t **chunks, size_t *count)
{
	struct list_reader reader = {.memory = memory, .map = map};

	each_list(map, tcaches, memory, read_list, &reader);
	if (reader.err) {
		free(reader.chunks);
		return reader.err;
	}
	if (reader.count)
		qsort(reader.chunks, reader.count, sizeof(*reader.chunks), by_value);
	*chunks = reader.chunks;
	*count = reader.count;
	return 0;
}
