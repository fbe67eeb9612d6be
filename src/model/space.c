// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Life of an address space, and the calls that map, unmap and protect. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/op_log.h"
#include "model/pending.h"
#include "model/space_impl.h"

#define PROT_BITS (PROT_READ | PROT_WRITE | PROT_EXEC)

/* mmap(2): log2 of the huge page size stands in the flags from bit 26 on; 0 is the default size. */
#define HUGE_SHIFT_DEFAULT 21

struct space *space__new(void)
{
	struct space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	RB_INIT(&space->mappings);
	space->users = 1;
	space->next_origin = 1;
	return space;
}

struct space *space__ref(struct space *space)
{
	space->users++;
	return space;
}

static void free_spare_nodes(struct space *space)
{
	struct mapping *piece;
	struct origin *origin;

	while ((piece = space->free_mappings)) {
		space->free_mappings = RB_RIGHT(piece, node);
		free(piece);
	}
	while ((origin = space->free_origins)) {
		space->free_origins = origin->twin;
		free(origin);
	}
	space->free_mapping_count = 0;
	space->free_origin_count = 0;
}

void space__unref(struct space *space)
{
	struct mapping *piece;

	if (!space || --space->users)
		return;
	pending__drop_all(space);
	while ((piece = RB_ROOT(&space->mappings)))
		piece__remove(space, piece);
	free_spare_nodes(space);
	free(space->ops);
	free(space);
}

static struct origin *copy_origin(struct space *copy, struct origin *origin)
{
	struct origin *twin = origin__new(copy);

	if (!twin)
		return NULL;
	*twin = *origin;
	twin->live_bytes = 0;
	twin->committed_bytes = 0;
	twin->pieces = 0;
	twin->path = NULL;
	if (origin->path) {
		twin->path = strdup(origin->path);
		if (!twin->path) {
			origin__free(copy, twin);
			return NULL;
		}
	}
	origin->twin = twin;
	return twin;
}

static int copy_pieces(struct space *copy, const struct space *space)
{
	const struct mapping *piece;

	space__for_each (piece, space) {
		struct origin *twin = piece->origin->twin;

		if (!twin) {
			twin = copy_origin(copy, piece->origin);
			if (!twin)
				return -ENOMEM;
			if (piece->origin == space->heap)
				copy->heap = twin;
		}
		if (!piece__new(copy, piece->start, piece->end, piece->prot, twin)) {
			if (!twin->pieces)
				origin__free(copy, twin);
			return -ENOMEM;
		}
	}
	return 0;
}

struct space *space__copy(const struct space *space)
{
	struct space *copy = space__new();
	struct mapping *piece;
	int err;

	if (!copy)
		return NULL;
	copy->brk_start = space->brk_start;
	copy->brk_end = space->brk_end;
	copy->brk_guessed = space->brk_guessed;
	copy->seeded = space->seeded;
	copy->born_ns = space->born_ns;
	copy->read_ns = space->read_ns;
	err = copy_pieces(copy, space);
	space__for_each (piece, space)
		piece->origin->twin = NULL;
	if (err) {
		space__unref(copy);
		return NULL;
	}
	copy->next_origin = space->next_origin;
	if (space->trimmed) {
		copy->trimmed = true;
		copy->mapped_bytes = space->mapped_bytes;
		copy->mapping_count = space->mapping_count;
	}
	return copy;
}

void space__trim(struct space *space, uint64_t min_live_bytes)
{
	uint64_t mapped_bytes = space->mapped_bytes, mapping_count = space->mapping_count;
	struct mapping *piece = space__find(space, 0), *next;

	pending__drop_all(space);
	for (; piece; piece = next) {
		next = space__next(piece);
		/* The first piece that goes makes its origin smaller still: the others follow. */
		if (piece->origin->live_bytes < min_live_bytes)
			piece__remove(space, piece);
	}
	free_spare_nodes(space);
	free(space->ops);
	space->ops = NULL;
	space->mapped_bytes = mapped_bytes;
	space->mapping_count = mapping_count;
	space->trimmed = true;
}

