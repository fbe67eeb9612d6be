/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_SEARCH_H
#define MEMDRIFT_UNWIND_SEARCH_H

/*
 * Finding the rule of an address, for BPF and user space; of use to unwind_step.h, whose includer
 * defines block_at() and rule_at().
 */
#include "memdrift/unwind.h"

#ifdef __bpf__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

/*
 * All ones when a < b, else 0, without a branch: each one would double the verifier's work. Both
 * are below 2^63. Clang knows what the shift is and makes a branch of it, unless it does not see
 * it.
 */
static inline __attribute__((always_inline)) uint64_t mask_below(uint64_t a, uint64_t b)
{
	int64_t mask = (int64_t)(a - b);

#ifdef __bpf__
	asm volatile("%0 s>>= 63" : "+r"(mask));
#else
	mask >>= 63;
#endif
	return (uint64_t)mask;
}

/*
 * An index below a power of two, for the verifier: what clang knows to be below already it would
 * not mask again, and the verifier may know less.
 */
#ifdef __bpf__
#define BELOW(index, limit)                                                \
	({                                                                 \
		uint64_t bounded = (index);                                \
		asm volatile("%0 &= %1" : "+r"(bounded) : "i"((limit)-1)); \
		bounded;                                                   \
	})
#else
#define BELOW(index, limit) ((index) & ((limit)-1))
#endif

/* The last mapping that starts at or below; the first one when none does. */
static inline __attribute__((always_inline)) uint32_t
search_mapping(const struct unwind_image *image, uint64_t pc)
{
	uint64_t at = 0, count = image->count;

	UNROLL
	for (uint64_t half = UNWIND_MAPPINGS_MAX / 2; half; half /= 2) {
		uint64_t next = at + half;

		at += half & mask_below(next, count) &
		      ~mask_below(pc, image->mappings[BELOW(next, UNWIND_MAPPINGS_MAX)].start);
	}
	return (uint32_t)at;
}

static inline __attribute__((always_inline)) bool is_in_mapping(const struct unwind_image *image,
								uint32_t index, uint64_t pc)
{
	const struct unwind_mapping *mapping = &image->mappings[BELOW(index, UNWIND_MAPPINGS_MAX)];

	return index < image->count && pc - mapping->start < (uint64_t)mapping->page_count
								     << UNWIND_PAGE_SHIFT;
}

/* The last of `count` rows from `first` on that starts at or below; there is one. */
static inline __attribute__((always_inline)) uint32_t
search_rows(const union unwind_block *block, uint64_t first, uint64_t count, uint64_t byte)
{
	uint64_t at = first, end = first + count;

#define HALVE(half)                                                                            \
	({                                                                                     \
		uint64_t next = at + (half);                                                   \
		at += (half)&mask_below(next, end) &                                           \
		      ~mask_below(byte, block->rows[BELOW(next, UNWIND_ROWS_PER_BLOCK)].from); \
	})
	/* Most pages have few. */
	if (count > 16) {
		HALVE(512);
		HALVE(256);
		HALVE(128);
		HALVE(64);
		HALVE(32);
		HALVE(16);
	}
	HALVE(8);
	HALVE(4);
	HALVE(2);
	HALVE(1);
#undef HALVE
	return (uint32_t)at;
}

/* The rule of that byte of the object's file, by this table; NULL where it has none. */
static inline __attribute__((always_inline)) const struct unwind_rule *
find_rule(const struct unwind_object *object, uint32_t index, uint64_t file_page, uint64_t byte)
{
	uint64_t page = file_page - object->first_page;
	const union unwind_block *block;
	uint32_t first, count, number;

	if (page >= object->page_count)
		return NULL;
	block = block_at(index + (uint32_t)(page / UNWIND_PAGES_PER_BLOCK));
	if (!block)
		return NULL;
	page = BELOW(page, UNWIND_PAGES_PER_BLOCK);
	first = block->pages[page].first;
	count = block->pages[page].count;
	number = block->pages[page].block;
	if (!count)
		return NULL;
	block = block_at(number);
	if (!block)
		return NULL;
	first = search_rows(block, first, count, byte);
	return rule_at(block->rows[BELOW(first, UNWIND_ROWS_PER_BLOCK)].rule);
}

#endif
