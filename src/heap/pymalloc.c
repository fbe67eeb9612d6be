// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/pymalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

#define ARENA_POOLS    64u /* MAX_POOLS_IN_ARENA */
#define POOL_HEADER    48u
#define ARENAS_MAX     (1u << 20) /* a TiB of them */
#define FIRST_ARENAS   16u        /* INITIAL_ARENA_OBJECTS; the table doubles from there */
#define CANDIDATES_MAX 1024u

/* struct arena_object; address 0: not in use, and the rest is old. */
struct arena {
	uint64_t address;
	uint64_t pool_address; /* the first pool that was never used */
	uint32_t free_pools, total_pools;
	uint64_t pools, next, previous;
};

/* struct pool_header */
struct pool {
	uint32_t count; /* blocks handed out */
	uint32_t unused;
	uint64_t free_block, next, previous;
	uint32_t arena_index;
	uint32_t size_index;
	uint32_t next_offset, max_next_offset;
};

/* The sizes of its pools, 3.10 and later first; an arena has 64 of them. */
static const uint64_t pool_sizes[] = {16384, 4096};

struct python {
	struct subject *subject;
	struct claims *claims;
	uint64_t bytes, in_use_bytes, arenas;
	uint64_t broken; /* pools that are none */

	/* Pointers of one window of data that may be the table's, and what they point to. */
	uint64_t addrs[CANDIDATES_MAX];
	struct arena first[CANDIDATES_MAX];
	uint8_t valid[CANDIDATES_MAX];
	size_t candidates;
};

static uint64_t first_pool(const struct arena *arena, uint64_t pool_bytes)
{
	return (arena->address + pool_bytes - 1) & ~(pool_bytes - 1);
}

/* What must hold of an arena in use whose pools have this size. */
static bool is_plausible(const struct arena *arena, uint64_t pool_bytes)
{
	uint64_t first, pools;

	if (!arena->address || arena->address % 4096 || arena->address >> 47)
		return false;
	first = first_pool(arena, pool_bytes);
	pools = first == arena->address ? ARENA_POOLS : ARENA_POOLS - 1;
	return arena->total_pools == pools && arena->free_pools <= pools &&
	       arena->pool_address >= first && arena->pool_address <= first + pools * pool_bytes &&
	       (arena->pool_address - first) % pool_bytes == 0;
}

/* Bytes of a block of the pool; 0 when it is no pool of that arena. */
static uint64_t block_bytes(const struct pool *pool, uint64_t arena_index, uint64_t pool_bytes)
{
	uint64_t block = pool_bytes - pool->max_next_offset;
	uint64_t align = block / (pool->size_index + 1ull);

	if (pool->arena_index != arena_index || pool->max_next_offset > pool_bytes - 8 ||
	    pool->size_index >= 64 || align * (pool->size_index + 1ull) != block ||
	    (align != 16 && align != 8) || pool->count > (pool_bytes - POOL_HEADER) / block)
		return 0;
	return block;
}

/* Counts the pools that were ever used; 1 when the first of them is one, else 0, or an error. */
static int read_pools(struct python *python, const struct arena *arena, uint64_t index,
		      uint64_t pool_bytes)
{
	uint64_t first = first_pool(arena, pool_bytes), addrs[ARENA_POOLS], in_use = 0, broken = 0;
	size_t count = (arena->pool_address - first) / pool_bytes;
	struct pool pools[ARENA_POOLS];
	uint8_t valid[ARENA_POOLS];
	int err;

	if (!count)
		return 0;
	for (size_t i = 0; i < count; i++)
		addrs[i] = first + i * pool_bytes;
	err = memory__gather(&python->subject->memory, addrs, count, sizeof(pools[0]), pools,
			     valid);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		uint64_t block = valid[i] ? block_bytes(&pools[i], index, pool_bytes) : 0;

		if (!block && !i)
			return 0;
		broken += !block;
		in_use += block * pools[i].count;
	}
	python->in_use_bytes += in_use;
	python->broken += broken;
	return 1;
}

