// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/glibc_cached.h"
#include "heap/glibc_tcache_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * struct tcache_perthread_struct: counts, then entries. 2.26 to 2.29: 64 counts of one byte; 2.30
 * to 2.41: of two; 2.42: 76 of two, which count free slots. A bin's chunks all have its size, but
 * for the 12 bins of large chunks from 2.42 on.
 */
static const struct tcache_shape shapes[] = {
	{.chunk_bytes = 0x250, .bins = 64, .count_bytes = 1, .entries = 0x40, .from = 26, .to = 29},
	{.chunk_bytes = 0x290, .bins = 64, .count_bytes = 2, .entries = 0x80, .from = 30, .to = 41},
	{.chunk_bytes = 0x300,
	 .bins = 76,
	 .count_bytes = 2,
	 .entries = 0x98,
	 .from = 42,
	 .to = GLIBC_LATER},
};

const struct tcache_shape *tcache_shape(uint64_t chunk_bytes)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		if (shapes[i].chunk_bytes == chunk_bytes ||
		    shapes[i].chunk_bytes + 16 == chunk_bytes)
			return &shapes[i];
	}
	return NULL;
}

uint64_t tcache_entry(const struct tcache_shape *shape, const uint8_t *body, uint32_t bin)
{
	uint64_t entry;

	memcpy(&entry, body + shape->entries + 8 * bin, sizeof(entry));
	return entry;
}

static uint32_t tcache_count(const struct tcache_shape *shape, const uint8_t *body, uint32_t bin)
{
	return shape->count_bytes == 1 ? body[bin] : body[2 * bin] | body[2 * bin + 1] << 8;
}

bool glibc_tcache__plausible(const uint8_t *data, uint64_t bytes)
{
	const struct tcache_shape *shape = tcache_shape(bytes);
	const uint8_t *body = data + CHUNK_HEADER_BYTES;
	uint32_t used = 0;

	if (!shape)
		return false;
	for (uint32_t i = 0; i < shape->bins; i++) {
		uint64_t entry = tcache_entry(shape, body, i);
		uint32_t count = tcache_count(shape, body, i);

		if (entry % 16 || entry > SPACE_ADDRESS_MAX || (entry && entry < 0x10000))
			return false;
		if (shape->from < 42 && (count > 0) != (entry != 0))
			return false;
		used += entry != 0;
	}
	return used > 0;
}

/* What one cached chunk tells; its first words are header, link and key. */
struct witness {
	uint32_t right_size, wrong_size, plain, mangled, owner_key, same_key;
	uint64_t key;
};

static void hear(struct witness *witness, uint64_t entry, uint32_t bin, uint64_t tcache,
		 const uint64_t *words)
{
	uint64_t bytes = words[1] & ~(uint64_t)7;
	uint64_t plain = words[2], bare = words[2] ^ (entry >> 12);
	bool right = bin < TCACHE_SMALL_BINS ? bytes == (bin + 2) * 16ULL : bytes > 0x400;

	witness->right_size += right;
	witness->wrong_size += !right;
	if (!right)
		return;
	witness->plain += plain % 16 == 0 && plain <= SPACE_ADDRESS_MAX &&
			  (!plain || plain >> 32 == entry >> 32);
	witness->mangled += bare % 16 == 0 && (!bare || bare >> 32 == entry >> 32);
	witness->owner_key += words[3] == tcache;
	/* What was handed out since holds the program's own words: a link that is none, and small
	 * numbers, of which a key of 64 random bits is none. */
	if (bare % 16 || (bare && bare >> 32 != entry >> 32) || words[3] >> 32 == 0)
		return;
	if (!witness->key)
		witness->key = words[3];
	witness->same_key += words[3] == witness->key;
}

/* One chunk says little as long as the process runs, unless it is the only one. */
static bool is_clear(uint32_t votes, uint32_t against, uint32_t all)
{
	return votes > against + 1 || (all == 1 && votes > against);
}

static void learn_links(struct glibc_layout *layout, const struct witness *witness)
{
	bool mangled = witness->mangled > witness->plain;

	if (layout->links_known ||
	    !(mangled ? is_clear(witness->mangled, witness->plain, witness->right_size)
		      : is_clear(witness->plain, witness->mangled, witness->right_size)))
		return;
	layout->links_known =
		glibc_layout__narrow(layout, mangled ? 32 : 26, mangled ? GLIBC_LATER : 31);
	layout->links_mangled = layout->links_known && mangled;
}

