// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "heap/glibc_tcache_shape.h"

void glibc_look__free(struct glibc_look *look)
{
	glibc_map__free(&look->map);
	free(look->arenas);
	free(look->system_after);
	glibc_cells__free(&look->cells);
	memset(look, 0, sizeof(*look));
}

/* A thread's cache is mostly the first chunk of its arena: up to 2.42 it is the first thing that a
 * thread allocates. */
static int look_for_first_tcaches(struct subject *subject, const struct glibc_map *map,
				  struct glibc_layout *layout, struct glibc_tcaches *tcaches)
{
	uint8_t data[TCACHE_CHUNK_MAX + CHUNK_TAIL_BYTES];
	int err = 0;

	for (size_t i = 0; err >= 0 && i < map->region_count; i++) {
		uint64_t start = map->regions[i].start, size;

		if (memory__word(&subject->memory, start + 8, &size))
			continue;
		size &= ~(uint64_t)7;
		if (is_tcache_size(size) &&
		    memory__read(&subject->memory, start, data, size + CHUNK_TAIL_BYTES) == 0 &&
		    glibc_tcache__plausible(data, size))
			err = glibc_tcaches__add(tcaches, &subject->memory, layout, start, data,
						 size);
	}
	return err < 0 ? err : 0;
}

/* Without a thread cache (a tunable can switch them off) the fastbins tell how links are made. */
static void learn_from_fastbins(struct subject *subject, const struct glibc_map *map,
				struct glibc_layout *layout)
{
	uint32_t plain = 0, mangled = 0;

	for (size_t i = 0; i < map->state_count; i++) {
		for (size_t k = 0; k < GLIBC_FASTBINS; k++) {
			uint64_t chunk = map->states[i].fastbins[k], link, bare;

			if (!chunk || memory__word(&subject->memory, chunk + 16, &link))
				continue;
			bare = link ^ ((chunk + 16) >> 12);
			plain += link % 16 == 0 && (!link || link >> 32 == chunk >> 32);
			mangled += bare % 16 == 0 && (!bare || bare >> 32 == chunk >> 32);
		}
	}
	if (layout->links_known || plain == mangled)
		return;
	layout->links_known = glibc_layout__narrow(layout, mangled > plain ? 32 : 26,
						   mangled > plain ? GLIBC_LATER : 31);
	layout->links_mangled = layout->links_known && mangled > plain;
}

/* All that a malloc or a free changes outside the chunks: arenas and thread caches. */
static uint64_t digest_states(const struct glibc_map *map, struct memory *memory,
			      uint64_t *system_after)
{
	uint64_t digest = GLIBC_DIGEST_SEED;

	for (size_t i = 0; i < map->state_count; i++) {
		struct glibc_state state = {0};

		glibc_state__read(memory, &map->layout, map->states[i].address, &state);
		digest = glibc_digest(digest, &state.digest, sizeof(digest));
		system_after[i] = state.system_bytes;
	}
	return digest;
}

static uint64_t first_digest(const struct glibc_map *map)
{
	uint64_t digest = GLIBC_DIGEST_SEED;

	for (size_t i = 0; i < map->state_count; i++)
		digest = glibc_digest(digest, &map->states[i].digest, sizeof(digest));
	return digest;
}

static bool has_chunk(const struct cached_chunks *cached, uint64_t address, uint32_t bytes)
{
	size_t low = 0, high = cached->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cached->items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < cached->count && cached->items[low].address == address &&
	       cached->items[low].bytes == bytes;
}

/*
 * What only looked cached was in use. A process that stood still: what no list leads to. One that
 * ran: lists changed under the walk, so only a fastbin chunk whose next is none is refused, and the
 * others that no list leads to are doubtful; and always those with a tcache's key. With
 * more chunks than go on record lists cannot be followed: what looks cached is taken for that.
 */
static void refuse_false_ones(struct glibc_look *look, const struct cached_chunks *cached)
{
	for (size_t i = 0; !cached->left_off && i < cached->count; i++) {
		const struct cached_chunk *chunk = &cached->items[i];
		struct glibc_tally *tally = &look->arenas[chunk->arena];
		bool is_cached = chunk->reached;

		if (!look->stood_still)
			is_cached = is_cached || chunk->in_tcache || !chunk->next ||
				    has_chunk(cached, chunk->next, chunk->bytes);
		if (is_cached && !chunk->reached && !chunk->in_tcache)
			look->doubtful_bytes += chunk->bytes;
		if (is_cached)
			continue;
		/* Its key says that it is cached: a thread's cache that was not found? */
		if (chunk->in_tcache)
			look->doubtful_bytes += chunk->bytes;
		tally->cached_bytes -= chunk->bytes;
		tally->in_use_bytes += chunk->bytes;
	}
}

