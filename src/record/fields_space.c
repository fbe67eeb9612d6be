// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <sys/mman.h>
#include <uthash.h>

#include "model/space_impl.h"
#include "record/fields.h"

/* A piece that is the first of its origin has that behind it. */
#define PIECE_BYTES_LEAST 3

#define PROT_BITS (PROT_READ | PROT_WRITE | PROT_EXEC)

struct space_record {
	uint64_t mapped_bytes, mapping_count;
	bool seeded, trimmed;
};

static void fields_space(struct codec *codec, struct space_record *record)
{
	CODEC_BYTES(codec, record, mapped_bytes);
	CODEC_U64(codec, record, mapping_count);
	CODEC_BOOL(codec, record, seeded);
	CODEC_BOOL(codec, record, trimmed);
}

/* What the pieces do not tell. Paths are left out: no output has them. */
static void fields_origin(struct codec *codec, struct origin *origin)
{
	CODEC_U64(codec, origin, created_bytes);
	CODEC_U64(codec, origin, created_ns);
	CODEC_U32(codec, origin, tid);
	codec__i32(codec, "stack", &origin->stack, INT32_MIN, INT32_MAX);
	CODEC_U32(codec, origin, map_flags);
	CODEC_U32(codec, origin, first_prot);
	CODEC_BOOL(codec, origin, before_trace);
	CODEC_BOOL(codec, origin, found_late);
	CODEC_BOOL(codec, origin, is_heap);
	CODEC_BOOL(codec, origin, hinted);
	CODEC_BOOL(codec, origin, arena_signature);
}

/* In pages: the gap before it, its length. */
struct piece_record {
	uint64_t gap, pages;
	uint32_t prot;
	uint32_t origin; /* number in the order of their first pieces, from 1 on */
};

static void fields_piece(struct codec *codec, struct piece_record *piece, uint32_t origins)
{
	codec__u64(codec, "gap", &piece->gap, SPACE_ADDRESS_MAX / SPACE_PAGE_BYTES);
	codec__u64(codec, "pages", &piece->pages, SPACE_ADDRESS_MAX / SPACE_PAGE_BYTES);
	codec__u32(codec, "prot", &piece->prot, PROT_BITS);
	/* One that is met for the first time takes the next number. */
	codec__u32(codec, "origin", &piece->origin, origins + 1);
	if (!codec->err && (!piece->pages || !piece->origin))
		codec__refuse(codec, "piece", "without a page, or of no origin");
}

/* Numbers of origins while a space is written. */
struct numbered {
	UT_hash_handle hh;
	const struct origin *origin;
	uint32_t number;
};

static struct numbered *number_of(struct numbered **table, const struct origin *origin)
{
	struct numbered *numbered;

	HASH_FIND_PTR(*table, &origin, numbered);
	if (numbered)
		return numbered;
	numbered = calloc(1, sizeof(*numbered));
	if (!numbered)
		return NULL;
	numbered->origin = origin;
	HASH_ADD_PTR(*table, origin, numbered);
	return numbered;
}

static void write_piece(struct codec *codec, const struct mapping *piece, uint64_t end,
			struct numbered **table)
{
	struct numbered *numbered = number_of(table, piece->origin);
	uint32_t before = HASH_COUNT(*table);
	struct piece_record record = {
		.gap = (piece->start - end) / SPACE_PAGE_BYTES,
		.pages = (piece->end - piece->start) / SPACE_PAGE_BYTES,
		.prot = piece->prot & PROT_BITS,
	};
	bool is_new = numbered && !numbered->number;

	if (!numbered) {
		codec__refuse(codec, "origin", "out of memory");
		return;
	}
	if (is_new)
		numbered->number = before;
	record.origin = numbered->number;
	fields_piece(codec, &record, is_new ? before - 1 : before);
	if (is_new)
		fields_origin(codec, piece->origin);
}

void fields__write_space(struct codec *codec, const struct space *space)
{
	struct space_record record = {
		.mapped_bytes = space->mapped_bytes,
		.mapping_count = space->mapping_count,
		.seeded = space->seeded,
		.trimmed = space->trimmed,
	};
	struct numbered *table = NULL, *numbered, *next;
	const struct mapping *piece;
	uint64_t end = 0;
	size_t n = 0;

	space__for_each (piece, space)
		n++;
	fields_space(codec, &record);
	codec__count(codec, "pieces", n, SPACE_MAPPINGS_MAX, PIECE_BYTES_LEAST);
	space__for_each (piece, space) {
		write_piece(codec, piece, end, &table);
		end = piece->end;
	}
	/* Takes the table away and leaves the items in their order. */
	numbered = table;
	HASH_CLEAR(hh, table);
	for (; numbered; numbered = next) {
		next = numbered->hh.next;
		free(numbered);
	}
}

/* The origin of a piece: known, or new and read behind it. */
static struct origin *read_origin(struct codec *codec, struct space *space, struct origin **origins,
				  uint32_t *count, uint32_t number)
{
	struct origin *origin;

	if (number <= *count)
		return origins[number - 1];
	if (!codec__charge(codec, "origin", sizeof(*origin)))
		return NULL;
	origin = origin__new(space);
	if (!origin) {
		codec__refuse(codec, "origin", "out of memory");
		return NULL;
	}
	fields_origin(codec, origin);
	if (codec->err) {
		origin__free(space, origin);
		return NULL;
	}
	origins[(*count)++] = origin;
	return origin;
}

static void read_piece(struct codec *codec, struct space *space, struct origin **origins,
		       uint32_t *count, uint64_t *end)
{
	struct piece_record record = {0};
	struct origin *origin;
	uint64_t start;

	fields_piece(codec, &record, *count);
	if (codec->err)
		return;
	/* Each is at most 2^56: no overflow. */
	start = *end + record.gap * SPACE_PAGE_BYTES;
	*end = start + record.pages * SPACE_PAGE_BYTES;
	if (*end > SPACE_ADDRESS_MAX) {
		codec__refuse(codec, "piece", "it ends above all addresses");
		return;
	}
	origin = read_origin(codec, space, origins, count, record.origin);
	if (!origin)
		return;
	if (codec__charge(codec, "piece", sizeof(struct mapping)) &&
	    !piece__new(space, start, *end, record.prot, origin))
		codec__refuse(codec, "piece", "out of memory");
	/* It belongs to its first piece, which it did not get. */
	if (codec->err && !origin->pieces)
		origin__free(space, origin);
}

/* A space without pieces, or NULL. */
static struct space *new_space(struct codec *codec)
{
	struct space *space = NULL;

	if (codec__charge(codec, "space", sizeof(*space)))
		space = space__new();
	if (!space)
		codec__refuse(codec, "space", "out of memory");
	return space;
}

struct space *fields__read_space(struct codec *codec)
{
	struct space_record record = {0};
	struct origin **origins;
	struct space *space;
	uint32_t count = 0;
	uint64_t end = 0;
	size_t n;

	fields_space(codec, &record);
	n = codec__count(codec, "pieces", 0, SPACE_MAPPINGS_MAX, PIECE_BYTES_LEAST);
	origins = codec__alloc(codec, "pieces", n, sizeof(struct origin *));
	space = new_space(codec);
	for (size_t i = 0; i < n && origins && space && !codec->err; i++)
		read_piece(codec, space, origins, &count, &end);
	free(origins);
	if (codec->err || !space) {
		space__unref(space);
		return NULL;
	}
	space->seeded = record.seeded;
	space->trimmed = record.trimmed;
	space->mapped_bytes = record.mapped_bytes;
	space->mapping_count = record.mapping_count;
	return space;
}
