// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <sys/param.h>

#include "heap/jemalloc.h"

/* The arena's index takes 12 bits of an extent's first word, the slab flag follows, in every
 * version; what comes between it and the state differs. */
#define SLAB_SHIFT  12
#define SZIND_MASK  0xffu  /* LG_CEIL(SC_NSIZES) bits */
#define NFREE_MASK  0x3ffu /* LG_SLAB_MAXREGS + 1 bits */
#define REGIONS_MAX 512    /* 1 << LG_SLAB_MAXREGS */

const struct jemalloc_layout jemalloc_layouts[JEMALLOC_LAYOUTS] = {
	/* committed, pai, zeroed and guarded lie between slab and state */
	{.name = "5.3",
	 .leaf_flags = 0x7f,
	 .leaf_has_state = true,
	 .state = 17,
	 .state_mask = 7,
	 .szind = 20,
	 .nfree = 28},
	/* committed, dumpable, zeroed */
	{.name = "5.1-5.2",
	 .leaf_flags = 1,
	 .state = 16,
	 .state_mask = 3,
	 .szind = 18,
	 .nfree = 26},
	/* committed, zeroed */
	{.name = "5.0", .leaf_flags = 1, .state = 15, .state_mask = 3, .szind = 17, .nfree = 25},
};

enum jemalloc_state jemalloc_extent__state(const struct jemalloc_layout *layout,
					   const struct jemalloc_extent *extent)
{
	return (enum jemalloc_state)(extent->bits >> layout->state & layout->state_mask);
}

bool jemalloc_extent__is_slab(const struct jemalloc_extent *extent)
{
	return extent->bits >> SLAB_SHIFT & 1;
}

unsigned int jemalloc_extent__szind(const struct jemalloc_layout *layout,
				    const struct jemalloc_extent *extent)
{
	return extent->bits >> layout->szind & SZIND_MASK;
}

uint64_t jemalloc_extent__start(const struct jemalloc_extent *extent)
{
	return extent->addr & ~(JEMALLOC_PAGE_BYTES - 1);
}

uint64_t jemalloc_extent__size(const struct jemalloc_extent *extent)
{
	return extent->size & ~(JEMALLOC_PAGE_BYTES - 1);
}

const struct jemalloc_layout *jemalloc_kind__layout(const struct tree_kind *kind)
{
	return kind->data;
}

static bool is_compact(const struct tree_kind *kind)
{
	return kind->shape->element_words == 1;
}

static uint64_t extent_of(const struct tree_kind *kind, const uint64_t *element)
{
	if (!is_compact(kind))
		return *element;
	/* The upper 16 bits hold the size class; user addresses have none of the sign. */
	return *element << 16 >> 16 & ~jemalloc_kind__layout(kind)->leaf_flags;
}

static bool parse_extent(const struct tree_kind *kind, const void *descriptor, struct tree_run *run)
{
	const struct jemalloc_extent *extent = descriptor;
	uint64_t size = jemalloc_extent__size(extent);

	*run = (struct tree_run){extent->addr / JEMALLOC_PAGE_BYTES, size / JEMALLOC_PAGE_BYTES};
	return size && !(extent->addr >> 47) && !(size >> 47);
}

/* What an element says of its extent (rtree.h). */
struct copy {
	uint64_t state, szind, slab;
};

static struct copy read_copy(const struct tree_kind *kind, const uint64_t *element)
{
	const struct jemalloc_layout *layout = jemalloc_kind__layout(kind);

	if (is_compact(kind))
		return (struct copy){*element >> 2 & 7, *element >> 48, *element & 1};
	if (layout->leaf_has_state)
		return (struct copy){element[1] >> 2 & 7, (element[1] & UINT32_MAX) >> 5,
				     element[1] & 1};
	return (struct copy){0, element[1] & UINT32_MAX, element[1] >> 32 & 0xff};
}

static bool agrees(const struct tree_kind *kind, const void *descriptor, const uint64_t *element)
{
	const struct jemalloc_layout *layout = jemalloc_kind__layout(kind);
	const struct jemalloc_extent *extent = descriptor;
	enum jemalloc_state state = jemalloc_extent__state(layout, extent);
	struct copy copy = read_copy(kind, element);

	if (layout->leaf_has_state && copy.state != (uint64_t)state)
		return false;
	/* The class and the slab flag of what is not in use are left as they were. */
	return state != JEMALLOC_ACTIVE || (copy.slab == jemalloc_extent__is_slab(extent) &&
					    copy.szind == jemalloc_extent__szind(layout, extent));
}

