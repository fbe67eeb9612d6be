// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/heads.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "census/glibc_arenas.h"

struct address_list {
	uint64_t *items;
	size_t count, room;
	const struct page_runs *runs;
};

static int add_address(struct address_list *list, uint64_t addr)
{
	uint64_t bytes;

	/* Reserved address space has many more places than pages. */
	if (list->count == HEADS_MAX || page_runs__count(list->runs, addr, addr + 1, &bytes) ||
	    !bytes)
		return 0;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		uint64_t *items = reallocarray(list->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	list->items[list->count++] = addr;
	return 0;
}

static int add_entry(struct address_list *list, const struct maps_entry *entry,
		     uint64_t smallest_bytes)
{
	const uint64_t step = GLIBC_HEAP_BYTES;
	uint64_t at = (entry->start + step - 1) & ~(step - 1);
	int err = 0;

	if (entry->inode || entry->shared || !(entry->prot & PROT_READ))
		return 0;
	if (entry->end - entry->start >= smallest_bytes)
		err = add_address(list, entry->start);
	for (; !err && at >= entry->start && at < entry->end && list->count < HEADS_MAX; at += step)
		err = add_address(list, at);
	return err;
}

/* Requests that the kernel merged with their neighbours begin in the middle of an entry. */
static int add_requests(struct address_list *list, const struct space *space,
			uint64_t smallest_bytes)
{
	const struct mapping *piece;
	int err = 0;

	space__for_each (piece, space) {
		const struct origin *origin = piece->origin;

		if (origin->map_flags & MAP_ANONYMOUS && origin->live_bytes >= smallest_bytes &&
		    piece->start == origin->address)
			err = add_address(list, piece->start);
		if (err)
			break;
	}
	return err;
}

static int compare_addresses(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static int read_heads(struct pagemap *pm, const struct address_list *list, struct heads *out)
{
	out->items = calloc(list->count + 1, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		struct head *head = &out->items[out->count];
		int err;

		if (i && list->items[i] == list->items[i - 1])
			continue;
		head->address = list->items[i];
		err = pagemap__peek(pm, head->address, head->words, sizeof(head->words));
		if (err == -ESRCH)
			return err;
		out->count += err == 0;
	}
	return 0;
}

int heads__read(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		const struct page_runs *runs, const struct space *space, uint64_t smallest_bytes,
		struct heads *out)
{
	struct address_list list = {.runs = runs};
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; !err && i < n; i++)
		err = add_entry(&list, &entries[i], smallest_bytes);
	if (!err && space)
		err = add_requests(&list, space, smallest_bytes);
	if (!err && list.count) {
		qsort(list.items, list.count, sizeof(*list.items), compare_addresses);
		err = read_heads(pm, &list, out);
	}
	free(list.items);
	if (err)
		heads__free(out);
	return err;
}

void heads__free(struct heads *heads)
{
	free(heads->items);
	memset(heads, 0, sizeof(*heads));
}

static int compare_head(const void *key, const void *element)
{
	uint64_t addr = *(const uint64_t *)key;
	const struct head *head = element;

	return addr < head->address ? -1 : addr > head->address;
}

int heads__peek(const struct heads *heads, uint64_t addr, uint64_t *words, size_t n)
{
	const struct head *head = NULL;

	if (heads->count && n <= HEAD_WORDS)
		head = bsearch(&addr, heads->items, heads->count, sizeof(*head), compare_head);
	if (!head)
		return heads->count < HEADS_MAX ? -ENODATA : -ENOSPC;
	memcpy(words, head->words, n * sizeof(*words));
	return 0;
}
