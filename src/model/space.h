/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_SPACE_H
#define MEMDRIFT_MODEL_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bsd/sys/tree.h>

/*
 * One address space: what is mapped, piece by piece, and which request of the program each piece
 * comes from. Processes that share their memory (vfork, CLONE_VM) share one of these.
 *
 * All addresses and lengths inside are multiples of the page size; callers may pass what the
 * program passed, lengths are rounded up as the kernel does. Ranges are [start, end).
 */

/* x86-64 has no other base page. */
#define SPACE_PAGE_BYTES 4096ull
/* No user address lies above: five-level page tables give 2^56 (Documentation/arch/x86/x86_64). */
#define SPACE_ADDRESS_MAX (1ull << 56)

/* Where a mapping request came from and what is left of it. */
struct origin {
	uint64_t id;              /* unique within the space, in order of creation */
	uint64_t address;         /* lowest address that is still mapped */
	uint64_t created_bytes;   /* length when created; of the brk area its greatest */
	uint64_t live_bytes;      /* length that is still mapped */
	uint64_t committed_bytes; /* of those, readable and writable */
	uint64_t created_ns;      /* CLOCK_MONOTONIC; 0 when older than the trace */
	uint64_t file_offset;
	uint32_t tid; /* who asked; 0 when older than the trace or unknown */
	int32_t stack;
	uint32_t map_flags; /* MAP_*; for seeded ones MAP_PRIVATE or MAP_SHARED, MAP_ANONYMOUS, and
			       MAP_GROWSDOWN for the main stack */
	uint32_t first_prot;
	bool before_trace;
	bool found_late;      /* its making was missed: created_ns is when a re-read found it */
	bool is_heap;         /* the brk area */
	bool hinted;          /* the caller gave an address */
	bool arena_signature; /* made, trimmed and committed as glibc makes an arena's heap */
	uint32_t reasons;     /* filled by analysis: evidence for its kind */
	char *path;      /* of a file mapping that /proc showed; NULL when unknown or anonymous */
	uint32_t pieces; /* mappings that refer to it; freed at 0 */
	struct origin *twin; /* its copy while space__copy runs, NULL otherwise */
};

struct mapping {
	RB_ENTRY(mapping) node;
	uint64_t start;
	uint64_t end;
	uint32_t prot; /* PROT_* */
	struct origin *origin;
};

RB_HEAD(mapping_tree, mapping);

struct op_log;
struct pending_call;

struct space {
	struct mapping_tree mappings;
	uint64_t mapped_bytes; /* sum of all pieces; still true after space__trim */
	uint64_t mapping_count;
	uint64_t brk_start; /* page-aligned up; 0 when unknown */
	uint64_t brk_end;   /* current break, rounded up to a page; 0 when unknown */
	bool brk_guessed; /* brk_end is where the last line called [heap] ends: the same unless the
			     program has unmapped the end of its heap otherwise */
	uint64_t next_origin;
	uint32_t users; /* processes that share it */
	bool seeded;    /* it has been read from /proc at least once, or was copied from one that
			   was */

	struct origin *heap; /* the brk area, while any of it is mapped */
	bool trimmed;        /* of an ended process: small origins are no longer kept */
	bool dont_fork;      /* MADV_DONTFORK was used: a child lacks some of this */
	bool suspect;        /* a sharer left while a re-read was due */
	uint32_t owner_pid;  /* through whose /proc it is read while several share it */
	uint64_t born_ns;    /* made by an exec of the trace; 0: older, or copied */
	uint64_t read_ns;    /* CLOCK_MONOTONIC after the last reading of /proc; 0: none */
	/*
	 * Times that an event did not fit what was modelled: an addition where something still was,
	 * a change of what was not mapped. Expected while records from before read_ns are replayed;
	 * otherwise something was missed.
	 */
	uint64_t contradictions;
	struct op_log *ops; /* recent mapping calls, to tell which of two threads came first */
	struct pending_call *pending; /* calls under way that have taken ranges out */
	uint32_t pending_count, pending_room;

	struct mapping
		*free_mappings; /* nodes to use again: a mmap and munmap pair allocates none */
	struct origin *free_origins;
	uint32_t free_mapping_count, free_origin_count;
};

/* One line of /proc/PID/maps, as src/census reads it. */
struct maps_entry {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint32_t prot;
	bool shared;
	char *path; /* never NULL; "" for anonymous, "[heap]", "[stack]", ... or a file's path, raw
		     */
};

/* What a new mapping is made of. */
struct map_request {
	uint64_t time_ns;
	uint64_t addr;
	uint64_t len;
	uint64_t file_offset;
	uint32_t tid;
	uint32_t prot;
	uint32_t map_flags;
	int32_t stack;
	bool hinted;
};

/* A model may hold this many pieces per space: the kernel's default vm.max_map_count is 65,530,
 * hosts that raise it (databases, JVMs) mostly use 262,144. */
#define SPACE_MAPPINGS_MAX 262144

/* users = 1. NULL when memory is out. */
struct space *space__new(void);
struct space *space__ref(struct space *space);
/* NULL is fine. */
void space__unref(struct space *space);
/* A copy for a forked child: same pieces and origins (ids, ages, stacks kept), users = 1. */
struct space *space__copy(const struct space *space);
/*
 * For a process that has ended: forgets origins of fewer than min_live_bytes. mapped_bytes and
 * mapping_count stay as they stood at the end. Nothing else may be done with the space but to
 * read, copy or release it.
 */
