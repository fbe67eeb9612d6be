/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_LD_CACHE_H
#define MEMDRIFT_PROBE_LD_CACHE_H

/* The dynamic loader's own list of libraries (/etc/ld.so.cache), read and never trusted. */
struct ld_cache;

/* NULL when there is none, or none of the format that glibc writes since 2.2. */
struct ld_cache *ld_cache__open(const char *path);
void ld_cache__close(struct ld_cache *cache);

/* Return 0 to go on, anything else to stop and be returned. */
typedef int (*ld_cache_fn)(void *ctx, const char *soname, const char *path);

/*
 * Calls fn for each x86-64 library of glibc programs. One soname may come several times, for
 * different levels of CPU; the strings live as long as the cache. cache may be NULL: no calls.
 */
int ld_cache__each(const struct ld_cache *cache, ld_cache_fn fn, void *ctx);

#endif
