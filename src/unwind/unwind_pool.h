/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_POOL_H
#define MEMDRIFT_UNWIND_POOL_H

#include <stdint.h>
#include <sys/types.h>

#include "memdrift/unwind.h"

/*
 * The tables of all objects, in memory that the kernel's side reads at any time (mmap'ed array
 * maps). Writes go in an order in which a reader never finds a way to what is not filled: rules,
 * rows, index, object. Blocks are only given to somebody else after `epoch` has been raised: a walk
 * that finds another epoch at its end than at its begin has perhaps read rows of something else.
 *
 * Not for several threads at a time.
 */
struct unwind_pool;

/* All zeroed, the caller's, and there as long as the pool. */
struct unwind_memory {
	union unwind_block *blocks;
	uint32_t block_count;          /* the first is never used */
	struct unwind_rule *rules;     /* UNWIND_RULES_MAX */
	struct unwind_object *objects; /* UNWIND_OBJECTS_MAX */
	uint64_t *epoch;
};

/* X(name, text for people) */
#define UNWIND_POOL_STATS(X)                                                 \
	X(objects, "objects known")                                          \
	X(objects_without_frames, "of them without frame information")       \
	X(blocks_used, "blocks of 4 KiB in use")                             \
	X(blocks_total, "blocks of 4 KiB")                                   \
	X(rules_used, "distinct rules")                                      \
	X(rules_refused, "rows whose rule found no room: unknown")           \
	X(evicted, "objects evicted to make room")                           \
	X(refused, "tables that found no room: stacks are cut there")        \
	X(unreadable, "objects that could not be read, or are no ELF files") \
	X(rows_dropped, "rows beyond what a page can have: unknown")         \
	X(rows_unknown, "rows with a rule that cannot be expressed")         \
	X(bad_entries, "frame descriptions that make no sense")              \
	X(overlaps, "frame descriptions that share addresses: unknown")      \
	X(builds, "tables built")                                            \
	X(build_ns, "nanoseconds that took")

struct unwind_pool_stats {
#define UNWIND_POOL_STAT(name, text) uint64_t name;
	UNWIND_POOL_STATS(UNWIND_POOL_STAT)
#undef UNWIND_POOL_STAT
};

/* NULL when memory is out. Sets up the objects UNWIND_OBJECT_ANONYMOUS and UNWIND_OBJECT_UNREAD. */
struct unwind_pool *unwind_pool__new(const struct unwind_memory *memory);
void unwind_pool__free(struct unwind_pool *pool);

/*
 * The object of a file that is mapped as code, with its table of call sites. Known ones are found
 * by device, inode, size and time of change, and by build-id (with the same size and owner, so that
 * nobody's forged file stands for another's): copies in containers share one table. fd stays the
 * caller's. display_name is for messages; pid, a process that has it mapped, or -1.
 *
 * 0 also for an object that gets no table: frame pointers for what has no frame information or is
 * no ELF file of this machine; unknown for one that is damaged, or finds no room in the pool (tried
 * again with the next call that finds some). -ENOSPC when UNWIND_OBJECTS_MAX objects are held,
 * -ENOMEM, or what fstat() gave; *index is UNWIND_OBJECT_UNREAD then.
 * Until it is held the object may be evicted by the next call.
 */
int unwind_pool__object(struct unwind_pool *pool, int fd, const char *display_name, pid_t pid,
			uint32_t *index);

/* The vDSO, which all 64-bit processes of the host share, from our own; the same otherwise. -ENOENT
 * when there is none. Held for good. Its file offsets count from the vDSO's begin. */
int unwind_pool__vdso(struct unwind_pool *pool, uint32_t *index);

/*
 * Builds the full table too. 0 also when there is one already or need be none; -ENOSPC when the
 * pool is full, -ESTALE when the file is another one by now or its descriptor had to be closed
 * (unwind_pool__object() takes a new one), -EINVAL, -ENOMEM, or what reading gave.
 */
int unwind_pool__load_full(struct unwind_pool *pool, uint32_t index);

/* By images: what is held is not evicted. Counted; hold as often as release. */
void unwind_pool__hold(struct unwind_pool *pool, uint32_t index);
void unwind_pool__release(struct unwind_pool *pool, uint32_t index);

void unwind_pool__stats(const struct unwind_pool *pool, struct unwind_pool_stats *stats);

#endif
