// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/page_runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static int append(struct page_run **runs, size_t *count, size_t *room, uint64_t start, uint64_t end)
{
	struct page_run *last = *count ? &(*runs)[*count - 1] : NULL;

	if (last && last->end == start) {
		last->end = end;
		return 0;
	}
	if (!*runs || *count == *room) {
		size_t bigger = *room ? 2 * *room : 64;
		struct page_run *grown = reallocarray(*runs, bigger, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		*runs = grown;
		*room = bigger;
	}
	(*runs)[(*count)++] = (struct page_run){.start = start, .end = end};
	return 0;
}

int page_runs__add(struct page_runs *runs, uint64_t start, uint64_t end)
{
	if (runs->count >= PAGE_RUNS_MAX) {
		/* From here on nothing is known. */
		if (runs->unknown_count && runs->unknown[runs->unknown_count - 1].end == UINT64_MAX)
			return 0;
		return page_runs__add_unknown(runs, start, UINT64_MAX);
	}
	return append(&runs->runs, &runs->count, &runs->room, start, end);
}

int page_runs__add_unknown(struct page_runs *runs, uint64_t start, uint64_t end)
{
	return append(&runs->unknown, &runs->unknown_count, &runs->unknown_room, start, end);
}

static size_t first_above(const struct page_run *runs, size_t count, uint64_t addr)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (runs[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t page_runs__above(const struct page_runs *runs, uint64_t addr)
{
	return first_above(runs->runs, runs->count, addr);
}

int page_runs__count(const struct page_runs *runs, uint64_t start, uint64_t end, uint64_t *bytes)
{
	size_t i = first_above(runs->unknown, runs->unknown_count, start);
	uint64_t sum = 0;

	if (i < runs->unknown_count && runs->unknown[i].start < end)
		return -ENODATA;
	for (i = page_runs__above(runs, start); i < runs->count && runs->runs[i].start < end; i++)
		sum += MIN(runs->runs[i].end, end) - MAX(runs->runs[i].start, start);
	*bytes = sum;
	return 0;
}

void page_runs__free(struct page_runs *runs)
{
	free(runs->runs);
	free(runs->unknown);
	memset(runs, 0, sizeof(*runs));
}
