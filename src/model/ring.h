/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_RING_H
#define MEMDRIFT_MODEL_RING_H

#include <stddef.h>
#include <stdint.h>

/*
 * The last N items of one size: memory is bounded whatever the length of the run.
 * Memory comes with the pushes, up to the capacity.
 */
struct ring {
	void *items;
	size_t item_bytes;
	uint32_t capacity; /* 0: keeps nothing */
	uint32_t room;     /* items that there is memory for so far */
	uint32_t count;    /* at most capacity */
	uint32_t next;     /* where the next item goes */
};

void ring__init(struct ring *ring, size_t item_bytes, uint32_t capacity);
void ring__free(struct ring *ring);
/* Copies the item in, over the oldest when full. 0 or -ENOMEM. */
int ring__push(struct ring *ring, const void *item);
/* The i-th kept item, oldest first; NULL when i >= count. Valid until the next push. */
const void *ring__at(const struct ring *ring, uint32_t i);

#endif
