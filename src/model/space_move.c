// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Ranges that move: mremap, and what a call under way has taken out; the brk area; carving. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/space_impl.h"

struct moved_range {
	struct space *space; /* whose nodes these are; not counted as a user */
	uint64_t start;
	uint64_t end;
	uint64_t bytes;
	struct mapping *first; /* by address, linked through the right pointer of their nodes */
};

static struct mapping *pop_piece(struct moved_range *moved)
{
	struct mapping *piece = moved->first;

	if (piece)
		moved->first = RB_RIGHT(piece, node);
	return piece;
}

struct moved_range *space__take(struct space *space, uint64_t addr, uint64_t len)
{
	uint64_t end = range__end(addr, len);
	struct mapping *piece, *next, *last = NULL;
	struct moved_range *moved;

	if (!end)
		return NULL;
	moved = malloc(sizeof(*moved));
	if (!moved)
		return NULL;
	if (space__cut_edges(space, addr, end)) {
		free(moved);
		return NULL;
	}
	*moved = (struct moved_range){.space = space, .start = addr, .end = end};
	for (piece = space__find(space, addr); piece && piece->start < end; piece = next) {
		next = space__next(piece);
		piece__detach(space, piece);
		RB_RIGHT(piece, node) = NULL;
		if (last)
			RB_RIGHT(last, node) = piece;
		else
			moved->first = piece;
		last = piece;
		moved->bytes += piece->end - piece->start;
	}
	return moved;
}

void moved_range__free(struct moved_range *moved)
{
	struct mapping *piece;

	if (!moved)
		return;
	while ((piece = pop_piece(moved)))
		piece__release(moved->space, piece);
	free(moved);
}

uint64_t moved_range__bytes(const struct moved_range *moved)
{
	return moved->bytes;
}

bool moved_range__covers(const struct moved_range *moved, uint64_t len)
{
	uint64_t end = moved->end - moved->start < len ? moved->end : moved->start + len;
	uint64_t pos = moved->start;

	for (const struct mapping *piece = moved->first; piece && pos < end;
	     piece = RB_RIGHT(piece, node)) {
		if (piece->start > pos)
			return false;
		pos = piece->end;
	}
	return pos >= end;
}

int space__put_back(struct space *space, struct moved_range *moved)
{
	struct mapping *piece;
	int err = 0;

	while ((piece = pop_piece(moved))) {
		if (!err)
			err = space__fill(space, piece->start, piece->end, piece->prot,
					  piece->origin);
		piece__release(space, piece);
	}
	free(moved);
	return err;
}

int space__place(struct space *space, struct moved_range *moved, uint64_t new_addr,
		 uint64_t new_len)
{
	uint64_t new_end = range__end(new_addr, new_len), old_end = moved->end - moved->start;
	struct mapping *piece;
	int err = 0;

	if (!new_end || !moved->first) {
		moved_range__free(moved);
		if (!new_end)
			return -EINVAL;
		return space__covers(space, new_addr, new_len) ? 0 : -ENOENT;
	}
	if (space__unmap(space, new_addr, new_end - new_addr, NULL))
		space->contradictions++;
	while ((piece = pop_piece(moved))) {
		uint64_t start = new_addr + (piece->start - moved->start);
		uint64_t end = new_addr + (piece->end - moved->start);

		/* A longer range continues its last piece. */
		if (!moved->first && piece->end - moved->start == old_end && end < new_end)
			end = new_end;
		if (end > new_end)
			end = new_end;
		if (!err && start < end)
			err = space__fill(space, start, end, piece->prot, piece->origin);
		piece__release(space, piece);
	}
	free(moved);
	return err;
}

static uint64_t page_up(uint64_t n)
{
	return (n + SPACE_PAGE_BYTES - 1) & ~(SPACE_PAGE_BYTES - 1);
}

static int grow_heap(struct space *space, uint64_t start, uint64_t end, uint64_t time_ns,
		     uint32_t tid)
{
	struct origin *heap;
	int err;

	if (space__unmap(space, start, end - start, NULL))
		space->contradictions++;
	heap = space->heap;
	if (!heap) {
		heap = origin__new(space);
		if (!heap)
			return -ENOMEM;
		heap->created_ns = time_ns;
		heap->tid = tid;
		heap->map_flags = MAP_PRIVATE | MAP_ANONYMOUS;
		heap->first_prot = PROT_READ | PROT_WRITE;
		heap->is_heap = true;
		space->heap = heap;
	}
	err = space__fill(space, start, end, PROT_READ | PROT_WRITE, heap);
	if (err && !heap->pieces)
		origin__free(space, heap);
	else if (heap->live_bytes > heap->created_bytes)
		heap->created_bytes = heap->live_bytes;
	return err;
}

int space__learn_brk(struct space *space, uint64_t brk)
{
	uint64_t end = page_up(brk);

	if (!brk || end > SPACE_ADDRESS_MAX || end < brk)
		return -EINVAL;
	space->brk_end = end;
	space->brk_guessed = false;
	if (!space->brk_start || end < space->brk_start)
		space->brk_start = end;
	return 0;
}

int space__set_brk(struct space *space, uint64_t brk, uint64_t time_ns, uint32_t tid)
{
	uint64_t before = space->brk_end;
	int err = space__learn_brk(space, brk);

	if (err)
		return err;
	if (!before)
		return -ENOENT;
	if (space->brk_end > before)
		return grow_heap(space, before, space->brk_end, time_ns, tid);
	/* As the kernel does, whatever has been mapped over it. */
	space__unmap(space, space->brk_end, before - space->brk_end, NULL);
	return 0;
}

int space__carve(struct space *space, uint64_t start, uint64_t end)
{
	struct mapping *piece = space__find(space, start), *next;
	struct origin *origin;

	if (start % SPACE_PAGE_BYTES || end % SPACE_PAGE_BYTES || start >= end ||
	    !space__covers(space, start, end - start))
		return -EINVAL;
	for (next = piece; next && next->start < end; next = space__next(next)) {
		if (!origin__is_private_anonymous(next->origin))
			return -EINVAL;
	}
	if (space__cut_edges(space, start, end))
		return -ENOMEM;
	origin = origin__new(space);
	if (!origin)
		return -ENOMEM;
	piece = space__find(space, start);
	origin->created_bytes = end - start;
	origin->created_ns = piece->origin->created_ns;
	origin->tid = piece->origin->tid;
	origin->stack = piece->origin->stack;
	origin->map_flags = piece->origin->map_flags;
	origin->first_prot = piece->origin->first_prot;
	origin->before_trace = piece->origin->before_trace;
	origin->found_late = piece->origin->found_late;
	for (; piece && piece->start < end; piece = next) {
		next = space__next(piece);
		piece__set_origin(space, piece, origin);
	}
	return 0;
}
