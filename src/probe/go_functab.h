/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_GO_FUNCTAB_H
#define MEMDRIFT_PROBE_GO_FUNCTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The table of functions that every Go program carries, stripped or not, because its runtime walks
 * stacks with it (.gopclntab): as the linkers of Go 1.2, 1.16, 1.18 and 1.20 and later write it for
 * 64-bit little-endian machines. Nothing in it is trusted.
 */
struct go_functab {
	const uint8_t *bytes; /* the caller's */
	size_t size;
	bool absolute;       /* Go 1.16 and 1.17: 64-bit addresses instead of 32-bit offsets */
	uint64_t count;      /* functions */
	uint64_t text_start; /* that the offsets count from; 0: it does not say, since Go 1.26 */
	uint64_t names;      /* offset of the names */
	uint64_t functions;  /* offset of the table proper */
	uint64_t described;  /* offset that those of descriptions count from */
	bool is_oldest;      /* before Go 1.16 */
};

/* The header, without what follows; what the linker writes nowhere else. */
#define GO_FUNCTAB_HEADER_BYTES 72

/* Whether it looks like a header of ours: for a search. */
bool go_functab__is_header(const uint8_t *bytes, size_t size);

/* 0, -ENOTSUP for a version that is not known, or -EINVAL for what does not add up. */
int go_functab__open(const void *bytes, size_t size, struct go_functab *table);

struct go_function {
	const char *name; /* in the table's bytes */
	uint64_t vaddr;
	uint64_t size; /* up to the next function: padding included */
};

/* Return 0 to go on, anything else to stop; that value is then returned to the caller. */
typedef int (*go_function_fn)(void *ctx, const struct go_function *function);

/*
 * Calls fn for each function, by address; text_start must be set. Entries that make no sense are
 * skipped. 0, or what fn returned.
 */
int go_functab__each(const struct go_functab *table, go_function_fn fn, void *ctx);

#endif
