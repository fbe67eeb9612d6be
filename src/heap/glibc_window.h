/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_HEAP_GLIBC_WINDOW_H
#define MEMDRIFT_HEAP_GLIBC_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "census/memory.h"

/*
 * A piece of a heap, copied. How much is read at once follows the size of the chunks: large ones
 * need only their headers, small ones are cheapest in long pieces. Only what is resident is read.
 */
struct glibc_window {
	struct memory *memory;
	uint8_t *data; /* GLIBC_WINDOW_MAX and GLIBC_WINDOW_PAD of zeroes behind what was read */
	uint64_t at;
	size_t have;
	size_t want; /* what the next read asks for */
	size_t most; /* which want does not exceed */
	size_t uses; /* headers that were taken from it */
};

/* Longer pieces are not cheaper: a core's cache holds this much. */
#define GLIBC_WINDOW_MAX (256u << 10)
#define GLIBC_WINDOW_MIN 1024u
#define GLIBC_WINDOW_PAD 32u

/* 0 or -ENOMEM. */
int glibc_window__open(struct glibc_window *window, struct memory *memory);
void glibc_window__close(struct glibc_window *window);

/* Forgets what was read: it may have changed. The next pieces are short. */
void glibc_window__drop(struct glibc_window *window);

/* Reads from addr on at least 16 bytes, at most size (0: as it sees fit). 0 or as
 * memory__read_some, -ENODATA also when there are fewer. */
int glibc_window__load(struct glibc_window *window, uint64_t addr, size_t size);

/*
 * The 32 bytes at addr, or NULL with *err. Bytes behind the last resident one are zeroes, but the
 * first 16, which are a chunk's header, are real.
 */
static inline const uint8_t *glibc_window__header(struct glibc_window *window, uint64_t addr,
						  int *err)
{
	window->uses++;
	/* Below `at` the difference is huge. */
	if (addr - window->at + 32 <= window->have && addr >= window->at)
		return window->data + (addr - window->at);
	*err = glibc_window__load(window, addr, 0);
	return *err ? NULL : window->data;
}

#endif
