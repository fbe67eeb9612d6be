/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_LEDGER_IMAGES_H
#define MEMDRIFT_CENSUS_LEDGER_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/memory.h"
#include "model/space.h"

/*
 * The programs and libraries of a process: which files they are, and how far each reaches in its
 * memory. A file is one when some of it is mapped to be executed, or when it is named as a library.
 * Up to where its zero-initialised data goes is what its program headers say, read from the
 * process's memory: behind it the kernel may have merged other anonymous memory.
 */
struct file_id {
	uint64_t inode;
	uint32_t dev_major;
	uint32_t dev_minor;
};

struct image {
	uint64_t start;
	uint64_t end; /* of its last segment in memory, rounded up to a page */
};

struct images {
	struct file_id *files; /* sorted */
	size_t file_count;
	struct image *items; /* by start; of those whose headers could be read */
	size_t count;
};

/* entries are by address. One read of at most 4 KiB for each file. 0 or -ENOMEM. */
int images__read(const struct maps_entry *entries, size_t n, struct memory *memory,
		 struct images *out);
void images__free(struct images *images);

/* Whether the entry maps a part of a program or library. */
bool images__is_binary(const struct images *images, const struct maps_entry *entry);

/* The image that addr lies in, or NULL. */
const struct image *images__find(const struct images *images, uint64_t addr);

/* How far the image reaches whose first bytes are these and are mapped at start; 0 when they are no
 * ELF header of a 64-bit program or library. */
uint64_t image_end(const uint8_t *head, size_t size, uint64_t start);

#endif
