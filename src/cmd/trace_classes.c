// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the size classes of --buckets have to do with the allocators of a process. */
#include "cmd/trace_session.h"

#define BIT(kind) (1u << (kind))

static uint32_t allocator_of(const struct class_table *classes)
{
	switch (classes->rules) {
	case SIZE_RULES_GLIBC:
		return BIT(ALLOCATOR_GLIBC);
	case SIZE_RULES_JEMALLOC:
		return BIT(ALLOCATOR_JEMALLOC);
	default:
		return BIT(ALLOCATOR_GO);
	}
}

enum rules_match trace_classes__match(const struct class_table *classes,
				      const struct process *process)
{
	uint32_t wanted = allocator_of(classes);
	uint32_t others = process->allocators & ~wanted & ~BIT(ALLOCATOR_GO);

	if (!process->allocators)
		return RULES_UNKNOWN;
	if (!(process->allocators & wanted))
		return RULES_DIFFER;
	/* Go's requests are counted by themselves. */
	if (wanted == BIT(ALLOCATOR_GO) || !others)
		return RULES_MATCH;
	/* glibc is always there, and takes no part where another one has its functions' names. */
	return wanted == BIT(ALLOCATOR_GLIBC) ? RULES_DIFFER : RULES_MIXED;
}

const char *trace_classes__allocator(const struct process *process, unsigned int index)
{
	for (int kind = ALLOCATOR_UNKNOWN; kind <= ALLOCATOR_GO; kind++) {
		if (process->allocators & BIT(kind) && !index--)
			return allocator_kind__name((enum allocator_kind)kind);
	}
	return NULL;
}