/* 48 bits of address less 12 of a page, in halves; 57 bits less 12, in thirds. */
static const struct tree_shape two_levels = {
	.root_words = 1ull << 18,
	.leaf_elements = 1ull << 18,
	.element_words = 1,
};

static const struct tree_shape three_levels = {
	.root_words = 1ull << 15,
	.node_words = 1ull << 15,
	.leaf_elements = 1ull << 15,
	.element_words = 2,
};

#define KIND(of, index, align)                                                               \
	{                                                                                    \
		.shape = &(of), .descriptor_bytes = sizeof(struct jemalloc_extent),          \
		.descriptor_align = (align), .descriptor = extent_of, .parse = parse_extent, \
		.agrees = agrees, .data = &jemalloc_layouts[index],                          \
	}

/* Extents are kept at cache lines, since 5.3 at two. */
const struct tree_kind jemalloc_kinds[JEMALLOC_KINDS] = {
	KIND(two_levels, 0, 128),   KIND(two_levels, 1, 64),   KIND(two_levels, 2, 64),
	KIND(three_levels, 0, 128), KIND(three_levels, 1, 64), KIND(three_levels, 2, 64),
};

uint64_t jemalloc_class_bytes(unsigned int lg_quantum, unsigned int szind)
{
	/* One class below the quantum when that is 16: 8 bytes. */
	const unsigned int tiny = lg_quantum == 4;
	unsigned int group, step, shift;

	if (szind < tiny)
		return 8;
	/* Groups of four; the first is the quantum's multiples. */
	group = (szind - tiny) / 4;
	step = (szind - tiny) % 4;
	shift = MAX(group, 1u) + lg_quantum - 1;
	/* The largest class is below half of the address space, so no sum can overflow. */
	if (shift > 60)
		return 0;
	return (group ? 1ull << (lg_quantum + 1 + group) : 0) + ((step + 1ull) << shift);
}

/* The usual one first: of those that fit equally well it is taken. */
const struct jemalloc_build jemalloc_builds[JEMALLOC_BUILDS] = {
	{4, JEMALLOC_PAGE_BYTES},
	{4, 0},
	{3, JEMALLOC_PAGE_BYTES},
	{3, 0},
};

static uint64_t large_bytes(const struct jemalloc_build *build, uint64_t size, unsigned int szind,
			    bool *sound)
{
	/* The smallest that is no slab's; small ones that the profiler sampled are made so large
	 * and keep their class (arena.c, arena_prof_promote). */
	const uint64_t large_min = 4 * JEMALLOC_PAGE_BYTES;
	uint64_t class_bytes = jemalloc_class_bytes(build->lg_quantum, szind);
	uint64_t below = szind ? jemalloc_class_bytes(build->lg_quantum, szind - 1) : 0;
	uint64_t held = size - build->pad_bytes;

	if (size <= build->pad_bytes || !class_bytes ||
	    (class_bytes < large_min ? held != large_min : held > class_bytes || held <= below)) {
		*sound = false;
		return 0;
	}
	return held;
}

uint64_t jemalloc_extent__allocated(const struct jemalloc_layout *layout,
				    const struct jemalloc_build *build,
				    const struct jemalloc_extent *extent, bool *sound)
{
	unsigned int szind = jemalloc_extent__szind(layout, extent);
	uint64_t size = jemalloc_extent__size(extent);
	uint64_t regions, free_regions = extent->bits >> layout->nfree & NFREE_MASK;
	uint64_t class_bytes;

	if (!jemalloc_extent__is_slab(extent))
		return large_bytes(build, size, szind, sound);
	class_bytes = jemalloc_class_bytes(build->lg_quantum, szind);
	regions = class_bytes ? size / class_bytes : 0;
	if (!regions || regions > REGIONS_MAX || free_regions > regions) {
		*sound = false;
		return 0;
	}
	return (regions - free_regions) * class_bytes;
}