bool origin__is_private_anonymous(const struct origin *origin)
{
	return origin->map_flags & MAP_ANONYMOUS && (origin->map_flags & MAP_TYPE) == MAP_PRIVATE;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

uint64_t range__end(uint64_t addr, uint64_t len)
{
	/* A length near 2^64 wraps to 0 in the kernel too (PAGE_ALIGN). */
	len = round_up(len, SPACE_PAGE_BYTES);
	if (addr % SPACE_PAGE_BYTES || !len || len > SPACE_ADDRESS_MAX ||
	    addr > SPACE_ADDRESS_MAX - len)
		return 0;
	return addr + len;
}

uint64_t map_length(uint64_t len, uint32_t map_flags)
{
	uint64_t unit = SPACE_PAGE_BYTES;

	if (map_flags & MAP_HUGETLB) {
		uint32_t shift = map_flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;

		if (!shift)
			shift = HUGE_SHIFT_DEFAULT;
		if (shift > 55)
			return 0;
		if (1ull << shift > unit)
			unit = 1ull << shift;
	}
	len = round_up(len, unit);
	return len <= SPACE_ADDRESS_MAX ? len : 0;
}

static bool replaces(uint32_t map_flags)
{
	/* mm/mmap.c: NOREPLACE wins when both are given. */
	return (map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
}

static bool is_commit(const struct space *space, uint64_t start, uint64_t end)
{
	const struct mapping *piece = space__find(space, start);
	const struct origin *first = piece ? piece->origin : NULL;
	bool several = false, reserved = true;

	for (; piece && piece->start <= start; piece = space__next(piece)) {
		if (!origin__is_private_anonymous(piece->origin))
			return false;
		several |= piece->origin != first;
		reserved &= piece->origin->first_prot == PROT_NONE && !piece->origin->before_trace;
		if (several && !reserved)
			return false;
		start = piece->end;
		if (start >= end)
			return true;
	}
	return false;
}

/*
 * No room for one more piece: what lies directly below and looks the same takes the range along, so
 * that at least the ranges stay right. Counted by the caller all the same.
 */
static int map_without_room(struct space *space, uint64_t start, uint64_t end, uint32_t prot)
{
	struct mapping *below = start ? space__find(space, start - 1) : NULL;

	if (below && below->end == start && below->prot == prot)
		piece__resize(space, below, below->start, end);
	return -ENOSPC;
}

int space__map(struct space *space, const struct map_request *request)
{
	uint64_t len = map_length(request->len, request->map_flags);
	uint64_t end = range__end(request->addr, len);
	uint32_t prot = request->prot & PROT_BITS;
	bool over = replaces(request->map_flags);
	struct mapping *there;
	struct origin *origin;

	if (!end)
		return -EINVAL;
	if (over && request->map_flags & MAP_ANONYMOUS &&
	    (request->map_flags & MAP_TYPE) == MAP_PRIVATE && is_commit(space, request->addr, end))
		return space__set_prot(space, request->addr, end, prot, NULL);
	there = space__find(space, request->addr);
	if (there && there->start < end) {
		space->contradictions += !over;
		space__unmap(space, request->addr, len, NULL);
	}
	if (space->mapping_count >= SPACE_MAPPINGS_MAX)
		return map_without_room(space, request->addr, end, prot);
	origin = origin__new(space);
	if (!origin)
		return -ENOMEM;
	origin->created_bytes = len;
	origin->created_ns = request->time_ns;
	origin->file_offset = request->file_offset;
	origin->tid = request->tid;
	origin->stack = request->stack;
	origin->map_flags = request->map_flags;
	origin->first_prot = prot;
	origin->hinted = request->hinted;
	if (!piece__new(space, request->addr, end, prot, origin)) {
		origin__free(space, origin);
		return -ENOMEM;
	}
	return 0;
}

/* Removes what of one piece lies in [start, end); returns how much that was. */
static uint64_t remove_part(struct space *space, struct mapping *piece, uint64_t start,
			    uint64_t end)
{
	uint64_t from = piece->start > start ? piece->start : start;
	uint64_t to = piece->end < end ? piece->end : end;

	if (from > piece->start && to < piece->end) {
		/* Without memory for the upper part it is lost; the next re-read finds it. */
		if (!piece__split(space, piece, to))
			space->contradictions++;
		piece__resize(space, piece, piece->start, from);
	} else if (from > piece->start) {
		piece__resize(space, piece, piece->start, from);
	} else if (to < piece->end) {
		piece__resize(space, piece, to, piece->end);
	} else {
		piece__remove(space, piece);
	}
	return to - from;
}

uint64_t space__unmap(struct space *space, uint64_t addr, uint64_t len, bool *whole)
{
	uint64_t end = range__end(addr, len), removed = 0;
	struct mapping *piece, *next;

	if (whole)
		*whole = false;
	if (!end)
		return 0;
	for (piece = space__find(space, addr); piece && piece->start < end; piece = next) {
		next = piece->end < end ? space__next(piece) : NULL;
		removed += remove_part(space, piece, addr, end);
	}
	if (whole)
		*whole = removed == end - addr;
	return removed;
}

int space__protect(struct space *space, uint64_t addr, uint64_t len, uint32_t prot)
{
	uint64_t end = range__end(addr, len);
	bool whole;
	int err;

	if (!end)
		return -EINVAL;
	err = space__set_prot(space, addr, end, prot & PROT_BITS, &whole);
	if (!err && !whole)
		space->contradictions++;
	return err;
}

bool space__covers(const struct space *space, uint64_t addr, uint64_t len)
{
	uint64_t end = range__end(addr, len);
	const struct mapping *piece;

	for (piece = space__find(space, addr); end && piece && piece->start <= addr;
	     piece = space__next(piece)) {
		addr = piece->end;
		if (addr >= end)
			return true;
	}
	return false;
}
