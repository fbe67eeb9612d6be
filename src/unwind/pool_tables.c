// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "unwind/pool_internal.h"

static uint32_t count_blocks(const struct pool_object *object)
{
	uint32_t count = 0;

	for (unsigned int kind = 0; kind < UNWIND_TABLE_KINDS; kind++)
		count += pool_place__blocks(&object->places[kind]);
	return count;
}

/* Blocks that are free or can be had by eviction. */
static uint32_t count_available(const struct unwind_pool *pool)
{
	uint32_t count = pool->blocks.free_count;

	for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX; i++) {
		if (pool->objects[i] && !pool->objects[i]->holders)
			count += count_blocks(pool->objects[i]);
	}
	return count;
}

/* Evicts until there is room. Nothing is evicted for what would not fit anyway. */
static int make_room(struct unwind_pool *pool, uint32_t index_count, uint32_t row_count,
		     struct pool_place *place)
{
	struct pool_object *victim;
	int err = pool_blocks__take(&pool->blocks, index_count, row_count, place);

	if (err != -ENOSPC || index_count + row_count > count_available(pool))
		return err;
	while (err == -ENOSPC) {
		victim = pool_objects__oldest(pool, true);
		if (!victim)
			break;
		pool_objects__evict(pool, victim);
		pool->stats.evicted++;
		err = pool_blocks__take(&pool->blocks, index_count, row_count, place);
	}
	return err;
}

/* Rows, then the index that leads to them: nobody looks at either yet. */
static void write_blocks(struct unwind_pool *pool, const struct unwind_table *table,
			 const struct pool_place *place)
{
	union unwind_block *blocks = pool->memory.blocks;

	for (uint32_t i = 0; i < table->block_count; i++)
		memcpy(&blocks[place->rows[i]], &table->blocks[i], sizeof(blocks[0]));
	memset(&blocks[place->index], 0, place->index_count * sizeof(blocks[0]));
	for (uint32_t i = 0; i < table->page_count; i++) {
		struct unwind_page page = table->pages[i];

		if (page.count)
			page.block = place->rows[page.block];
		blocks[place->index + i / UNWIND_PAGES_PER_BLOCK]
			.pages[i % UNWIND_PAGES_PER_BLOCK] = page;
	}
}

/* Everything that an index leads to is written before the index is (release: bpf/unwind.h reads
 * them in the other order). */
static void publish(struct unwind_pool *pool, const struct pool_object *object,
		    const struct unwind_table *table, enum unwind_table_kind kind)
{
	struct unwind_object *shown = &pool->memory.objects[object->index];

	__atomic_store_n(&shown->first_page, table->first_page, __ATOMIC_RELAXED);
	__atomic_store_n(&shown->page_count, table->page_count, __ATOMIC_RELAXED);
	__atomic_store_n(&shown->index[kind], object->places[kind].index, __ATOMIC_RELEASE);
	__atomic_store_n(&shown->otherwise, UNWIND_UNKNOWN, __ATOMIC_RELEASE);
}

static void add_stats(struct unwind_pool *pool, const struct unwind_table *table)
{
	struct unwind_pool_stats *stats = &pool->stats;

	stats->builds++;
	stats->build_ns += table->build_ns;
	stats->rows_dropped += table->rows_dropped;
	stats->rows_unknown += table->unknown_rows;
	stats->bad_entries += table->bad_entries;
	stats->overlaps += table->overlaps;
}

static int place_table(struct unwind_pool *pool, struct pool_object *object,
		       const struct unwind_table *table, enum unwind_table_kind kind)
{
	uint32_t index_count = unwind_table__index_blocks(table);
	int err = make_room(pool, index_count, table->block_count, &object->places[kind]);

	if (err == -ENOSPC) {
		object->wanted[kind] = index_count + table->block_count;
		pool->stats.refused++;
		log_debug("no room for %u blocks of unwind tables of %s", object->wanted[kind],
			  object->name);
	}
	if (err)
		return err;
	object->wanted[kind] = 0;
	write_blocks(pool, table, &object->places[kind]);
	publish(pool, object, table, kind);
	return 0;
}

/* The index of one table is found by the pages of both. */
static bool has_same_pages(const struct unwind_pool *pool, const struct pool_object *object,
			   const struct unwind_table *table)
{
	const struct unwind_object *shown = &pool->memory.objects[object->index];

	return !count_blocks(object) ||
	       (shown->first_page == table->first_page && shown->page_count == table->page_count);
}

int pool_tables__load(struct unwind_pool *pool, struct pool_object *object, struct elf_object *elf,
		      enum unwind_table_kind kind)
{
	struct unwind_table table;
	int err = unwind_table__build(&table, elf, kind, pool->rules);

	/* It must not be evicted to make room for itself. */
	object->holders++;
	if (!err && !has_same_pages(pool, object, &table))
		err = -ESTALE;
	if (!err)
		err = place_table(pool, object, &table, kind);
	object->holders--;
	add_stats(pool, &table);
	unwind_table__clear(&table);
	return err;
}

bool pool_tables__fits_now(const struct unwind_pool *pool, const struct pool_object *object,
			   enum unwind_table_kind kind)
{
	return object->wanted[kind] <= count_available(pool);
}

void pool_tables__withdraw(struct unwind_pool *pool, struct pool_object *object)
{
	struct unwind_object *shown = &pool->memory.objects[object->index];

	for (unsigned int kind = 0; kind < UNWIND_TABLE_KINDS; kind++)
		__atomic_store_n(&shown->index[kind], UNWIND_NO_TABLE, __ATOMIC_RELAXED);
	__atomic_store_n(&shown->page_count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shown->otherwise, UNWIND_UNKNOWN, __ATOMIC_RELAXED);
	/* A full barrier: no reader that sees the new epoch finds a way to the blocks, and nothing
	 * is written to them before. */
	__atomic_fetch_add(pool->memory.epoch, 1, __ATOMIC_SEQ_CST);
	for (unsigned int kind = 0; kind < UNWIND_TABLE_KINDS; kind++)
		pool_blocks__give_back(&pool->blocks, &object->places[kind]);
}
