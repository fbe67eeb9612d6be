// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Makes a space equal to what /proc showed, with as little loss of what is known as possible. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/space_impl.h"

/* glibc's HEAP_MAX_SIZE and Go's heapArenaBytes on 64-bit Linux. */
#define RESERVATION_BYTES (64ull << 20)

enum edit_kind { EDIT_ADD, EDIT_REMOVE, EDIT_PROTECT, EDIT_REPLACE, EDIT_NAME };

struct edit {
	uint64_t start;
	uint64_t end;
	enum edit_kind kind;
	const struct maps_entry *entry;
};

/* The walk must not change the space, so what it finds is listed first. */
struct edits {
	struct edit *items;
	size_t n;
	size_t room;
};

static int add_edit(struct edits *edits, const struct edit *edit)
{
	struct edit *last = edits->n ? &edits->items[edits->n - 1] : NULL;

	if (last && last->end == edit->start && last->kind == edit->kind &&
	    last->entry == edit->entry) {
		last->end = edit->end;
		return 0;
	}
	if (edits->n == edits->room) {
		size_t room = edits->room ? edits->room * 2 : 64;
		struct edit *items = realloc(edits->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		edits->items = items;
		edits->room = room;
	}
	edits->items[edits->n++] = *edit;
	return 0;
}

/*
 * Shared anonymous memory and anonymous huge pages are files of the kernel's own underneath
 * (mm/shmem.c: shmem_zero_setup, mm/mmap.c: hugetlb_file_setup).
 */
static bool is_anonymous(const struct maps_entry *entry)
{
	if (!entry->inode)
		return true;
	return !strcmp(entry->path, "/dev/zero (deleted)") ||
	       !strcmp(entry->path, "/anon_hugepage (deleted)") ||
	       !strncmp(entry->path, "[anon_shmem:", strlen("[anon_shmem:"));
}

static bool same_kind(const struct origin *origin, const struct maps_entry *entry)
{
	return !(origin->map_flags & MAP_ANONYMOUS) == !is_anonymous(entry);
}

static bool wants_name(const struct origin *origin, const struct maps_entry *entry)
{
	return !is_anonymous(entry) && (!origin->path || strcmp(origin->path, entry->path));
}

/* What is to be done with the span; false: nothing. */
static bool choose_edit(const struct space_span *span, struct edit *edit)
{
	*edit = (struct edit){.start = span->start, .end = span->end, .entry = span->entry};
	if (!span->entry)
		edit->kind = EDIT_REMOVE;
	else if (!span->mapping)
		edit->kind = EDIT_ADD;
	else if (!same_kind(span->mapping->origin, span->entry))
		edit->kind = EDIT_REPLACE;
	else if (span->mapping->prot != span->entry->prot)
		edit->kind = EDIT_PROTECT;
	else if (wants_name(span->mapping->origin, span->entry))
		edit->kind = EDIT_NAME;
	else
		return false;
	return true;
}

/* Enters the edit for what of it lies in no range of `except`, which is sorted. */
static int add_outside(struct edits *edits, struct edit edit, const struct address_range *except,
		       size_t n)
{
	uint64_t end = edit.end;
	int err;

	for (size_t i = 0; i < n && edit.start < end; i++) {
		if (except[i].end <= edit.start || except[i].start >= end)
			continue;
		if (except[i].start > edit.start) {
			edit.end = except[i].start;
			err = add_edit(edits, &edit);
			if (err)
				return err;
		}
		edit.start = except[i].end;
	}
	edit.end = end;
	return edit.start < end ? add_edit(edits, &edit) : 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct address_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int list_edits(struct edits *edits, const struct space *space,
		      const struct maps_entry *entries, size_t n, struct address_range within,
		      const struct address_range *except, size_t n_except)
{
	struct space_walk walk;
	struct space_span span;
	struct edit edit;
	int err = 0;

	space_walk__init(&walk, space, entries, n);
	while (!err && space_walk__next(&walk, &span)) {
		if (!choose_edit(&span, &edit))
			continue;
		if (edit.start < within.start)
			edit.start = within.start;
		if (edit.end > within.end)
			edit.end = within.end;
		if (edit.start < edit.end)
			err = add_outside(edits, edit, except, n_except);
	}
	return err;
}

static int set_name(struct origin *origin, const struct maps_entry *entry)
{
	char *path = strdup(entry->path);

	if (!path)
		return -ENOMEM;
	free(origin->path);
	origin->path = path;
	return 0;
}

static struct origin *new_origin(struct space *space, const struct edit *edit)
{
	const struct maps_entry *entry = edit->entry;
	struct origin *origin = origin__new(space);

	if (!origin)
		return NULL;
	if (!is_anonymous(entry) && set_name(origin, entry)) {
		origin__free(space, origin);
		return NULL;
	}
	origin->created_bytes = edit->end - edit->start;
	origin->file_offset = entry->offset + (edit->start - entry->start);
	origin->map_flags = entry->shared ? MAP_SHARED : MAP_PRIVATE;
	if (is_anonymous(entry)) {
		origin->map_flags |= MAP_ANONYMOUS;
		origin->file_offset = 0;
	}
	if (!strcmp(entry->path, "[stack]"))
		origin->map_flags |= MAP_GROWSDOWN;
	origin->first_prot = entry->prot;
	if (space->seeded) {
		origin->found_late = true;
		origin->created_ns = space->read_ns;
	} else if (space->born_ns) {
		origin->created_ns = space->born_ns;
	} else {
		origin->before_trace = true;
	}
	return origin;
}

static int add_piece(struct space *space, const struct edit *edit, struct origin *origin)
{
	if (space->mapping_count >= SPACE_MAPPINGS_MAX) {
		if (!origin->pieces)
			origin__free(space, origin);
		return -ENOSPC;
	}
	if (!piece__new(space, edit->start, edit->end, edit->entry->prot, origin)) {
		if (!origin->pieces)
			origin__free(space, origin);
		return -ENOMEM;
	}
	return 0;
}

/* The brk area is one origin, whatever lines it is shown as. */
static int add_heap(struct space *space, const struct edit *edit)
{
	struct edit below = *edit, heap = *edit;
	struct origin *origin;
	int err = 0;

	/*
	 * Until kernel 6.6 a line that only touches the area was called [heap] too, such as the
	 * .bss under it (fs/proc/task_mmu.c), and may have been merged with it.
	 */
	if (space->brk_start > edit->start) {
		below.end = edit->end < space->brk_start ? edit->end : space->brk_start;
		heap.start = below.end;
		origin = new_origin(space, &below);
		err = origin ? add_piece(space, &below, origin) : -ENOMEM;
	}
	if (err || heap.start >= heap.end)
		return err;
	origin = space->heap ? space->heap : new_origin(space, &heap);
	if (!origin)
		return -ENOMEM;
	origin->is_heap = true;
	err = add_piece(space, &heap, origin);
	if (err)
		return err;
	space->heap = origin;
	if (origin->live_bytes > origin->created_bytes)
		origin->created_bytes = origin->live_bytes;
	piece__join(space, space__find(space, heap.start));
	return 0;
}

static int apply_add(struct space *space, const struct edit *edit, bool *counts)
{
	struct space_span span = {.start = edit->start, .end = edit->end, .entry = edit->entry};
	struct origin *origin;

	if (space_span__is_stack_growth(space, &span)) {
		struct mapping *stack = space__find(space, edit->end);

		piece__resize(space, stack, edit->start, stack->end);
		*counts = false;
		return 0;
	}
	if (!strcmp(edit->entry->path, "[heap]"))
		return add_heap(space, edit);
	origin = new_origin(space, edit);
	return origin ? add_piece(space, edit, origin) : -ENOMEM;
}

static int apply_edit(struct space *space, const struct edit *edit, bool *counts)
{
	struct mapping *piece;
	int err = 0;

	switch (edit->kind) {
	case EDIT_REMOVE:
		space__unmap(space, edit->start, edit->end - edit->start, NULL);
		return 0;
	case EDIT_PROTECT:
		return space__set_prot(space, edit->start, edit->end, edit->entry->prot, NULL);
	case EDIT_REPLACE:
		space__unmap(space, edit->start, edit->end - edit->start, NULL);
		return apply_add(space, edit, counts);
	case EDIT_ADD:
		return apply_add(space, edit, counts);
	case EDIT_NAME:
		*counts = false;
		piece = space__find(space, edit->start);
		for (; !err && piece && piece->start < edit->end; piece = space__next(piece)) {
			if (wants_name(piece->origin, edit->entry))
				err = set_name(piece->origin, edit->entry);
		}
		return err;
	}
	return 0;
}

/*
 * A reservation of which a beginning is in use: readable and writable memory from a multiple of
 * 64 MiB on, and nothing but inaccessible memory from there to the next multiple. It was asked for
 * at one time, whatever /proc merged it with.
 */
static int group_reservations(struct space *space)
{
	struct mapping *rest, *used;
	int err = 0;

	for (used = space__find(space, 0); used && !err; used = space__next(used)) {
		uint64_t base = used->end / RESERVATION_BYTES * RESERVATION_BYTES;

		rest = space__next(used);
		if (!rest || rest->start != used->end || rest->prot != PROT_NONE ||
		    used->prot != (PROT_READ | PROT_WRITE) || base == used->end ||
		    used->start > base || rest->end < base + RESERVATION_BYTES ||
		    used->origin->is_heap || !used->origin->before_trace ||
		    !rest->origin->before_trace || !origin__is_private_anonymous(used->origin) ||
		    !origin__is_private_anonymous(rest->origin))
			continue;
		err = space__carve(space, base, base + RESERVATION_BYTES);
		used = space__find(space, base);
	}
	return err;
}

/* What the events say of the break is exact; the lines only show what is mapped up to it. */
static void guess_break(struct space *space, const struct maps_entry *entries, size_t n)
{
	uint64_t start = 0, end = 0;

	if (space->brk_end && !space->brk_guessed)
		return;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(entries[i].path, "[heap]"))
			continue;
		if (!start)
			start = entries[i].start;
		end = entries[i].end;
	}
	if (!space->brk_start)
		space->brk_start = start;
	space->brk_end = end > space->brk_start ? end : space->brk_start;
	space->brk_guessed = true;
}

int space__reconcile(struct space *space, const struct maps_entry *entries, size_t n, uint64_t from,
		     uint64_t to, const struct address_range *except, size_t n_except)
{
	struct address_range within = {from, to}, *sorted = NULL;
	bool all = !from && to == UINT64_MAX;
	struct edits edits = {0};
	int differed = 0, err, first_err = 0;

	if (n_except) {
		sorted = malloc(n_except * sizeof(*sorted));
		if (!sorted)
			return -ENOMEM;
		memcpy(sorted, except, n_except * sizeof(*sorted));
		qsort(sorted, n_except, sizeof(*sorted), compare_ranges);
	}
	err = list_edits(&edits, space, entries, n, within, sorted, n_except);
	for (size_t i = 0; !err && i < edits.n; i++) {
		bool counts = true;
		int failed = apply_edit(space, &edits.items[i], &counts);

		if (failed && !first_err)
			first_err = failed;
		differed += counts;
	}
	if (!err && all && !space->seeded)
		err = group_reservations(space);
	if (!err && all) {
		guess_break(space, entries, n);
		space->seeded = true;
	}
	free(edits.items);
	free(sorted);
	if (!err)
		err = first_err;
	return err ? err : differed;
}
