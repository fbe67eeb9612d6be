/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_OBJECTS_H
#define MEMDRIFT_STACK_OBJECTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Files that code was seen in, each once whoever maps it, known by device, inode, size and time
 * of change. A file is opened when it is first seen, so that its names can still be read when
 * the process, its mount namespace or the directory entry is gone.
 */
struct object_cache;

/* Index of an object; stays valid as long as the cache. */
#define OBJECT_NONE UINT32_MAX

/*
 * A host runs some hundreds of programs with some thousands of libraries between them. Past this
 * files are known by path only.
 */
#define OBJECTS_MAX 8192
/*
 * Descriptors held for later, a quarter of the usual RLIMIT_NOFILE of 1,024. Past this a file's
 * symbols are read at once and it is closed.
 */
#define OBJECT_FDS_MAX 256

struct object_cache *object_cache__new(void);
void object_cache__free(struct object_cache *cache);

/*
 * The object behind an open descriptor, which the cache takes over whatever happens. `path` is
 * raw and copied; pid is a process that has it mapped (for separate debug files in its mount
 * namespace). The index, or OBJECT_NONE when memory or room is out.
 */
uint32_t object_cache__add(struct object_cache *cache, int fd, const char *path, uint32_t pid);

/* A stand-in for something without a readable file, known by this name: "[vdso]", "[anon]". */
uint32_t object_cache__add_name(struct object_cache *cache, const char *name);

/* Raw base name, "" for OBJECT_NONE. Lives as long as the cache. */
const char *object_cache__name(const struct object_cache *cache, uint32_t object);

/*
 * The function at a file offset, reading the file's symbols when they were not needed before.
 * NULL when there is none. Lives as long as the cache.
 */
const char *object_cache__function(struct object_cache *cache, uint32_t object,
				   uint64_t file_offset);

#endif
