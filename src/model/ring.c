// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/ring.h"

/* Most processes of a host live for a few intervals only: memory for all of them comes late. */
#define FIRST_ITEMS 8

void ring__init(struct ring *ring, size_t item_bytes, uint32_t capacity)
{
	*ring = (struct ring){.item_bytes = item_bytes, .capacity = capacity};
}

void ring__free(struct ring *ring)
{
	free(ring->items);
	ring->items = NULL;
	ring->room = 0;
	ring->count = 0;
	ring->next = 0;
}

/* Before it is full for the first time the items lie in order from the start: realloc keeps them.
 */
static int make_room(struct ring *ring)
{
	uint32_t room = ring->room ? ring->room * 2 : FIRST_ITEMS;
	void *items;

	if (room > ring->capacity || room < ring->room)
		room = ring->capacity;
	items = reallocarray(ring->items, room, ring->item_bytes);
	if (!items)
		return -ENOMEM;
	ring->items = items;
	ring->room = room;
	return 0;
}

int ring__push(struct ring *ring, const void *item)
{
	if (!ring->capacity)
		return 0;
	if (ring->next == ring->room && ring->room < ring->capacity) {
		int err = make_room(ring);

		if (err)
			return err;
	}
	memcpy((char *)ring->items + ring->next * ring->item_bytes, item, ring->item_bytes);
	ring->next = (ring->next + 1) % ring->capacity;
	if (ring->count < ring->capacity)
		ring->count++;
	return 0;
}

const void *ring__at(const struct ring *ring, uint32_t i)
{
	uint32_t oldest;

	if (i >= ring->count)
		return NULL;
	oldest = ring->count < ring->capacity ? 0 : ring->next;
	return (const char *)ring->items +
	       (oldest + (uint64_t)i) % ring->capacity * ring->item_bytes;
}
