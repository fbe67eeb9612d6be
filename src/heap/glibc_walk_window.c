// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <sys/param.h>

#include "heap/glibc_tcache_shape.h"
#include "heap/glibc_walk_impl.h"

#define PAGE_BYTES 4096

/* What pass_chunks compares all chunks with. Positions are those in the window. */
struct limits {
	const uint8_t *data;
	uint64_t window_at;
	uint64_t last;           /* where the last header may begin, at most `end` */
	uint64_t end;            /* CHUNK_MIN_BYTES before the region's end */
	uint64_t look_from;      /* a chunk in use from here on is looked at */
	uint64_t near, near_len; /* addresses of the region's chunks; the length in sixteenths */
	uint64_t largest_fast, key;
};

/* Chunks that were passed without a closer look, and what they add up to. */
struct passed {
	uint64_t from, at;   /* the first of them and the one behind the last, in the window */
	uint64_t free_start; /* of the free memory in front of `at`; `at` itself: there is none */
	uint64_t in_use_bytes, fast_bytes, largest_free_bytes;
	size_t chunks, fast_count;
};

/*
 * Where in the window those in fastbins are. There are none before the first mark, and at most one
 * for each 32 bytes from a mark to the next; one more, as a chunk is put down before it is known
 * whether it is one.
 */
#define FAST_MAX (MARK_BYTES / CHUNK_MIN_BYTES + 1)

static inline const struct chunk_header *header_at(const struct limits *limits, uint64_t at)
{
	return (const void *)(limits->data + at);
}

/* Whether a chunk, if it is in use, can be in a fastbin whose next chunk is `next`. */
static inline bool may_be_fast(const struct limits *limits, uint64_t bytes, uint64_t next)
{
	return (bytes <= limits->largest_fast) & (sixteenths(next) <= SPACE_ADDRESS_MAX / 16);
}

/* It surely is when that is in the region or none; else it may be in another heap of the arena. */
static inline bool is_near(const struct limits *limits, uint64_t next)
{
	return (sixteenths(next - limits->near) < limits->near_len) | !next;
}

/* As header_is_plausible, and a free chunk's size stands at both of its ends. in_use: of the chunk
 * of `bytes` in front of `next`, all bits set or none. */
static inline bool fits(const struct limits *limits, uint64_t at, const struct chunk_header *next,
			uint64_t bytes, uint64_t in_use)
{
	return chunk_bytes(next) - CHUNK_MIN_BYTES <= limits->end - at &&
	       !((next->size & (8 | IS_MMAPPED)) | (~in_use & (next->prev_bytes ^ bytes)));
}

/*
 * Passes the chunks that lie in the window with their successor's header, as long as nothing is
 * wrong, up to one in use that must be looked at: true, and that one is at passed->at.
 *
 * This is what is done for each of millions of chunks. Which are in use, free or in a fastbin
 * cannot be foreseen, and a branch on that would cost more than all of this: hence sums of bits, in
 * a copy that stays in registers.
 */
static bool pass_chunks(const struct limits *limits, struct passed *passed,
			uint32_t fast[static FAST_MAX])
{
	struct passed to = *passed;
	bool look = false;

	for (;;) {
		const struct chunk_header *chunk = header_at(limits, to.at), *next;
		uint64_t bytes = chunk_bytes(chunk), behind = to.at + bytes, in_use, in_fastbin;
		uint64_t link =
			chunk->link ^ ((limits->window_at + to.at + CHUNK_HEADER_BYTES) >> 12);
		bool may_be = may_be_fast(limits, bytes, link),
		     is_fast = may_be & is_near(limits, link);

		if (behind > limits->last)
			break;
		next = header_at(limits, behind);
		in_use = -(next->size & PREV_INUSE);
		if (!fits(limits, behind, next, bytes, in_use))
			break;
		look = in_use & ((to.at >= limits->look_from) | (may_be ^ is_fast) |
				 (chunk->key == limits->key) | is_tcache_size(bytes));
		if (look)
			break;
		in_fastbin = in_use & -(uint64_t)is_fast;
		fast[to.fast_count] = to.at;
		to.fast_count -= in_fastbin; /* plus 1 */
		to.fast_bytes += bytes & in_fastbin;
		to.largest_free_bytes = MAX(to.largest_free_bytes, bytes & ~in_use);
		in_use ^= in_fastbin;
		to.in_use_bytes += bytes & in_use;
		to.free_start = in_use ? behind : to.free_start;
		to.chunks++;
		to.at = behind;
	}
	*passed = to;
	return look;
}