#define RESTARTS 3

struct look_parts {
	struct cached_chunks cached;
	uint64_t *listed;
	size_t listed_count;
};

static int walk_regions(struct subject *subject, uint32_t bytes_percent, struct glibc_look *look,
			struct glibc_layout *layout, struct glibc_tcaches *tcaches,
			struct look_parts *parts)
{
	int err = 0;

	look->arenas = calloc(look->map.state_count, sizeof(*look->arenas));
	look->system_after = calloc(look->map.state_count, sizeof(*look->system_after));
	if (!look->arenas || !look->system_after)
		return -ENOMEM;
	if (!look->map.layout.links_mangled)
		err = cached_lists__read(&look->map, tcaches, &subject->memory, &parts->listed,
					 &parts->listed_count);
	for (size_t i = 0; !err && i < look->map.region_count; i++) {
		struct glibc_walk_job job = {
			.subject = subject,
			.map = &look->map,
			.region = &look->map.regions[i],
			.memory = &subject->memory,
			.bytes_percent = bytes_percent,
			.listed = parts->listed,
			.listed_count = parts->listed_count,
			.layout = layout,
			.tcaches = tcaches,
			.cached = &parts->cached,
			.cells = &look->cells,
		};

		err = glibc_walk__region(&job, &look->arenas[job.region->arena]);
	}
	return err;
}

/* What was not known when the walk began and would have told chunks apart. */
static bool has_learnt(const struct glibc_layout *then, const struct glibc_layout *now,
		       bool more_tcaches)
{
	if (then->links_known != now->links_known || then->key_kind != now->key_kind)
		return true;
	return more_tcaches && now->key_kind != TCACHE_KEY_RANDOM;
}

static void add_up(struct glibc_look *look)
{
	for (size_t i = 0; i < look->map.state_count; i++) {
		const struct glibc_tally *tally = &look->arenas[i];

		look->in_use_bytes += tally->in_use_bytes;
		look->unwalked_bytes += tally->unwalked_bytes;
		look->torn_bytes += tally->torn_bytes;
		if (!look->stood_still)
			look->doubtful_bytes += tally->listed_bytes;
	}
}

static int take(struct subject *subject, uint32_t bytes_percent, struct glibc_layout *layout,
		struct glibc_tcaches *tcaches, struct glibc_look *look, struct look_parts *parts)
{
	struct memory *memory = &subject->memory;
	uint64_t tcaches_before;
	size_t tcache_count;
	int err;

	if (!layout->bins)
		*layout = look->map.layout;
	err = look_for_first_tcaches(subject, &look->map, layout, tcaches);
	if (err)
		return err;
	learn_from_fastbins(subject, &look->map, layout);
	look->map.layout = *layout;
	tcache_count = tcaches->count;
	tcaches_before = glibc_tcaches__digest(tcaches, memory);
	err = walk_regions(subject, bytes_percent, look, layout, tcaches, parts);
	if (err)
		return err;
	look->learnt = has_learnt(&look->map.layout, layout, tcaches->count != tcache_count);
	/* Those that were found on the way are as they were then. */
	if (tcaches->count != tcache_count)
		tcaches_before = glibc_tcaches__first_digest(tcaches);
	look->stood_still =
		first_digest(&look->map) == digest_states(&look->map, memory, look->system_after) &&
		tcaches_before == glibc_tcaches__digest(tcaches, memory);
	if (!parts->cached.left_off)
		cached_chunks__reach(&parts->cached, &look->map, tcaches, memory);
	refuse_false_ones(look, &parts->cached);
	add_up(look);
	return 0;
}

static void free_parts(struct look_parts *parts)
{
	cached_chunks__free(&parts->cached);
	free(parts->listed);
	memset(parts, 0, sizeof(*parts));
}

int glibc_look__take(struct subject *subject, uint32_t bytes_percent, struct glibc_layout *layout,
		     struct glibc_tcaches *tcaches, struct glibc_look *out, const char **reason)
{
	struct glibc_look look = {0};
	struct look_parts parts = {0};
	uint64_t begin = monotonic_ns();
	int err = -ERESTART;

	/* Once for how keys are made, once for the links, and once more. */
	for (int tries = 0; err == -ERESTART && tries < RESTARTS; tries++) {
		free_parts(&parts);
		glibc_look__free(&look);
		err = glibc_map__read(subject, &look.map, reason);
		if (!err)
			err = take(subject, bytes_percent, layout, tcaches, &look, &parts);
	}
	if (err == -ERESTART)
		err = -EAGAIN;
	free_parts(&parts);
	look.wall_ns = monotonic_ns() - begin;
	if (err)
		glibc_look__free(&look);
	else
		*out = look;
	return err;
}
