/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_POOL_INTERNAL_H
#define MEMDRIFT_UNWIND_POOL_INTERNAL_H

/* Shared by unwind_pool.c, pool_objects.c (which are known, which go), pool_tables.c (their tables,
 * the room for them) and pool_vdso.c; no one else. */

#include <stdbool.h>
#include <sys/stat.h>
#include <uthash.h>

#include "probe/elf_object.h"
#include "unwind/pool_blocks.h"
#include "unwind/unwind_pool.h"
#include "unwind/unwind_table.h"

/*
 * Descriptors kept for full tables, a quarter of the usual RLIMIT_NOFILE of 1,024. Past this the
 * one that was longest not used is closed.
 */
#define POOL_FDS_MAX 256

/* Files known besides those that tables were built from: copies in containers, some for each
 * object. Past this they are opened again for their build-id. */
#define POOL_ALIASES_MAX 65536

/* Every byte is compared: filled by memset. */
struct pool_file_key {
	uint64_t dev, inode, size, changed_s, changed_ns;
};

struct pool_id_key {
	uint64_t size;
	uint32_t owner;
	uint32_t id_bytes;
	uint8_t id[ELF_BUILD_ID_MAX];
};

struct pool_object;

struct pool_alias {
	UT_hash_handle hh;
	struct pool_file_key key;
	struct pool_object *object;
	struct pool_alias *next; /* of the same object */
};

struct pool_object {
	UT_hash_handle hh; /* by id; none without a build-id */
	struct pool_id_key id;
	struct pool_alias *aliases;
	uint32_t index;
	uint64_t holders;
	uint64_t used_at; /* the pool's clock */
	int fd;           /* -1: closed */
	bool keeps_fd;
	char *name; /* for messages */
	struct pool_place places[UNWIND_TABLE_KINDS];
	uint32_t wanted[UNWIND_TABLE_KINDS]; /* blocks that were not there, 0: none refused */
	bool without_frames;
};

struct unwind_pool {
	struct unwind_memory memory;
	struct pool_blocks blocks;
	struct unwind_rules *rules;
	struct pool_object *objects[UNWIND_OBJECTS_MAX];
	struct pool_object *by_id;
	struct pool_alias *by_file;
	uint32_t alias_count, object_count, fd_count;
	uint32_t lowest_free;           /* no object below this one is free */
	uint64_t clock;                 /* counts uses */
	uint32_t vdso;                  /* UNWIND_OBJECT_ANONYMOUS: not looked at yet */
	struct unwind_pool_stats stats; /* what is not told by the rest */
};

/*
 * Builds and publishes a table of an object. 0, -ENODATA for nothing but frame pointers, -ENOSPC,
 * -ESTALE when its pages are not those of its other table, or why it cannot be read.
 */
int pool_tables__load(struct unwind_pool *pool, struct pool_object *object, struct elf_object *elf,
		      enum unwind_table_kind kind);
/* Whether a table that was refused would find room now. */
bool pool_tables__fits_now(const struct unwind_pool *pool, const struct pool_object *object,
			   enum unwind_table_kind kind);
/* Takes an object's tables from the readers, and raises the epoch before its blocks are free. */
void pool_tables__withdraw(struct unwind_pool *pool, struct pool_object *object);

struct pool_file_key pool_objects__file_key(const struct stat *st);
struct pool_id_key pool_objects__id_key(const struct elf_object *elf, const struct stat *st);
/* A new one, perhaps in place of an older one. 0, -ENOSPC or -ENOMEM. */
int pool_objects__add(struct unwind_pool *pool, const char *display_name,
		      const struct pool_id_key *id, struct pool_object **out);
/* Without memory or room the file is just not known by itself next time. */
void pool_objects__add_alias(struct unwind_pool *pool, struct pool_object *object,
			     const struct pool_file_key *key);
/* Keeps a descriptor of its own for the full table; without one there will be none. */
void pool_objects__keep_fd(struct unwind_pool *pool, struct pool_object *object, int fd);
/* The object that nobody holds and nobody used for longest; NULL when all are held. With
 * with_blocks only those that blocks can be had from. */
struct pool_object *pool_objects__oldest(struct unwind_pool *pool, bool with_blocks);
/* With its tables. */
void pool_objects__evict(struct unwind_pool *pool, struct pool_object *object);
/* Without its tables: nobody looks at them any more. */
void pool_objects__free(struct unwind_pool *pool, struct pool_object *object);

#endif
