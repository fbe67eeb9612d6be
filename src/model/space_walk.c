// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A space and the lines of /proc/PID/maps, side by side. */
#include <string.h>
#include <sys/mman.h>

#include "model/space_impl.h"

/*
 * Mapped by the kernel itself at exec, at the first uprobe, or above all user addresses: no request
 * of the program, and not followed. [vvar_vclock] exists since kernel 6.13.
 */
static bool is_kernels_own(const struct maps_entry *entry)
{
	static const char *const names[] = {"[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]",
					    "[uprobes]"};

	if (entry->path[0] != '[')
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(entry->path, names[i]))
			return true;
	}
	return false;
}

void space_walk__init(struct space_walk *walk, const struct space *space,
		      const struct maps_entry *entries, size_t n)
{
	*walk = (struct space_walk){.mapping = space__find(space, 0), .entries = entries, .n = n};
}

/* The next line that ends above pos. A line that changed while /proc was read may come twice. */
static const struct maps_entry *next_entry(struct space_walk *walk)
{
	for (; walk->i < walk->n; walk->i++) {
		const struct maps_entry *entry = &walk->entries[walk->i];

		if (entry->end > walk->pos && entry->start < entry->end &&
		    entry->end <= SPACE_ADDRESS_MAX && !(entry->start % SPACE_PAGE_BYTES) &&
		    !(entry->end % SPACE_PAGE_BYTES) && !is_kernels_own(entry))
			return entry;
	}
	return NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

bool space_walk__next(struct space_walk *walk, struct space_span *span)
{
	const struct maps_entry *entry = next_entry(walk);
	uint64_t mapping_start = UINT64_MAX, entry_start = UINT64_MAX;

	if (walk->mapping && walk->mapping->end <= walk->pos)
		walk->mapping = space__next(walk->mapping);
	if (walk->mapping)
		mapping_start = later(walk->mapping->start, walk->pos);
	if (entry)
		entry_start = later(entry->start, walk->pos);
	if (!walk->mapping && !entry)
		return false;
	span->start = mapping_start < entry_start ? mapping_start : entry_start;
	span->mapping = mapping_start == span->start ? walk->mapping : NULL;
	span->entry = entry_start == span->start ? entry : NULL;
	/* Whichever of the two does not reach span->start yet ends the span where it begins. */
	span->end = span->mapping ? span->mapping->end : mapping_start;
	if ((span->entry ? span->entry->end : entry_start) < span->end)
		span->end = span->entry ? span->entry->end : entry_start;
	walk->pos = span->end;
	return true;
}

bool space_span__is_stack_growth(const struct space *space, const struct space_span *span)
{
	const struct mapping *above = space__find(space, span->end);

	return !span->mapping && above && above->start == span->end &&
	       above->origin->map_flags & MAP_GROWSDOWN && above->prot == span->entry->prot;
}
