/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ROW_SET_H
#define MEMDRIFT_ROW_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/config.h"

/* A set of rows of struct alloc_counts. All zero is the empty set; a row is below CALL_ROWS. */
struct row_set {
	uint64_t words[CALL_ROWS / 64];
};

static inline void row_set__add(struct row_set *set, uint32_t row)
{
	set->words[row / 64] |= 1ull << (row % 64);
}

static inline bool row_set__has(const struct row_set *set, uint32_t row)
{
	return set->words[row / 64] >> (row % 64) & 1;
}

static inline bool row_set__is_empty(const struct row_set *set)
{
	uint64_t any = 0;

	for (int i = 0; i < CALL_ROWS / 64; i++)
		any |= set->words[i];
	return !any;
}

static inline void row_set__join(struct row_set *set, const struct row_set *other)
{
	for (int i = 0; i < CALL_ROWS / 64; i++)
		set->words[i] |= other->words[i];
}

static inline void row_set__keep(struct row_set *set, const struct row_set *other)
{
	for (int i = 0; i < CALL_ROWS / 64; i++)
		set->words[i] &= other->words[i];
}

#endif
