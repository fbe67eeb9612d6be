// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_layout.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Measured by DWARF in programs that Debian's packages of 1.19.8, 1.21.13, 1.22.12, 1.23.5,
 * 1.24.4, 1.25.12, 1.26.10 and 1.27.3 built for linux/amd64. tests/explain/go_facts.sh compares
 * them again.
 */
#define CONTROLLER_1_21                                                           \
	[GO_GC_PERCENT] = 0, [GO_MEMORY_LIMIT] = 8, [GO_HEAP_MINIMUM] = 16,       \
	[GO_HEAP_MARKED] = 152, [GO_HEAP_IN_USE] = 272, [GO_HEAP_RELEASED] = 280, \
	[GO_HEAP_FREE] = 288, [GO_TOTAL_ALLOC] = 296, [GO_TOTAL_FREE] = 304,      \
	[GO_MAPPED_READY] = 312, [GO_PERCENT_GOAL] = 72, [GO_SWEEP_TRIGGER] = 80, \
	[GO_TRIGGERED] = 88

#define STATS_1_19                                                                \
	[GO_STACKS_SYS] = 3544, [GO_MSPAN_SYS] = 3552, [GO_MCACHE_SYS] = 3560,    \
	[GO_BUCKHASH_SYS] = 3568, [GO_GC_MISC_SYS] = 3576, [GO_OTHER_SYS] = 3584, \
	[GO_NUM_GC] = 7704, [GO_IN_PTR_SCALAR_BITS] = 40, [GO_DELTA_BYTES] = 1176

#define STATS_1_25                                                                \
	[GO_STACKS_SYS] = 3520, [GO_MSPAN_SYS] = 3528, [GO_MCACHE_SYS] = 3536,    \
	[GO_BUCKHASH_SYS] = 3544, [GO_GC_MISC_SYS] = 3552, [GO_OTHER_SYS] = 3560, \
	[GO_NUM_GC] = 7680, [GO_IN_PTR_SCALAR_BITS] = GO_ABSENT, [GO_DELTA_BYTES] = 1168

#define DELTA                                                                          \
	[GO_HEAP_STATS] = 0, [GO_COMMITTED] = 0, [GO_RELEASED] = 8, [GO_IN_HEAP] = 16, \
	[GO_IN_STACKS] = 24, [GO_IN_WORK_BUFS] = 32

#define HEAP_1_22                                                                         \
	[GO_ALL_SPANS] = 65864, [GO_ARENAS] = 66008, [GO_SUMMARY] = 8, [GO_CHUNKS] = 128, \
	[GO_SCAVENGE_INDEX] = 65728, [GO_CHUNK_BYTES] = 128, [GO_SPAN_START] = 24,        \
	[GO_SPAN_PAGES] = 32, [GO_SPAN_ALLOC_COUNT] = 96, [GO_SPAN_CLASS] = 98,           \
	[GO_SPAN_STATE] = 99, [GO_SPAN_ELEM_BYTES] = 104

static const struct {
	unsigned int first, last; /* minor versions */
	struct go_layout layout;
} layouts[] = {
	{19,
	 19,
	 {{
		 [GO_GC_PERCENT] = 0,
		 [GO_MEMORY_LIMIT] = 8,
		 [GO_HEAP_MINIMUM] = 16,
		 [GO_HEAP_MARKED] = 184,
		 [GO_HEAP_IN_USE] = 304,
		 [GO_HEAP_RELEASED] = 312,
		 [GO_HEAP_FREE] = 320,
		 [GO_TOTAL_ALLOC] = 328,
		 [GO_TOTAL_FREE] = 336,
		 [GO_MAPPED_READY] = 344,
		 [GO_PERCENT_GOAL] = 104,
		 [GO_SWEEP_TRIGGER] = 112,
		 [GO_TRIGGERED] = 120,
		 STATS_1_19,
		 DELTA,
		 [GO_ALL_SPANS] = 65856,
		 [GO_ARENAS] = 65936,
		 [GO_SUMMARY] = 16,
		 [GO_CHUNKS] = 136,
		 [GO_SCAVENGE_INDEX] = 65752,
		 [GO_ARENA_BYTES] = 2165776,
		 [GO_CHUNK_BYTES] = 128,
		 [GO_SPAN_START] = 24,
		 [GO_SPAN_PAGES] = 32,
		 [GO_SPAN_ALLOC_COUNT] = 96,
		 [GO_SPAN_CLASS] = 98,
		 [GO_SPAN_STATE] = 99,
		 [GO_SPAN_ELEM_BYTES] = 104,
	 }}},
	{21,
	 21,
	 {{
		 CONTROLLER_1_21,
		 STATS_1_19,
		 DELTA,
		 [GO_ALL_SPANS] = 65864,
		 [GO_ARENAS] = 65944,
		 [GO_SUMMARY] = 8,
		 [GO_CHUNKS] = 128,
		 [GO_SCAVENGE_INDEX] = 65728,
		 [GO_ARENA_BYTES] = 1133584,
		 [GO_CHUNK_BYTES] = 128,
		 [GO_SPAN_START] = 24,
		 [GO_SPAN_PAGES] = 32,
		 [GO_SPAN_ALLOC_COUNT] = 104,
		 [GO_SPAN_CLASS] = 106,
		 [GO_SPAN_STATE] = 107,
		 [GO_SPAN_ELEM_BYTES] = 112,
	 }}},
	{22, 24, {{CONTROLLER_1_21, STATS_1_19, DELTA, HEAP_1_22, [GO_ARENA_BYTES] = 68624}}},
	{25, 27, {{CONTROLLER_1_21, STATS_1_25, DELTA, HEAP_1_22, [GO_ARENA_BYTES] = 69648}}},
};

unsigned int go_version__minor(const char *version)
{
	unsigned long minor;

	if (strncmp(version, "go1.", 4) || !isdigit((unsigned char)version[4]))
		return 0;
	minor = strtoul(version + 4, NULL, 10);
	return minor > 1000 ? 0 : (unsigned int)minor;
}

/* Not go1.25rc1, nor one with X: and its experiments. */
static bool is_release(const char *version)
{
	return strspn(version + 4, "0123456789.") == strlen(version + 4);
}

bool go_layout__of_version(const char *version, struct go_layout *layout)
{
	unsigned int minor = go_version__minor(version);

	if (!minor || !is_release(version))
		return false;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (minor >= layouts[i].first && minor <= layouts[i].last) {
			*layout = layouts[i].layout;
			return true;
		}
	}
	return false;
}
