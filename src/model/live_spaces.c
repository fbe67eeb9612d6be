// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "model/live_spaces.h"

#include <stdlib.h>
#include <string.h>

/* An entry of a parent that children may have: alive in the epochs [born, gone). */
struct kept_item {
	struct live_item item;
	uint32_t born, gone;
};

struct tombstone {
	uint64_t pointer;
	uint32_t epoch; /* in which it was freed */
};

struct space_state {
	uint32_t id;
	struct live_view *view;
	uint32_t parent, parent_epoch;
	bool copied; /* what it has from its parent was made out */
	bool left;
	bool dead;    /* its entries go in this pass */
	bool stopped; /* and what it has no say in */
	/* Of this pass. */
	bool has_children; /* some whose share is not made out */
	uint32_t epoch;
	struct kept_item *kept;
	size_t kept_count, kept_room;
	struct tombstone *tombstones;
	size_t tombstone_count, tombstone_room;
	/* Freed entries that were gone by this epoch are of no use to anybody. */
	uint32_t useless_to;
	struct kept_item *inherited; /* born 0 */
	size_t inherited_count;
	struct space_state *next;
};

struct live_spaces {
	struct space_state *by_id[LIVE_SPACES_MAX];
	/* Of each space: when there are as many as it has forked, all of them are known. */
	uint32_t children[LIVE_SPACES_MAX];
	struct space_state *first;
	size_t inherited_count;
	size_t items_kept; /* of dead spaces */
	uint32_t dropped;
};

struct live_spaces *live_spaces__new(void)
{
	return calloc(1, sizeof(struct live_spaces));
}

static void free_state(struct live_spaces *spaces, struct space_state *state)
{
	spaces->inherited_count -= state->inherited_count;
	spaces->by_id[state->id] = NULL;
	live_view__unref(state->view);
	free(state->kept);
	free(state->tombstones);
	free(state->inherited);
	free(state);
}

void live_spaces__free(struct live_spaces *spaces)
{
	while (spaces && spaces->first) {
		struct space_state *state = spaces->first;

		spaces->first = state->next;
		free_state(spaces, state);
	}
	free(spaces);
}

struct live_view *live_spaces__view(const struct live_spaces *spaces, uint32_t id)
{
	return id < LIVE_SPACES_MAX && spaces->by_id[id] ? spaces->by_id[id]->view : NULL;
}

struct live_view *live_spaces__track(struct live_spaces *spaces, uint32_t id, uint32_t parent,
				     uint32_t parent_epoch, bool inherits, double since_s)
{
	struct space_state *state;

	if (!id || id >= LIVE_SPACES_MAX)
		return NULL;
	state = calloc(1, sizeof(*state));
	if (!state)
		return NULL;
	state->view = live_view__new(since_s);
	if (!state->view) {
		free(state);
		return NULL;
	}
	state->id = id;
	state->parent = parent < LIVE_SPACES_MAX ? parent : 0;
	state->parent_epoch = parent_epoch;
	state->copied = !state->parent || !inherits;
	/* Another space may have a number that its parent had. */
	if (state->parent && spaces->by_id[state->parent] && !spaces->by_id[state->parent]->dead)
		spaces->children[state->parent]++;
	state->next = spaces->first;
	spaces->first = spaces->by_id[id] = state;
	return state->view;
}

void live_spaces__left(struct live_spaces *spaces, uint32_t id)
{
	if (id < LIVE_SPACES_MAX && spaces->by_id[id])
		spaces->by_id[id]->left = true;
}

void live_spaces__stop(struct live_spaces *spaces, uint32_t id, double at_s)
{
	struct space_state *state = id < LIVE_SPACES_MAX ? spaces->by_id[id] : NULL;

	if (!state || state->stopped)
		return;
	state->stopped = true;
	state->view->stopped_s = at_s;
}

void live_spaces__begin(struct live_spaces *spaces, const struct live_reading *reading)
{
	spaces->dropped = 0;
	for (struct space_state *state = spaces->first; state; state = state->next) {
		state->has_children = false;
		state->kept_count = state->tombstone_count = 0;
		state->epoch = reading->epoch(reading->ctx, state->id);
	}
	for (struct space_state *state = spaces->first; state; state = state->next) {
		if (!state->copied && spaces->by_id[state->parent])
			spaces->by_id[state->parent]->has_children = true;
		if (state->dead)
			continue;
		state->view->keeps_items =
			reading->keeps_items && spaces->items_kept < LIVE_ITEMS_KEPT_MAX;
		live_view__begin(state->view, reading->ages || state->left, reading->filter,
				 reading->now_s);
	}
}

static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *grown;

	if (count < *room)
		return true;
	grown = realloc(*array, more * size);
	if (!grown)
		return false;
	*array = grown;
	*room = more;
	return true;
}

static void keep_item(struct space_state *state, const struct live_item *item, uint32_t born,
		      uint32_t gone)
{
	if (!grow((void **)&state->kept, state->kept_count, &state->kept_room,
		  sizeof(*state->kept))) {
		state->view->failed = true;
		return;
	}
	state->kept[state->kept_count++] = (struct kept_item){*item, born, gone};
}

static void keep_tombstone(struct space_state *state, uint64_t pointer, uint32_t epoch)
{
	if (!grow((void **)&state->tombstones, state->tombstone_count, &state->tombstone_room,
		  sizeof(*state->tombstones))) {
		state->view->failed = true;
		return;
	}
	state->tombstones[state->tombstone_count++] = (struct tombstone){pointer, epoch};
}

