/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_OBJECTS_H
#define MEMDRIFT_STACK_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/namer.h"
#include "stack/source_lines.h"

/*
 * Files that code was seen in, each once whoever maps it, known by device, inode, size and time
 * of change. A file is opened when it is first seen, so that its names can still be read when
 * the process, its mount namespace or the directory entry is gone. Files with one build-id and
 * the same code have one table of names.
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
/* keep_files: they are needed again for source lines. use_servers: debuginfod__load() was called.
 */
void object_cache__want(struct object_cache *cache, bool keep_files, bool use_servers);
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
 * The function at a file offset and where it starts, reading the file's symbols when they were not
 * needed before; of the vDSO, this kernel's own. NULL when there is none. Mangled as the file has
 * it. Lives as long as the cache.
 */
const char *object_cache__function(struct object_cache *cache, uint32_t object,
				   uint64_t file_offset, uint64_t *start);

/* The file and the segment that holds the offset; NULL for a stand-in. Lives as long as the cache.
 */
const struct frame_file *object_cache__file(struct object_cache *cache, uint32_t object,
					    uint64_t file_offset);

/*
 * Source lines of n places of an object (ascending file offsets), at once: fn is called for those
 * that have some. 0, or -ENOENT when no DWARF can be had.
 */
int object_cache__lines(struct object_cache *cache, uint32_t object, const uint64_t *offsets,
			size_t n, source_line_fn fn, void *ctx);

#endif
