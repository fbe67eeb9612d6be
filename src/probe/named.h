/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_NAMED_H
#define MEMDRIFT_PROBE_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/family.h"

/*
 * Allocator functions that the user names, in files that the user names (--object FILE --symbols
 * LIST): own allocators, and those of stripped or static programs.
 */

/* More files are no use case; a list of more functions is a mistake. */
#define NAMED_OBJECTS_MAX   16
#define NAMED_FUNCTIONS_MAX 64

struct named_function {
	char key[ALLOCATOR_KEY_MAX]; /* "my_alloc (malloc)", "0x1240 (free)" */
	enum arg_layout layout;      /* of the role */
	uint64_t vaddr;
	uint64_t size; /* bytes, 0 when unknown */
};

/* Matched in a process by device and inode, whatever its path is there. */
struct named_object {
	char *path; /* as given */
	dev_t dev;
	ino_t ino;
	struct named_function functions[NAMED_FUNCTIONS_MAX];
	size_t count;
	bool seen; /* it was met in a process or on its way there */
};

struct named_objects {
	struct named_object *list[NAMED_OBJECTS_MAX];
	size_t count;
};

/*
 * Adds to the object at path the functions of a list "role=symbol,role=0xADDRESS,...". Roles are
 * C's names (malloc, calloc, ..., free) and say where a function has its arguments; an address is
 * one of the file's own (as objdump shows it). After a message -EINVAL when the list is wrong, or
 * another negative errno when the file is.
 */
int named_objects__add(struct named_objects *objects, const char *path, const char *symbols);
/* NULL when it is not one of them; objects may be NULL. */
struct named_object *named_objects__find(const struct named_objects *objects, dev_t dev, ino_t ino);
void named_objects__free(struct named_objects *objects);

#endif