static void record_fast(struct walk *walk, const struct limits *limits, const uint32_t *fast,
			size_t count)
{
	struct cached_chunks *cached = walk->job->cached;

	/* As cached_chunks__add would, of one in three chunks of a large heap. */
	if (cached->count == CACHED_CHUNKS_MAX) {
		cached->left_off += count;
		return;
	}
	for (size_t i = 0; i < count; i++)
		walk__record(walk, limits->window_at + fast[i], header_at(limits, fast[i]),
			     IN_FASTBIN);
}

/* What was passed goes into the sums, and now to where it ended. */
static void count_passed(struct walk *walk, const struct limits *limits,
			 const struct passed *passed)
{
	struct glibc_tally *tally = &walk->now.tally;

	tally->in_use_bytes += passed->in_use_bytes;
	tally->cached_bytes += passed->fast_bytes;
	tally->free_bytes += passed->at - passed->from - passed->in_use_bytes - passed->fast_bytes;
	tally->largest_free_bytes = MAX(tally->largest_free_bytes, passed->largest_free_bytes);
	walk->now.at = limits->window_at + passed->at;
	walk->now.free_start =
		passed->free_start == passed->at ? 0 : limits->window_at + passed->free_start;
	walk->window.uses += passed->chunks;
}

/*
 * Begins at now; the next mark is due at next_mark. The end of free memory of more than a page is
 * looked at as well, for walk__close_free: none that begins behind now is so long before the mark.
 */
static struct passed begin_passing(const struct walk *walk, uint64_t next_mark,
				   struct limits *limits)
{
	uint64_t at = walk->now.at, free_start = walk->now.free_start ? walk->now.free_start : at;
	uint64_t look_from = MIN(next_mark, free_start + PAGE_BYTES + 1);

	limits->look_from = walk->look_at_all ? 0 : MAX(look_from, at) - limits->window_at;
	return (struct passed){
		.from = at - limits->window_at,
		.at = at - limits->window_at,
		/* May lie in front of the window: it wraps, there and back. */
		.free_start = free_start - limits->window_at,
	};
}

static struct limits limits_of(const struct walk *walk)
{
	uint64_t near = (walk->job->region->start + 15) & ~15ULL;
	uint64_t end = walk->end - CHUNK_MIN_BYTES - walk->window.at;

	return (struct limits){
		.data = walk->window.data,
		.window_at = walk->window.at,
		.last = MIN(walk->window.have - sizeof(struct chunk_header), end),
		.end = end,
		.near = near,
		.near_len = (walk->end - near + 15) / 16,
		.largest_fast = walk->largest_fast,
		.key = walk->key,
	};
}

void walk__window(struct walk *walk)
{
	struct limits limits;
	struct passed passed;
	uint64_t next_mark = walk->now.at;
	uint32_t fast[FAST_MAX];

	if (walk->window.have < sizeof(struct chunk_header))
		return;
	limits = limits_of(walk);
	while (!walk->err) {
		const struct chunk_header *chunk;
		bool look;

		passed = begin_passing(walk, next_mark, &limits);
		look = pass_chunks(&limits, &passed, fast);
		record_fast(walk, &limits, fast, passed.fast_count);
		count_passed(walk, &limits, &passed);
		if (!look || walk->err)
			break;
		if (walk->now.at >= next_mark) {
			walk__mark(walk);
			next_mark = walk->now.at + MARK_BYTES;
		}
		chunk = header_at(&limits, passed.at);
		walk__count(walk, chunk, chunk_bytes(chunk), true);
		walk->now.at += chunk_bytes(chunk);
		walk->window.uses++;
	}
}
