// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Pieces and origins of an address space, and the sums over them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/space_impl.h"

/* Nodes kept for reuse by each space, of each kind: more than any storm has in flight at once. */
#define FREE_NODES_MAX 256

#define PROT_COMMITTED (PROT_READ | PROT_WRITE)

static int compare_starts(const struct mapping *a, const struct mapping *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

/* Not RB_GENERATE_STATIC: it says __unused, which Debian leaves undefined (bug 522773). */
RB_GENERATE_INTERNAL(mapping_tree, mapping, node, compare_starts, static __attribute__((unused)))

struct mapping *space__find(const struct space *space, uint64_t addr)
{
	struct mapping *mapping = RB_ROOT(&space->mappings), *above = NULL;

	while (mapping) {
		if (addr < mapping->start) {
			above = mapping;
			mapping = RB_LEFT(mapping, node);
		} else if (addr >= mapping->end) {
			mapping = RB_RIGHT(mapping, node);
		} else {
			return mapping;
		}
	}
	return above;
}

struct mapping *space__next(const struct mapping *mapping)
{
	return mapping_tree_RB_NEXT((struct mapping *)mapping);
}

struct mapping *piece__previous(const struct mapping *piece)
{
	return mapping_tree_RB_PREV((struct mapping *)piece);
}

struct origin *origin__new(struct space *space)
{
	struct origin *origin = space->free_origins;

	if (origin) {
		space->free_origins = origin->twin;
		space->free_origin_count--;
	} else {
		origin = malloc(sizeof(*origin));
		if (!origin)
			return NULL;
	}
	*origin = (struct origin){.id = space->next_origin++, .stack = -1};
	return origin;
}

void origin__free(struct space *space, struct origin *origin)
{
	if (origin == space->heap)
		space->heap = NULL;
	free(origin->path);
	if (space->free_origin_count >= FREE_NODES_MAX) {
		free(origin);
		return;
	}
	origin->path = NULL;
	origin->twin = space->free_origins;
	space->free_origins = origin;
	space->free_origin_count++;
}

static struct mapping *new_node(struct space *space)
{
	struct mapping *piece = space->free_mappings;

	if (!piece)
		return malloc(sizeof(*piece));
	space->free_mappings = RB_RIGHT(piece, node);
	space->free_mapping_count--;
	return piece;
}

static void free_node(struct space *space, struct mapping *piece)
{
	if (space->free_mapping_count >= FREE_NODES_MAX) {
		free(piece);
		return;
	}
	RB_RIGHT(piece, node) = space->free_mappings;
	space->free_mappings = piece;
	space->free_mapping_count++;
}

static void count_in(struct space *space, const struct mapping *piece)
{
	struct origin *origin = piece->origin;
	uint64_t bytes = piece->end - piece->start;

	if (!origin->live_bytes || piece->start < origin->address)
		origin->address = piece->start;
	space->mapped_bytes += bytes;
	origin->live_bytes += bytes;
	if ((piece->prot & PROT_COMMITTED) == PROT_COMMITTED)
		origin->committed_bytes += bytes;
}

/* The lowest address is not looked after here: what follows may lie anywhere. */
static void count_out(struct space *space, const struct mapping *piece)
{
	uint64_t bytes = piece->end - piece->start;

	space->mapped_bytes -= bytes;
	piece->origin->live_bytes -= bytes;
	if ((piece->prot & PROT_COMMITTED) == PROT_COMMITTED)
		piece->origin->committed_bytes -= bytes;
}

/*
 * The lowest piece of an origin is about to leave it. The next one mostly is its neighbour; only
 * after an mremap of a part do the pieces of one origin lie apart.
 */
static void leave_address(const struct mapping *piece)
{
	struct origin *origin = piece->origin;
	const struct mapping *next = piece;

	if (origin->address != piece->start || origin->live_bytes == piece->end - piece->start)
		return;
	while ((next = space__next(next))) {
		if (next->origin == origin) {
			origin->address = next->start;
			return;
		}
	}
}

struct mapping *piece__new(struct space *space, uint64_t start, uint64_t end, uint32_t prot,
			   struct origin *origin)
{
	struct mapping *piece = new_node(space);

	if (!piece)
		return NULL;
	piece->start = start;
	piece->end = end;
	piece->prot = prot;
	piece->origin = origin;
	mapping_tree_RB_INSERT(&space->mappings, piece);
	origin->pieces++;
	space->mapping_count++;
	count_in(space, piece);
	return piece;
}

void piece__detach(struct space *space, struct mapping *piece)
{
	leave_address(piece);
	mapping_tree_RB_REMOVE(&space->mappings, piece);
	space->mapping_count--;
	count_out(space, piece);
}

void piece__release(struct space *space, struct mapping *piece)
{
	if (!--piece->origin->pieces)
		origin__free(space, piece->origin);
	free_node(space, piece);
}

void piece__remove(struct space *space, struct mapping *piece)
{
	piece__detach(space, piece);
	piece__release(space, piece);
}

struct mapping *piece__split(struct space *space, struct mapping *piece, uint64_t at)
{
	struct mapping *upper = new_node(space);

	if (!upper)
		return NULL;
	/* The sums stay: what one loses the other has. */
	*upper = (struct mapping){
		.start = at, .end = piece->end, .prot = piece->prot, .origin = piece->origin};
	piece->end = at;
	mapping_tree_RB_INSERT(&space->mappings, upper);
	piece->origin->pieces++;
	space->mapping_count++;
	return upper;
}

void piece__resize(struct space *space, struct mapping *piece, uint64_t start, uint64_t end)
{
	struct origin *origin = piece->origin;
	bool lowest = origin->address == piece->start;

	count_out(space, piece);
	piece->start = start;
	piece->end = end;
	count_in(space, piece);
	if (lowest)
		origin->address = start;
}

void piece__set_prot(struct space *space, struct mapping *piece, uint32_t prot)
{
	uint64_t bytes = piece->end - piece->start;

	if ((piece->prot & PROT_COMMITTED) == PROT_COMMITTED)
		piece->origin->committed_bytes -= bytes;
	piece->prot = prot;
	if ((prot & PROT_COMMITTED) == PROT_COMMITTED)
		piece->origin->committed_bytes += bytes;
}

void piece__set_origin(struct space *space, struct mapping *piece, struct origin *origin)
{
	struct origin *old = piece->origin;

	leave_address(piece);
	count_out(space, piece);
	piece->origin = origin;
	origin->pieces++;
	count_in(space, piece);
	if (!--old->pieces)
		origin__free(space, old);
}

/* Joins two neighbours; the upper one goes. The origin's sums and address do not change. */
static void absorb(struct space *space, struct mapping *lower, struct mapping *upper)
{
	mapping_tree_RB_REMOVE(&space->mappings, upper);
	space->mapping_count--;
	lower->end = upper->end;
	upper->origin->pieces--;
	free_node(space, upper);
}

static bool joins(const struct mapping *lower, const struct mapping *upper)
{
	return lower && upper && lower->end == upper->start && lower->origin == upper->origin &&
	       lower->prot == upper->prot;
}

struct mapping *piece__join(struct space *space, struct mapping *piece)
{
	struct mapping *lower = piece__previous(piece), *upper;

	if (joins(lower, piece)) {
		absorb(space, lower, piece);
		piece = lower;
	}
	upper = space__next(piece);
	if (joins(piece, upper))
		absorb(space, piece, upper);
	return piece;
}

int space__cut_edges(struct space *space, uint64_t start, uint64_t end)
{
	struct mapping *piece = space__find(space, start);

	if (piece && piece->start < start && !piece__split(space, piece, start))
		return -ENOMEM;
	piece = space__find(space, end);
	if (piece && piece->start < end && !piece__split(space, piece, end))
		return -ENOMEM;
	return 0;
}

int space__fill(struct space *space, uint64_t start, uint64_t end, uint32_t prot,
		struct origin *origin)
{
	struct mapping *piece = space__find(space, start), *filled;

	while (start < end) {
		uint64_t stop = piece && piece->start < end ? piece->start : end;

		if (stop > start) {
			filled = piece__new(space, start, stop, prot, origin);
			if (!filled)
				return -ENOMEM;
			piece = piece__join(space, filled);
		}
		start = piece->end;
		piece = space__next(piece);
	}
	return 0;
}

int space__set_prot(struct space *space, uint64_t start, uint64_t end, uint32_t prot, bool *whole)
{
	struct mapping *piece, *first;
	uint64_t covered = 0;
	int err;

	err = space__cut_edges(space, start, end);
	if (err)
		return err;
	first = space__find(space, start);
	for (piece = first; piece && piece->start < end; piece = space__next(piece)) {
		covered += piece->end - piece->start;
		if (piece->prot != prot)
			piece__set_prot(space, piece, prot);
	}
	/* Up to the one that begins at the end: a join only takes in one neighbour on each side. */
	for (piece = first; piece && piece->start <= end; piece = space__next(piece))
		piece = piece__join(space, piece);
	if (whole)
		*whole = covered == end - start;
	return 0;
}
