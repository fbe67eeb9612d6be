/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_ALLOCATORS_SCAN_H
#define MEMDRIFT_HEAP_ALLOCATORS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/subject.h"

/* What the readers of allocators share: where to look, and how to look through much memory. */

/*
 * Entry i is the zero-initialised data of the object that is mapped right before it, or, with
 * data, also that object's initialised data. Libraries' and the program's; what the kernel merged
 * with it (the brk area of a program at fixed addresses) comes along.
 */
bool scan__is_object_data(const struct subject *subject, size_t i, bool data);

/* Where the data of such an entry ends at the latest: the kernel merges what lies behind it, heaps
 * of gigabytes among it, and no object has so much of its own that could be searched. */
#define OBJECT_DATA_MAX (64ull << 20)
uint64_t scan__data_end(const struct maps_entry *entry);

/* [start, end) lies within mappings that are private and of no file, one after the other. */
bool scan__is_anonymous(const struct subject *subject, uint64_t start, uint64_t end);
/* The same, in a single mapping that is readable and writable. */
bool scan__is_anonymous_rw(const struct subject *subject, uint64_t start, uint64_t end);

/* One window of what is resident of [start, end): words[0] lies at addr. Return 0 to go on, above 0
 * to stop, or a negative errno to fail. */
typedef int (*scan_fn)(void *ctx, uint64_t addr, const uint64_t *words, size_t count);

/* Bytes of a window; windows begin at multiples of 8 and may end early where residency does. */
#define SCAN_WINDOW_BYTES 65536u

/* Calls fn for all that is resident. What cannot be read, because it went away, is left out. 0,
 * what fn returned, or -ESRCH, -EACCES, -ETIME, -EDQUOT. */
int scan__each_window(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn, void *ctx);

/* The same in windows of a page, for who needs little of much. */
int scan__each_page(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn, void *ctx);

/* The same for who searches: windows overlap by SCAN_OVERLAP_BYTES where residency goes on, so that
 * nothing as long is cut in two. */
#define SCAN_OVERLAP_BYTES 4096u
int scan__each_overlapping(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn,
			   void *ctx);

/* Overlapping windows of the data of every object, initialised or not. */
int scan__each_data_window(struct subject *subject, scan_fn fn, void *ctx);

/*
 * The first `bytes` (at most 4096, a multiple of 8) at every multiple of align that is resident and
 * lies in anonymous memory that can be written. Returns and fn as above.
 */
typedef int (*scan_head_fn)(void *ctx, uint64_t addr, const uint64_t *words);
int scan__each_head(struct subject *subject, uint64_t align, size_t bytes, scan_head_fn fn,
		    void *ctx);

/* An error of memory.h that is about this address only, so that others can be read. */
bool scan__is_local_error(int err);

#endif