bool live_spaces__entry(struct live_spaces *spaces, const struct live_reading *reading,
			uint64_t key, const struct live_value *value, double weight)
{
	uint32_t id = LIVE_KEY_SPACE(key);
	struct space_state *state = id < LIVE_SPACES_MAX ? spaces->by_id[id] : NULL;
	struct live_item item = {
		.pointer = LIVE_KEY_POINTER(key),
		.size = value->size & LIVE_SIZE_MASK,
		.weight = weight,
		.stack = value->stack,
	};

	if (!state)
		return false;
	if (state->dead || state->stopped)
		return true;
	if (key & LIVE_MARKED && value->gone == LIVE_TOMBSTONE) {
		keep_tombstone(state, item.pointer, value->born);
		return false;
	}
	item.born_s = reading->seconds(reading->ctx, value->time);
	if (key & LIVE_MARKED && value->gone != LIVE_MOVING) {
		if (state->has_children)
			keep_item(state, &item, value->born, value->gone);
		return value->gone <= state->useless_to;
	}
	live_view__add(state->view, &item, false);
	if (state->has_children)
		keep_item(state, &item, value->born, UINT32_MAX);
	return false;
}

static int compare_tombstones(const void *a, const void *b)
{
	const struct tombstone *x = a, *y = b;

	if (x->pointer != y->pointer)
		return x->pointer > y->pointer ? 1 : -1;
	return (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

/* Whether the process has freed what it inherited, up to that epoch. */
static bool was_freed(const struct space_state *state, uint64_t pointer, uint32_t epoch)
{
	size_t low = 0, high = state->tombstone_count;

	/* The first with this pointer: the oldest epoch. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (state->tombstones[middle].pointer < pointer)
			low = middle + 1;
		else
			high = middle;
	}
	return low < state->tombstone_count && state->tombstones[low].pointer == pointer &&
	       state->tombstones[low].epoch <= epoch;
}

static bool inherit(struct live_spaces *spaces, struct space_state *child,
		    const struct kept_item *kept, size_t *room)
{
	if (spaces->inherited_count == LIVE_INHERITED_MAX ||
	    !grow((void **)&child->inherited, child->inherited_count, room, sizeof(*kept)))
		return false;
	child->inherited[child->inherited_count++] = *kept;
	spaces->inherited_count++;
	return true;
}

/* What the parent had when the child was forked. */
static void copy_share(struct live_spaces *spaces, struct space_state *child)
{
	struct space_state *parent = spaces->by_id[child->parent];
	uint32_t epoch = child->parent_epoch;
	bool complete = parent && !parent->dead && !parent->stopped && !parent->view->failed;
	size_t room = 0;

	if (child->copied)
		return;
	child->copied = true;
	if (complete && !parent->copied)
		copy_share(spaces, parent);
	for (size_t i = 0; complete && i < parent->kept_count; i++)
		if (parent->kept[i].born <= epoch && parent->kept[i].gone > epoch)
			complete = inherit(spaces, child, &parent->kept[i], &room);
	for (size_t i = 0; complete && i < parent->inherited_count; i++)
		if (!was_freed(parent, parent->inherited[i].item.pointer, epoch))
			complete = inherit(spaces, child, &parent->inherited[i], &room);
	if (complete && !parent->view->incomplete)
		return;
	child->view->incomplete = true;
	spaces->dropped++;
}

static void add_inherited(struct space_state *state)
{
	state->view->inherited_frees = 0;
	for (size_t i = 0; i < state->inherited_count; i++) {
		if (was_freed(state, state->inherited[i].item.pointer, UINT32_MAX))
			state->view->inherited_frees++;
		else
			live_view__add(state->view, &state->inherited[i].item, true);
	}
}

/*
 * All of its children have their shares: what it frees from now on is of no use, and what it had
 * freed goes with the next pass. A child whose fork nobody told of yet keeps things as they are.
 */
static void end_children(const struct live_spaces *spaces, struct space_state *state,
			 const struct live_reading *reading)
{
	if (!state->dead && state->epoch > state->useless_to &&
	    spaces->children[state->id] >= state->epoch) {
		state->useless_to = state->epoch;
		reading->forget(reading->ctx, state->id, state->epoch);
	}
	free(state->kept);
	state->kept = NULL;
	state->kept_count = state->kept_room = 0;
}

static void end_state(struct live_spaces *spaces, struct space_state *state,
		      const struct live_reading *reading)
{
	if (state->dead)
		return;
	if (!state->stopped) {
		add_inherited(state);
		live_view__end(state->view);
	}
	if (state->left) {
		state->view->final = true;
		state->dead = true;
		for (const struct live_group *group = state->view->groups; group;
		     group = group->hh.next)
			spaces->items_kept += group->born_count;
	}
}

uint32_t live_spaces__end(struct live_spaces *spaces, const struct live_reading *reading)
{
	struct space_state **at = &spaces->first, *state;

	for (state = spaces->first; state; state = state->next)
		if (state->tombstone_count)
			qsort(state->tombstones, state->tombstone_count, sizeof(*state->tombstones),
			      compare_tombstones);
	for (state = spaces->first; state; state = state->next)
		copy_share(spaces, state);
	while ((state = *at)) {
		bool was_dead = state->dead;

		end_children(spaces, state, reading);
		end_state(spaces, state, reading);
		if (!was_dead) {
			at = &state->next;
			continue;
		}
		*at = state->next;
		reading->release(reading->ctx, state->id);
		spaces->children[state->id] = 0;
		free_state(spaces, state);
	}
	return spaces->dropped;
}
