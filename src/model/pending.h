/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_PENDING_H
#define MEMDRIFT_MODEL_PENDING_H

#include "model/space.h"

/*
 * Calls that have started and removed ranges, and whose return may bring these back: an mremap
 * moves them, a MAP_FIXED mmap may turn out to commit a part of a reservation, either may fail.
 * What they removed waits here, at most one call for each thread.
 */
struct pending_call {
	uint32_t tid;
	uint64_t enter_ns;
	struct moved_range *taken;   /* the range that the call removes or moves; never NULL */
	struct moved_range *covered; /* mremap: what stood where it is told to go; may be NULL */
	struct address_range taken_from, covered_from;
	uint64_t gone_ns; /* when it was first found not to be under way any more; 0: not yet */
};

/*
 * A thread has one call under way, and a process rarely 1,000 that wait for its memory; more are
 * left over only when their return records were lost.
 */
#define PENDING_MAX 1024

/*
 * Takes both ranges (covered_len 0: only one) out of the space. An empty range leaves nothing to
 * wait for. 0, -EINVAL for a range that the kernel would refuse, -ENOSPC or -ENOMEM; on failure the
 * space is as before.
 */
int pending__start(struct space *space, uint32_t tid, uint64_t enter_ns, struct address_range take,
		   struct address_range cover);
/* The call of this thread that started then, handed over to the caller; false when there is none.
 */
bool pending__finish(struct space *space, uint32_t tid, uint64_t enter_ns,
		     struct pending_call *call);
/*
 * A thread that makes a call cannot be inside an earlier one: its return record was lost. Puts back
 * what that took (enter_ns: the call that may stay; 0: none). True when there was one.
 */
bool pending__drop_stale(struct space *space, uint32_t tid, uint64_t enter_ns);
/* Puts back what the call took, into what is free now. */
void pending_call__undo(struct space *space, struct pending_call *call);
void pending__undo_all(struct space *space);
void pending__drop_all(struct space *space);
/*
 * Given the ranges of all calls under way: puts back what a call took that has ended before
 * ended_by_ns and whose return record has not come since. True when there was one.
 */
bool pending__drop_ended(struct space *space, const struct address_range *under_way, size_t n,
			 uint64_t now_ns, uint64_t ended_by_ns);
/* The ranges that wait, at most max of them; returns how many. */
size_t pending__ranges(const struct space *space, struct address_range *ranges, size_t max);

#endif
