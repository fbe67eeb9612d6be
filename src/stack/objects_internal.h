/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_OBJECTS_INTERNAL_H
#define MEMDRIFT_STACK_OBJECTS_INTERNAL_H

/* Shared by objects.c (files and stand-ins) and object_load.c (what is in them); no one else. */

#include <uthash.h>

#include "probe/elf_object.h"
#include "stack/objects.h"
#include "stack/symbols.h"

/* Executable segments of one object that are told apart; linkers make one, rarely two. */
#define OBJECT_SEGMENTS_MAX 4

/* Every byte is compared: filled by memset, 64-bit members only. */
struct object_key {
	uint64_t dev, inode, size, changed_s, changed_ns;
	uint64_t name_hash; /* of stand-ins, which have no inode; the name itself is compared */
};

/* By the same rule. A build-id alone could be forged to give another program's code wrong names. */
struct shared_key {
	struct elf_code_segment code[OBJECT_SEGMENTS_MAX];
	uint64_t has_symtab;     /* stripped files share one that has fewer names */
	uint64_t has_debug_file; /* or not */
	char build_id[2 * ELF_BUILD_ID_MAX + 8];
};

/* Symbols of all objects that are the same code. */
struct shared_symbols {
	UT_hash_handle hh;
	struct shared_key key;
	struct symbol_table *table;
};

struct object {
	UT_hash_handle hh;
	struct object_key key;
	uint32_t index;
	uint32_t pid;
	int fd;       /* -1: closed, or a stand-in */
	int debug_fd; /* its separate debug file, -1: none or not looked for */
	bool loaded;  /* what follows path is filled, as far as it can be */
	char *path;
	const char *name; /* into path */
	char build_id[2 * ELF_BUILD_ID_MAX + 1];
	struct frame_file files[OBJECT_SEGMENTS_MAX + 1]; /* the last: of no segment */
	size_t segment_count;
	const struct symbol_table *symbols; /* NULL: none */
};

struct object_cache {
	struct object *by_key;
	struct object *objects[OBJECTS_MAX];
	uint32_t count;
	uint32_t open_fds;
	bool keep_files;
	bool use_servers;
	struct shared_symbols *shared;
};

void object_cache__close(struct object_cache *cache, struct object *object);
/* Once: reads build-id, segments and symbols; what cannot be read stays unnamed. */
void object_cache__load(struct object_cache *cache, struct object *object);
/* Opens the debug file now when the process sees other files than memdrift does. */
void object_cache__hold_debug_file(struct object_cache *cache, struct object *object);

#endif
