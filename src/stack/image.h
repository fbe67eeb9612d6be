/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_IMAGE_H
#define MEMDRIFT_STACK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "model/space.h"
#include "stack/objects.h"
#include "stack/stack_table.h"

/* The executable mappings of one process between two execs. */
struct image_range {
	uint64_t start;
	uint64_t end;
	uint64_t offset; /* in the file at start */
	uint64_t inode;
	char *path; /* raw; owned */
	bool resolved;
	uint32_t object; /* once resolved */
};

struct image_key {
	uint64_t start_ns;
	uint64_t pid;
};

struct image {
	UT_hash_handle hh;
	struct image_key key;
	uint32_t execs; /* of the process when it was read */
	/*
	 * A frame outside all ranges may be in code that was mapped since, or no code at all
	 * (stacks by frame pointer end in anything). Each reading that did not help doubles the
	 * number of such frames that the next one waits for.
	 */
	uint32_t backoff, wait;
	struct image_range *ranges; /* by address */
	size_t count;
};

/* Takes the executable ones of a process's maps. 0 or -ENOMEM (it is then empty). */
int image__fill(struct image *image, const struct maps_entry *entries, size_t n, size_t max);
void image__clear(struct image *image);

/* Whether code there is in no file that could name it: generated while the program runs. */
bool image__is_generated(const struct image *image, uint64_t address);

const struct image_range *image__find(const struct image *image, uint64_t address);

/*
 * Where an address lies; the file is opened through /proc/PID when it was not before. A return
 * address belongs to the byte before it. False when it is in no executable mapping.
 */
bool image__locate(struct image *image, struct object_cache *objects, uint64_t address,
		   bool is_return, struct stack_frame *frame);

#endif
