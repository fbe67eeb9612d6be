// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/ledger_walk.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/param.h>

/* Where the walk is in the lists, all of which are by address. */
struct position {
	const struct ledger_walk *walk;
	size_t claim;   /* the first that ends above */
	size_t run;     /* the same */
	size_t unknown; /* the same of the ranges without runs */
};

static uint64_t count_runs(struct position *at, uint64_t start, uint64_t end)
{
	const struct page_runs *runs = at->walk->runs;
	uint64_t sum = 0;

	while (at->run < runs->count && runs->runs[at->run].end <= start)
		at->run++;
	/* A run that goes on behind the piece is looked at again for the next one. */
	for (; at->run < runs->count && runs->runs[at->run].start < end; at->run++) {
		const struct page_run *run = &runs->runs[at->run];

		sum += MIN(run->end, end) - MAX(run->start, start);
		if (run->end > end)
			break;
	}
	return sum;
}

static bool is_unknown(struct position *at, uint64_t start, uint64_t end)
{
	const struct page_runs *runs = at->walk->runs;

	while (at->unknown < runs->unknown_count && runs->unknown[at->unknown].end <= start)
		at->unknown++;
	return at->unknown < runs->unknown_count && runs->unknown[at->unknown].start < end;
}

static int count_pages(struct position *at, struct ledger_piece *piece)
{
	struct page_counts counts;
	int err;

	if (!is_unknown(at, piece->start, piece->end)) {
		piece->resident_bytes = count_runs(at, piece->start, piece->end);
		return 0;
	}
	err = pagemap__count(at->walk->pm, piece->start, piece->end, &counts);
	if (err)
		return err;
	piece->resident_bytes =
		mapping_is_device(piece->entry) ? counts.file_bytes : counts.resident_bytes;
	return 0;
}

/* The next piece of the entry from start on. */
static void cut_piece(struct position *at, size_t index, uint64_t start, struct ledger_piece *piece)
{
	const struct claims *claims = at->walk->claims;
	const struct maps_entry *entry = &at->walk->rules->entries[index];
	const struct claim *claim;

	*piece = (struct ledger_piece){.entry = entry, .start = start, .end = entry->end};
	/* Nobody's but the kernel's, and not counted as Rss is: whoever claims more than is his. */
	if (mapping_is_kernels(entry)) {
		piece->kind = mapping_rules__kind(at->walk->rules, index, start, &piece->end);
		return;
	}
	while (at->claim < claims->count && claims->items[at->claim].end <= start)
		at->claim++;
	claim = at->claim < claims->count ? &claims->items[at->claim] : NULL;
	if (claim && claim->start <= start) {
		piece->claim = claim;
		piece->end = MIN(claim->end, entry->end);
		return;
	}
	if (claim)
		piece->end = MIN(claim->start, entry->end);
	piece->kind = mapping_rules__kind(at->walk->rules, index, start, &piece->end);
}

/* Only the sum of such a mapping is known: all of it is what its first page is. */
static bool is_too_long(struct position *at, const struct maps_entry *entry)
{
	return entry->end - entry->start > ENTRIES_RANGE_MAX &&
	       is_unknown(at, entry->start, entry->end);
}

int ledger_walk__each(const struct ledger_walk *walk)
{
	struct position at = {.walk = walk};

	for (size_t i = 0; i < walk->rules->n; i++) {
		const struct maps_entry *entry = &walk->rules->entries[i];
		uint64_t start = entry->start;

		while (start < entry->end) {
			struct ledger_piece piece;
			int err;

			cut_piece(&at, i, start, &piece);
			if (is_too_long(&at, entry))
				piece.end = entry->end;
			err = count_pages(&at, &piece);
			if (err)
				return err;
			walk->fn(walk->ctx, &piece);
			start = piece.end;
		}
	}
	return 0;
}