/* 1: it is an arena, and claimed. 0: it is none. */
static int take_arena(struct python *python, const struct arena *arena, uint64_t index)
{
	for (size_t k = 0; k < sizeof(pool_sizes) / sizeof(pool_sizes[0]); k++) {
		uint64_t bytes = ARENA_POOLS * pool_sizes[k];
		int err;

		if (!is_plausible(arena, pool_sizes[k]) ||
		    !scan__is_anonymous_rw(python->subject, arena->address, arena->address + bytes))
			continue;
		err = read_pools(python, arena, index, pool_sizes[k]);
		if (err < 0)
			return err;
		if (!err)
			continue;
		python->bytes += bytes;
		python->arenas++;
		err = claims__add(python->claims, arena->address, arena->address + bytes,
				  LEDGER_PYMALLOC, "arenas of pymalloc's table");
		return err == -ENOMEM ? err : 1;
	}
	return 0;
}

/* Whether an arena's entry could be one, cheaply. */
static bool may_be_arena(const struct arena *arena)
{
	return is_plausible(arena, pool_sizes[0]) || is_plausible(arena, pool_sizes[1]);
}

/*
 * Goes along a table until it has twice as many entries as were met with an arena, or until one is
 * neither an arena nor unused. 1 when there was an arena in it.
 */
static int walk_table(struct python *python, uint64_t table)
{
	uint64_t found = 0, end = FIRST_ARENAS;

	for (uint64_t i = 0; i < end; i++) {
		struct arena arena;
		int err = memory__read(&python->subject->memory, table + i * sizeof(arena), &arena,
				       sizeof(arena));

		if (!err && arena.address)
			err = take_arena(python, &arena, i);
		else if (!err)
			continue;
		if (err == 0 || scan__is_local_error(err))
			break;
		if (err < 0)
			return err;
		found++;
		if (2 * (i + 1) > end)
			end = 2 * end < ARENAS_MAX ? 2 * end : ARENAS_MAX;
	}
	return found > 0;
}

/* Stops at the first table: an interpreter has one. */
static int try_candidates(struct python *python)
{
	int err = memory__gather(&python->subject->memory, python->addrs, python->candidates,
				 sizeof(struct arena), python->first, python->valid);

	for (size_t i = 0; !err && i < python->candidates; i++)
		if (python->valid[i] && may_be_arena(&python->first[i]))
			err = walk_table(python, python->addrs[i]);
	python->candidates = 0;
	return err;
}

static int find_table(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	const struct maps_entry *entry = NULL;
	struct python *python = ctx;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		/* The table is allocated by malloc. */
		if (!words[i] || words[i] % 16 || words[i] >> 47)
			continue;
		if (!entry || words[i] < entry->start || words[i] >= entry->end)
			entry = subject__entry(python->subject, words[i]);
		if (!entry || !entry_is_anonymous_rw(entry))
			continue;
		python->addrs[python->candidates++] = words[i];
		if (python->candidates == CANDIDATES_MAX)
			err = try_candidates(python);
	}
	if (!err && python->candidates)
		err = try_candidates(python);
	return err;
}

/* Arenas that overlap are overwritten, and so is what they hold. */
static int report(const struct python *python, struct allocators *out)
{
	uint64_t bytes;
	int err = claims__covered(python->claims, LEDGER_PYMALLOC, NULL, &bytes);

	if (err)
		return err;
	allocators__add(out, &(struct allocator_facts){
				     .name = "pymalloc",
				     .how = "arenas of its own table, by their pools",
				     .bytes = bytes,
				     .in_use_bytes = python->in_use_bytes,
				     .has_in_use = !python->broken && bytes == python->bytes,
			     });
	return 0;
}

int pymalloc__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct python *python = calloc(1, sizeof(*python));
	int err;

	if (!python)
		return -ENOMEM;
	python->subject = subject;
	python->claims = claims;
	err = scan__each_data_window(subject, find_table, python);
	if (err >= 0 && python->arenas)
		err = report(python, out);
	free(python);
	return err < 0 ? err : 0;
}
