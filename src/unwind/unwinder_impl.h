/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_UNWINDER_IMPL_H
#define MEMDRIFT_UNWIND_UNWINDER_IMPL_H

#include <stdbool.h>
#include <uthash.h>

#include "ingest/mapped.h"
#include "unwind/images.h"
#include "unwind/unwinder.h"

/* Shared by unwinder.c, unwinder_look.c and unwinder_files.c alone. */

struct waiting {
	UT_hash_handle hh;
	uint32_t pid;
	bool due;
	uint64_t due_ns, pause_ns;
};

struct unwinder {
	struct memdrift *skel;
	struct mapped_array blocks, rules, objects, image_array;
	struct unwind_pool *pool;
	struct images images;
	struct waiting *waiting; /* every process that was asked for */
	uint64_t sweep_ns;
	uint32_t asked; /* of unwind_asked, as far as it is done */
	uint64_t images_full;
	bool full;                          /* tables of every object */
	bool announced[UNWIND_OBJECTS_MAX]; /* the kernel's side knows its file */
};

struct bpf_program;

/* Runs a program of the kernel's side on this argument: what it returned, or a negative errno. */
int unwinder__run(const struct bpf_program *prog, void *argument, uint32_t bytes);
/* The image is nobody's. */
void unwinder__give_back(struct unwinder *unwinder, uint32_t number);

/* The object's full table where all shall have theirs; what fails stays without. */
void unwinder__load_if_full(struct unwinder *unwinder, uint32_t object);

/*
 * A file that was found mapped (ctx: the unwinder) will be mapped again, most likely by the next
 * process of its kind: from now on the kernel's side finds its object by itself. What that knows
 * cannot be evicted, so half of the pool is left for others.
 */
void unwinder__announce(void *ctx, int fd, uint32_t object);

#endif
