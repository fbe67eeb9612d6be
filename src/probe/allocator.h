/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_ALLOCATOR_H
#define MEMDRIFT_PROBE_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memdrift/config.h"
#include "probe/family.h"
#include "probe/go_malloc.h"

/*
 * Which allocator entry points an object (program or library) defines, and where to probe them.
 *
 * Names: see family.h. C's own (malloc to free), plain or behind one of the prefixes that
 * allocators are built with (je_, _rjem_, tc_, mi_, sn_); what jemalloc, tcmalloc and mimalloc have
 * besides (mallocx, tc_new, mi_zalloc); and C++'s operators, where jemalloc, tcmalloc or mimalloc
 * defines them: those of libstdc++ and libc++ call malloc, which is counted. Names at one address
 * are one function, its key is the names sorted and joined by "|". An operator, or a function that
 * frees, which is nothing but a jump to another one is that other one: a probe for each of them
 * would double the price of the call.
 *
 * The dynamic loader of glibc is left out: the malloc that versions before 2.31 export serves the
 * loader alone until libc's takes its place, has no arenas and never frees. musl's loader is its
 * libc and is searched.
 */
/* mimalloc has 90 of them, the most of all; two such allocators in one static program fit. */
#define ALLOCATOR_FUNCTIONS_MAX 192

/* Places in the code of one: mimalloc's realloc_aligned has 6. Further ones are not told. */
#define ALLOCATOR_NESTED_MAX 32

struct allocator_function {
	char key[ALLOCATOR_KEY_MAX]; /* "malloc", "aligned_alloc|memalign" */
	struct family_set names;
	enum arg_layout layout;
	enum allocator_kind kind;
	uint64_t vaddr;
	uint64_t file_offset; /* of the entry */
	uint64_t size;        /* bytes, 0 when unknown */
	bool ready;           /* false: site is not usable, no probe is possible here */
	struct site site;
	struct site return_site; /* for a probe of entry and return */
	enum handoff handoff;    /* jumps on to another entry point: see handoff.h */
	/*
	 * Calls to other entry points from inside of this one: where each returns to. Hits that do
	 * so belong to this function's call; none: it makes no such calls.
	 */
	uint64_t nested[ALLOCATOR_NESTED_MAX];
	size_t nested_count;
};

/* How glibc's internal arena_get2 was found. */
enum arena_symbol { ARENA_SYMBOL_NONE, ARENA_SYMBOL_OWN, ARENA_SYMBOL_DEBUG_FILE };

/* Shared and counted: every pointer got is given back with allocator_object__put. */
struct allocator_object {
	unsigned int refs;
	enum allocator_kind kind; /* of its malloc */
	char soname[64];      /* DT_SONAME, cut; empty when none. Anyone's bytes: text_printable */
	bool is_named;        /* functions of it were named by the user */
	bool is_go;           /* no return probes in this object */
	bool is_static;       /* a program that loads no libraries */
	bool has_interpreter; /* a dynamic program rather than a library */
	dev_t dev;
	ino_t ino;

	struct allocator_function *functions; /* by file_offset */
	size_t function_count;

	enum arena_symbol arena_symbol;
	/* arena_get2: layout and key unused; site is for an entry and return probe. */
	struct allocator_function arena_get2;
	bool usdt_arena_new;  /* carries libc:memory_arena_new */
	bool usdt_heap_new;   /* carries libc:memory_heap_new */
	struct go_malloc *go; /* NULL: none, or not searched for */
};

void allocator_object__put(const struct allocator_object *object);

/*
 * Answers by (device, inode, mtime, ctime, size), because hundreds of processes share a libc. At
 * most ALLOCATOR_CACHE_MAX files are remembered (most of them as "nothing here", about 150 bytes
 * each); then the one not asked for longest is forgotten.
 */
#define ALLOCATOR_CACHE_MAX 8192

struct allocator_cache;
struct named_objects;

/* costs is copied; NULL: insn_costs__assume. NULL when memory is out. */
struct allocator_cache *allocator_cache__new(const struct insn_costs *costs);
/*
 * Functions to be taken besides those that have an allocator's names. Before anything is asked for;
 * named must outlive the cache.
 */
void allocator_cache__set_named(struct allocator_cache *cache, const struct named_objects *named);
void allocator_cache__free(struct allocator_cache *cache);
/* From now on Go's own allocator is searched for as well: then objects may have no function of C's.
 */
void allocator_cache__search_go(struct allocator_cache *cache);

/*
 * What the file behind fd defines. root is where its separate debug file is looked for first
 * ("/proc/PID/root"), then the host's; NULL: the host's only. 0 and *out (to be put), -ENOENT
 * when there is no allocator in it (*out is NULL), or -EINVAL, -ENOTSUP and others as
 * elf_object__open: the caller counts LOSS_objects_unread. Errors are remembered too.
 */
int allocator_cache__find(struct allocator_cache *cache, int fd, const char *display_name,
			  const char *root, const struct allocator_object **out);

/* One object that a process has mapped, with allocator functions in it. Valid during the call. */
struct allocator_mapping {
	pid_t pid;
	int fd; /* open file: attach through /proc/self/fd/N, which reaches deleted files and other
		 * mount namespaces; closed after the call */
	const char *path; /* as in /proc/PID/maps, newlines escaped as there; for messages */
	uint64_t start;   /* of its first executable mapping */
	const struct allocator_object *object; /* allocator_object__get to keep it */
};

const struct allocator_object *allocator_object__get(const struct allocator_object *object);

struct allocator_scan {
	unsigned int objects; /* distinct files mapped executable */
	unsigned int unread;  /* of these, ones that could not be searched: a loss */
};

/* Return 0 to go on, anything else to stop and be returned. */
typedef int (*allocator_mapping_fn)(void *ctx, const struct allocator_mapping *mapping);

/*
 * Calls fn for each object with allocator functions that process pid has mapped executable now.
 * 0, -ESRCH when there is no such process (any more), or what reading or fn gave. scan may be
 * NULL.
 */
int allocator_cache__each_mapped(struct allocator_cache *cache, pid_t pid, allocator_mapping_fn fn,
				 void *ctx, struct allocator_scan *scan);

#endif
