// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "model/space_impl.h"

static const char *difference(const struct space *space, const struct space_span *span)
{
	if (!span->entry)
		return "modelled, but not in /proc";
	if (!span->mapping)
		return space_span__is_stack_growth(space, span) ? NULL
								: "in /proc, but not modelled";
	if (span->mapping->prot != span->entry->prot)
		return "other protection in /proc";
	return NULL;
}

int space__compare(const struct space *space, const struct maps_entry *entries, size_t n,
		   void (*differ)(void *ctx, uint64_t start, uint64_t end, const char *why),
		   void *ctx)
{
	struct space_walk walk;
	struct space_span span;
	uint64_t start = 0, end = 0;
	const char *why = NULL;
	int ranges = 0;

	space_walk__init(&walk, space, entries, n);
	while (space_walk__next(&walk, &span)) {
		const char *found = difference(space, &span);

		/* One range for all that differs alike without a gap. */
		if (why && found == why && span.start == end) {
			end = span.end;
			continue;
		}
		if (why && differ)
			differ(ctx, start, end, why);
		if (found)
			ranges++;
		why = found;
		start = span.start;
		end = span.end;
	}
	if (why && differ)
		differ(ctx, start, end, why);
	return ranges;
}
