/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_SPACE_IMPL_H
#define MEMDRIFT_MODEL_SPACE_IMPL_H

#include "model/space.h"

/*
 * What the files of the address space share: pieces and origins with their sums. Every change goes
 * through these, so that mapped_bytes, live_bytes, committed_bytes and addresses stay right.
 */

/* A new origin without pieces; NULL when memory is out. Belongs to its first piece. */
struct origin *origin__new(struct space *space);
/* Gives back an origin that never got a piece, or that lost its last. */
void origin__free(struct space *space, struct origin *origin);

/* A new piece at a free place. NULL when memory is out. */
struct mapping *piece__new(struct space *space, uint64_t start, uint64_t end, uint32_t prot,
			   struct origin *origin);
/* Removes a piece; its origin goes with its last one. */
void piece__remove(struct space *space, struct mapping *piece);
/* Takes a piece out of the tree and of the sums, but not from its origin. */
void piece__detach(struct space *space, struct mapping *piece);
/* Ends a detached piece. */
void piece__release(struct space *space, struct mapping *piece);
/* Cuts in two at `at`, inside the piece; returns the upper one, NULL when memory is out. */
struct mapping *piece__split(struct space *space, struct mapping *piece, uint64_t at);
/* Moves an edge of a piece within free space or its own. */
void piece__resize(struct space *space, struct mapping *piece, uint64_t start, uint64_t end);
void piece__set_prot(struct space *space, struct mapping *piece, uint32_t prot);
void piece__set_origin(struct space *space, struct mapping *piece, struct origin *origin);
/* Joins it with neighbours of one origin and protection; returns what holds it now. */
struct mapping *piece__join(struct space *space, struct mapping *piece);
struct mapping *piece__previous(const struct mapping *piece);

/* Splits so that no piece crosses start or end. 0 or -ENOMEM. */
int space__cut_edges(struct space *space, uint64_t start, uint64_t end);
/* Fills what is free in the range with pieces of the origin. 0 or -ENOMEM. */
int space__fill(struct space *space, uint64_t start, uint64_t end, uint32_t prot,
		struct origin *origin);
/* Gives the range a protection, whatever holes it has. Sets *whole (may be NULL). 0 or -ENOMEM. */
int space__set_prot(struct space *space, uint64_t start, uint64_t end, uint32_t prot, bool *whole);

/*
 * Walks a space and the lines of /proc/PID/maps side by side: spans within which neither changes.
 * Lines that are the kernel's own and malformed ones are passed over. The space must not change.
 */
struct space_span {
	uint64_t start;
	uint64_t end;
	struct mapping *mapping;        /* NULL: the model has nothing here */
	const struct maps_entry *entry; /* NULL: /proc shows nothing here */
};

struct space_walk {
	struct mapping *mapping;
	const struct maps_entry *entries;
	size_t n;
	size_t i;
	uint64_t pos;
};

void space_walk__init(struct space_walk *walk, const struct space *space,
		      const struct maps_entry *entries, size_t n);
bool space_walk__next(struct space_walk *walk, struct space_span *span);
/* The span lies directly under a stack of the model and continues it. */
bool space_span__is_stack_growth(const struct space *space, const struct space_span *span);

#endif
