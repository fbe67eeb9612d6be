// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>

#include "output/profile.h"

/* pprof's names of heap profiles (alloc_space, inuse_space) are known to its readers. */
static const struct weight_info weights[WEIGHT_MAX] = {
	[WEIGHT_MMAP_BYTES] = {"mmap_bytes", "bytes mapped", true, "mmap_space", "bytes"},
	[WEIGHT_MMAP_COUNT] = {"mmap_count", "calls of mmap", false, "mmap_objects", "count"},
	[WEIGHT_UNRELEASED_BYTES] = {"unreleased_bytes", "bytes mapped and not released", true,
				     "unreleased_space", "bytes"},
	[WEIGHT_UNRELEASED_COUNT] = {"unreleased_count", "mappings not released", false,
				     "unreleased_objects", "count"},
	[WEIGHT_ALLOC_BYTES] = {"alloc_bytes", "bytes requested of allocators", true, "alloc_space",
				"bytes"},
	[WEIGHT_ALLOC_COUNT] = {"alloc_count", "requests to allocators", false, "alloc_objects",
				"count"},
	[WEIGHT_LIVE_BYTES] = {"live_bytes", "bytes allocated and not freed", true, "inuse_space",
			       "bytes"},
	[WEIGHT_LIVE_COUNT] = {"live_count", "allocations not freed", false, "inuse_objects",
			       "count"},
	[WEIGHT_ARENA_COUNT] = {"arena_count", "malloc arenas created", false, "arenas", "count"},
	[WEIGHT_FAULT_BYTES] = {"fault_bytes", "bytes faulted in", true, "fault_space", "bytes"},
};

const struct weight_info *profile_weight__info(enum profile_weight weight)
{
	return &weights[weight];
}

int profile_weight__parse(const char *name, enum profile_weight *weight)
{
	for (int i = 0; i < WEIGHT_MAX; i++) {
		if (!strcmp(name, weights[i].name)) {
			*weight = (enum profile_weight)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *profile_weight__names(char buf[PROFILE_WEIGHT_NAMES_MAX])
{
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < WEIGHT_MAX; i++) {
		if (used < PROFILE_WEIGHT_NAMES_MAX)
			used += (size_t)snprintf(buf + used, PROFILE_WEIGHT_NAMES_MAX - used,
						 "%s%s", used ? ", " : "", weights[i].name);
	}
	return buf;
}