static void learn(struct glibc_layout *layout, const struct tcache_shape *shape,
		  const struct witness *witness)
{
	glibc_layout__narrow(layout, shape->from, shape->to);
	learn_links(layout, witness);
	if (layout->key_kind != TCACHE_KEY_UNKNOWN)
		return;
	if (2 * witness->owner_key > witness->right_size && glibc_layout__narrow(layout, 29, 33)) {
		layout->key_kind = TCACHE_KEY_OWNER;
	} else if (shape->from < 30) {
		layout->key_kind = TCACHE_KEY_NONE;
		glibc_layout__narrow(layout, 26, 28);
	} else if (is_clear(2 * witness->same_key, witness->right_size, witness->right_size) &&
		   glibc_layout__narrow(layout, 34, GLIBC_LATER)) {
		layout->key_kind = TCACHE_KEY_RANDOM;
		layout->key = witness->key;
	}
}

/* Position of address, or where it would be. */
static size_t find_tcache(const struct glibc_tcaches *tcaches, uint64_t address)
{
	size_t low = 0, high = tcaches->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tcaches->items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool glibc_tcaches__has(const struct glibc_tcaches *tcaches, uint64_t address)
{
	size_t at = find_tcache(tcaches, address);

	return at < tcaches->count && tcaches->items[at].address == address;
}

static int insert(struct glibc_tcaches *tcaches, const struct glibc_tcache *tcache)
{
	size_t at = find_tcache(tcaches, tcache->address);

	if (tcaches->count == GLIBC_TCACHES_MAX)
		return 0;
	if (tcaches->count == tcaches->room) {
		size_t room = tcaches->room ? 2 * tcaches->room : 64;
		struct glibc_tcache *items = reallocarray(tcaches->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		tcaches->items = items;
		tcaches->room = room;
	}
	memmove(tcaches->items + at + 1, tcaches->items + at,
		(tcaches->count - at) * sizeof(*tcaches->items));
	tcaches->items[at] = *tcache;
	tcaches->count++;
	return 1;
}

int glibc_tcaches__add(struct glibc_tcaches *tcaches, struct memory *memory,
		       struct glibc_layout *layout, uint64_t chunk, const uint8_t *data,
		       uint64_t bytes)
{
	const struct tcache_shape *shape = tcache_shape(bytes);
	const uint8_t *body = data + CHUNK_HEADER_BYTES;
	struct glibc_tcache tcache = {.address = chunk + CHUNK_HEADER_BYTES};
	uint64_t addrs[TCACHE_BINS_MAX] = {0}, words[TCACHE_BINS_MAX][4];
	uint8_t valid[TCACHE_BINS_MAX];
	uint32_t bins[TCACHE_BINS_MAX];
	struct witness witness = {0};
	size_t n = 0;

	if (!shape || shape->from > layout->to || shape->to < layout->from ||
	    glibc_tcaches__has(tcaches, tcache.address))
		return 0;
	for (uint32_t i = 0; i < shape->bins; i++) {
		uint64_t entry = tcache_entry(shape, body, i);

		if (!entry)
			continue;
		bins[n] = i;
		addrs[n++] = entry - CHUNK_HEADER_BYTES;
	}
	if (memory__gather(memory, addrs, n, sizeof(*words), words, valid))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (valid[i])
			hear(&witness, addrs[i] + CHUNK_HEADER_BYTES, bins[i], tcache.address,
			     words[i]);
	}
	/* While its thread runs on, some lists have changed since. */
	if (witness.right_size <= witness.wrong_size)
		return 0;
	learn(layout, shape, &witness);
	tcache.chunk_bytes = shape->chunk_bytes;
	tcache.digest = glibc_digest(GLIBC_DIGEST_SEED, body, tcache_bytes(shape));
	return insert(tcaches, &tcache);
}

uint64_t glibc_tcaches__first_digest(const struct glibc_tcaches *tcaches)
{
	uint64_t digest = GLIBC_DIGEST_SEED;

	for (size_t i = 0; i < tcaches->count; i++)
		digest = glibc_digest(digest, &tcaches->items[i].digest, sizeof(digest));
	return digest;
}

uint64_t glibc_tcaches__digest(const struct glibc_tcaches *tcaches, struct memory *memory)
{
	uint64_t digest = GLIBC_DIGEST_SEED;
	uint8_t body[TCACHE_CHUNK_MAX];

	for (size_t i = 0; i < tcaches->count; i++) {
		size_t size = tcache_bytes(tcache_shape(tcaches->items[i].chunk_bytes));
		uint64_t one = 0;

		if (memory__read(memory, tcaches->items[i].address, body, size) == 0)
			one = glibc_digest(GLIBC_DIGEST_SEED, body, size);
		digest = glibc_digest(digest, &one, sizeof(one));
	}
	return digest;
}

void glibc_tcaches__free(struct glibc_tcaches *tcaches)
{
	free(tcaches->items);
	memset(tcaches, 0, sizeof(*tcaches));
}