void space__trim(struct space *space, uint64_t min_live_bytes);

/* True for what MAP_PRIVATE|MAP_ANONYMOUS makes. */
bool origin__is_private_anonymous(const struct origin *origin);

/* The end of [addr, addr + len) with len rounded up to pages; 0 when the kernel would refuse it:
 * addr not aligned, len 0, beyond the address space. */
uint64_t range__end(uint64_t addr, uint64_t len);

/* Bytes that an mmap of this length and these flags maps: whole pages, or whole huge pages with
 * MAP_HUGETLB. 0 when there is no such length. */
uint64_t map_length(uint64_t len, uint32_t map_flags);

/*
 * A mapping at an address that the kernel chose or that replaces what is there.
 * Without MAP_FIXED whatever the model still has there is dropped first (a contradiction). With
 * MAP_FIXED wholly inside one live anonymous origin, for an anonymous private request, it is a
 * commit (or decommit) of that origin: pieces change protection, the origin stays. The same holds
 * across several origins side by side that all began as reservations (PROT_NONE): Go's heap commits
 * across the border of two. 0, -EINVAL, -ENOMEM or -ENOSPC (SPACE_MAPPINGS_MAX).
 */
int space__map(struct space *space, const struct map_request *request);
/* Returns the bytes that were mapped in the range and are so no more. Stores in *whole (may be
 * NULL) whether the model had all of the range mapped. A range that the kernel would refuse: 0. */
uint64_t space__unmap(struct space *space, uint64_t addr, uint64_t len, bool *whole);
/* Changes protection of what is mapped in the range; a hole in it is a contradiction.
 * 0, -EINVAL or -ENOMEM. */
int space__protect(struct space *space, uint64_t addr, uint64_t len, uint32_t prot);
/* Whether the model has all of the range mapped. */
bool space__covers(const struct space *space, uint64_t addr, uint64_t len);

/*
 * mremap that succeeded: the old range was removed when the call started and is handed back here
 * as `moved` (from space__take) so that origin, age and protection go along.
 */
struct moved_range;
/* Never fails for a range with nothing in it: the result then is empty. NULL: memory is out, or a
 * range that the kernel would refuse; then nothing was taken. */
struct moved_range *space__take(struct space *space, uint64_t addr, uint64_t len);
/* Puts it at new_addr with new_len (shorter: cut; longer: the last piece grows); frees moved.
 * 0, -EINVAL, -ENOMEM; -ENOENT: the range is empty, and the model does not know the new place from
 * elsewhere either. */
int space__place(struct space *space, struct moved_range *moved, uint64_t new_addr,
		 uint64_t new_len);
/* Puts it back where it was, into what is free there now; frees moved. 0 or -ENOMEM. */
int space__put_back(struct space *space, struct moved_range *moved);
/* Gives up what it holds. NULL is fine. The space must still be there. */
void moved_range__free(struct moved_range *moved);
/* Bytes that it holds; whether all of its range, or all of its first len bytes, was mapped. */
uint64_t moved_range__bytes(const struct moved_range *moved);
bool moved_range__covers(const struct moved_range *moved, uint64_t len);

/* The break is now `brk` (raw). Maps or unmaps at the end of the heap. 0, -EINVAL, -ENOMEM, or
 * -ENOENT when it was not known where the break had been. */
int space__set_brk(struct space *space, uint64_t brk, uint64_t time_ns, uint32_t tid);
/* The program asked where its break is: as above, without a change of what is mapped. */
int space__learn_brk(struct space *space, uint64_t brk);

/*
 * Makes the space equal to what /proc showed within [from, to) (0, UINT64_MAX: all), keeping
 * origins of what was known already, new ones marked before_trace (or found_late, when the space
 * has been read before; made at born_ns in a space that an exec of the trace made). `except` ranges
 * (n of them) are left as the events have them: system calls that were under way while /proc was
 * read. Reservations of 64 MiB with a readable and writable beginning, the shape of glibc's heaps
 * and of Go's arenas, become one origin each when first seen. Sets `seeded` when all was read.
 * Returns the number of ranges that differed, or a negative errno (-ENOSPC: not all had room).
 */
struct address_range {
	uint64_t start;
	uint64_t end;
};
int space__reconcile(struct space *space, const struct maps_entry *entries, size_t n, uint64_t from,
		     uint64_t to, const struct address_range *except, size_t n_except);

/*
 * Makes [start, end) one origin of its own, of what stood there before: for whoever found out that
 * one line of /proc/PID/maps holds several requests. All of it must be mapped privately and
 * anonymously. 0, -EINVAL or -ENOMEM.
 */
int space__carve(struct space *space, uint64_t start, uint64_t end);

/*
 * Compares with what /proc shows, merged as the kernel merges: ranges, protection. The kernel's own
 * [vdso], [vvar], [vsyscall], [uprobes] and growth of [stack] are passed over. Returns how many
 * ranges differ and calls `differ` (may be NULL) for each.
 */
int space__compare(const struct space *space, const struct maps_entry *entries, size_t n,
		   void (*differ)(void *ctx, uint64_t start, uint64_t end, const char *why),
		   void *ctx);

/* The piece that holds addr, or the first one above it; NULL when none. */
struct mapping *space__find(const struct space *space, uint64_t addr);
struct mapping *space__next(const struct mapping *mapping);

#define space__for_each(mapping, space) \
	for ((mapping) = space__find((space), 0); (mapping); (mapping) = space__next(mapping))

#endif
