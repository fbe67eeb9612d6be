/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_LIVE_SPACES_H
#define MEMDRIFT_MODEL_LIVE_SPACES_H

#include "memdrift/live.h"
#include "model/live_view.h"

/*
 * The address spaces of the live set, and what each entry of the table means for which of them. A
 * fork copies a space without copying entries: the child's begin with what of the parent's is
 * older than the fork. What the parent frees afterwards stays in the table, marked with the epoch,
 * until the child's share has been made out here; what the child frees of it leaves a tombstone.
 *
 * A reading is one pass over the table: begin, entry by entry, end.
 */
struct live_spaces;

/* Entries that forked children may have from their parents, in all; 56 bytes each. Children beyond
 * that are incomplete and counted. */
#define LIVE_INHERITED_MAX (2u << 20)

struct live_spaces *live_spaces__new(void);
void live_spaces__free(struct live_spaces *spaces);

/*
 * Items that are kept of spaces that nobody runs in any more, 24 bytes each: when there are more,
 * later ones keep none.
 */
#define LIVE_ITEMS_KEPT_MAX (4u << 20)

/* The view of a space, or NULL. */
struct live_view *live_spaces__view(const struct live_spaces *spaces, uint32_t id);
/*
 * A space that was not known. parent and parent_epoch: as the kernel keeps them (parent 0: none).
 * inherits: its process is known since the fork, so that what it frees of its parent's is known.
 * Its view (no reference is given), or NULL when memory is out.
 */
struct live_view *live_spaces__track(struct live_spaces *spaces, uint32_t id, uint32_t parent,
				     uint32_t parent_epoch, bool inherits, double since_s);
/* Nobody runs in it any more: it is read once more, then its entries go. */
void live_spaces__left(struct live_spaces *spaces, uint32_t id);

/* Frees are missed from now on: nothing more can be said of it, and its entries go. */
void live_spaces__stop(struct live_spaces *spaces, uint32_t id, double at_s);

struct live_reading {
	void *ctx;
	double now_s;
	bool ages;
	const struct live_filter *filter; /* see live_view__begin */
	bool keeps_items;                 /* of readings with ages: see struct live_view */
	/* Seconds of the trace of a struct live_value's time. */
	double (*seconds)(void *ctx, uint32_t time);
	/* The epoch of a space by now. */
	uint32_t (*epoch)(void *ctx, uint32_t id);
	/* No entry of the space that is freed from now on needs to be kept, unless it forked again
	 * since its epoch was asked. */
	void (*forget)(void *ctx, uint32_t id, uint32_t epoch);
	/* Its entries are gone. */
	void (*release)(void *ctx, uint32_t id);
};

void live_spaces__begin(struct live_spaces *spaces, const struct live_reading *reading);
/* True: the slot may be emptied. */
bool live_spaces__entry(struct live_spaces *spaces, const struct live_reading *reading,
			uint64_t key, const struct live_value *value, double weight);
/* How many children lost what they had from their parents. */
uint32_t live_spaces__end(struct live_spaces *spaces, const struct live_reading *reading);

#endif
