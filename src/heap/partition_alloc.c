// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/partition_alloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

#define SUPER_BYTES    (2ull << 20)
#define CLOSED_BYTES   (16ull << 10)
#define PAGE_BYTES     4096ull
#define SUPER_MAX      65536u /* 128 GiB of them */
#define METADATA_WORDS 32u
#define PLACES_MAX     64u

struct partition_alloc {
	struct subject *subject;
	struct claims *claims;
	uint64_t *supers; /* bases, by address */
	size_t count;
	/* Where in 2 MiB metadata pages lie: one place for each pool of super pages. */
	uint64_t places[PLACES_MAX];
	size_t place_count;
	uint64_t bytes;
};

static bool is_closed(const struct maps_entry *entry)
{
	return !entry->shared && !entry->inode &&
	       !(entry->prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* The entry begins where the open part of a super page does, right behind a closed one. */
static bool opens_super_page(const struct subject *subject, size_t i)
{
	const struct maps_entry *entry = &subject->entries[i];

	return i && entry->start % SUPER_BYTES == CLOSED_BYTES && entry_is_anonymous_rw(entry) &&
	       entry[-1].end == entry->start && is_closed(entry - 1);
}

static int find_super_pages(struct partition_alloc *pa)
{
	pa->supers = calloc(SUPER_MAX, sizeof(*pa->supers));
	if (!pa->supers)
		return -ENOMEM;
	for (size_t i = 0; i < pa->subject->n && pa->count < SUPER_MAX; i++)
		if (opens_super_page(pa->subject, i))
			pa->supers[pa->count++] = pa->subject->entries[i].start - CLOSED_BYTES;
	return 0;
}

static bool is_in_super_page(const struct partition_alloc *pa, uint64_t addr)
{
	uint64_t base = addr & ~(SUPER_BYTES - 1);
	size_t low = 0, high = pa->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pa->supers[middle] < base)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pa->count && pa->supers[low] == base && addr - base >= CLOSED_BYTES;
}

/* The address lies in the data of an object, where roots are. */
static bool is_in_data(const struct subject *subject, uint64_t addr)
{
	const struct maps_entry *entry = addr % 8 ? NULL : subject__entry(subject, addr);

	return entry && scan__is_object_data(subject, (size_t)(entry - subject->entries), true);
}

static bool is_place(const struct partition_alloc *pa, uint64_t addr)
{
	for (size_t i = 0; i < pa->place_count; i++)
		if (pa->places[i] == addr % SUPER_BYTES)
			return true;
	return false;
}

/* A page that may hold metadata: a mapping of its own. */
static bool is_single_page(const struct maps_entry *entry)
{
	return entry->end - entry->start == PAGE_BYTES && entry_is_anonymous_rw(entry);
}

/* Notes the place of a page that names its root, and slots in a super page. 0 or an error. */
static int judge_page(struct partition_alloc *pa, uint64_t addr)
{
	uint64_t words[METADATA_WORDS];
	int err = memory__read(&pa->subject->memory, addr, words, sizeof(words));

	if (err)
		return scan__is_local_error(err) ? 0 : err;
	if (!is_in_data(pa->subject, words[0]))
		return 0;
	for (size_t i = 1; i < METADATA_WORDS && pa->place_count < PLACES_MAX; i++) {
		if (is_in_super_page(pa, words[i]) && !is_place(pa, addr)) {
			pa->places[pa->place_count++] = addr % SUPER_BYTES;
			break;
		}
	}
	return 0;
}

static int claim(struct partition_alloc *pa, const struct maps_entry *entry)
{
	pa->bytes += entry->end - entry->start;
	return claims__add(pa->claims, entry->start, entry->end, LEDGER_PARTITION_ALLOC,
			   "super pages by their layout, named by metadata") == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

/* Whatever is open of a super page, and single pages where metadata lies. */
static int claim_all(struct partition_alloc *pa)
{
	uint64_t end = 0;
	int err = 0;

	for (size_t i = 0; !err && i < pa->subject->n; i++) {
		const struct maps_entry *entry = &pa->subject->entries[i];
		uint64_t base = entry->start & ~(SUPER_BYTES - 1);

		if (!entry_is_anonymous_rw(entry))
			continue;
		if (opens_super_page(pa->subject, i))
			end = base + SUPER_BYTES;
		/* One page of the closed part may be open, for other books of the super page. */
		if (entry->start < end ||
		    (is_single_page(entry) &&
		     (is_place(pa, entry->start) || is_in_super_page(pa, base + CLOSED_BYTES))))
			err = claim(pa, entry);
	}
	return err;
}

int partition_alloc__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct partition_alloc pa = {.subject = subject, .claims = claims};
	int err = find_super_pages(&pa);

	for (size_t i = 0; !err && i < subject->n; i++)
		if (is_single_page(&subject->entries[i]))
			err = judge_page(&pa, subject->entries[i].start);
	if (!err && pa.place_count)
		err = claim_all(&pa);
	if (!err && pa.bytes)
		allocators__add(out, &(struct allocator_facts){
					     .name = "partition-alloc",
					     .how = "super pages by their layout, named by "
						    "metadata pages",
					     .bytes = pa.bytes,
				     });
	free(pa.supers);
	return err;
}
