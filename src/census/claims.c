// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/claims.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static const char *const names[LEDGER_COMPONENTS] = {
	[LEDGER_MAIN_STACK] = "main-stack",
	[LEDGER_THREAD_STACKS] = "thread-stacks",
	[LEDGER_GO_HEAP] = "go-heap",
	[LEDGER_GO_RUNTIME] = "go-runtime",
	[LEDGER_PYMALLOC] = "pymalloc",
	[LEDGER_V8] = "v8",
	[LEDGER_JEMALLOC] = "jemalloc",
	[LEDGER_TCMALLOC] = "tcmalloc",
	[LEDGER_MIMALLOC] = "mimalloc",
	[LEDGER_MUSL] = "musl",
	[LEDGER_PARTITION_ALLOC] = "partition-alloc",
	[LEDGER_MALLOC_ARENAS] = "malloc-arenas",
	[LEDGER_MALLOC_MMAPPED] = "malloc-mmapped",
	[LEDGER_BRK_HEAP] = "brk-heap",
	[LEDGER_BINARY] = "binary",
	[LEDGER_FILE] = "file",
	[LEDGER_SHMEM] = "shmem",
	[LEDGER_LARGE_ANONYMOUS] = "large-anonymous",
	[LEDGER_OTHER_ANONYMOUS] = "other-anonymous",
	[LEDGER_UNKNOWN] = "unknown",
};

const char *ledger_component__name(enum ledger_component component)
{
	return names[component];
}

static int append(struct claims *claims, const struct claim *claim)
{
	if (!claims->items || claims->count == claims->room) {
		size_t room = claims->room ? 2 * claims->room : 64;
		struct claim *items = reallocarray(claims->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		claims->items = items;
		claims->room = room;
	}
	claims->items[claims->count++] = *claim;
	return 0;
}

static bool same_kind(const struct claim *a, const struct claim *b)
{
	return a->component == b->component && a->how == b->how;
}

int claims__add(struct claims *claims, uint64_t start, uint64_t end,
		enum ledger_component component, const char *how)
{
	struct claim claim = {.start = start, .end = end, .component = component, .how = how};
	struct claim *last = claims->count ? &claims->items[claims->count - 1] : NULL;

	if (start >= end)
		return -EINVAL;
	if (last && same_kind(last, &claim) && last->end == start) {
		last->end = end;
		return 0;
	}
	if (claims->count == CLAIMS_MAX) {
		claims->refused++;
		return -ENOSPC;
	}
	return append(claims, &claim);
}

/* By precedence, then by address: each one then only has to give way to what is there already. */
static int by_precedence(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;

	if (a->component != b->component)
		return a->component < b->component ? -1 : 1;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return 0;
}

/* Merges two disjoint lists by address, the second giving way to the first. */
static int merge(const struct claims *firm, const struct claims *weak, struct claims *out)
{
	size_t i = 0;
	int err = 0;

	for (size_t k = 0; !err && k < weak->count; k++) {
		struct claim rest = weak->items[k];

		for (; !err && i < firm->count && firm->items[i].end <= rest.start; i++)
			err = append(out, &firm->items[i]);
		while (!err && rest.start < rest.end) {
			struct claim piece = rest;

			if (i < firm->count && firm->items[i].start < rest.end) {
				piece.end = MAX(firm->items[i].start, rest.start);
				rest.start = firm->items[i].end;
			} else {
				rest.start = rest.end;
			}
			if (piece.start < piece.end)
				err = append(out, &piece);
			/* What reaches beyond this claim may cut the next one as well. */
			if (!err && rest.start < rest.end)
				err = append(out, &firm->items[i++]);
		}
	}
	for (; !err && i < firm->count; i++)
		err = append(out, &firm->items[i]);
	return err;
}

/* Claims of one component, by start: those that overlap or touch become one. */
static int unite(const struct claim *items, size_t count, struct claims *out)
{
	for (size_t i = 0; i < count; i++) {
		struct claim *last = out->count ? &out->items[out->count - 1] : NULL;
		int err = 0;

		if (last && items[i].start <= last->end)
			last->end = MAX(last->end, items[i].end);
		else
			err = append(out, &items[i]);
		if (err)
			return err;
	}
	return 0;
}

int claims__covered(const struct claims *claims, enum ledger_component component, const char *how,
		    uint64_t *bytes)
{
	struct claims own = {0}, united = {0};
	int err = 0;

	*bytes = 0;
	for (size_t i = 0; !err && i < claims->count; i++) {
		const struct claim *claim = &claims->items[i];

		if (claim->component == component && (!how || claim->how == how))
			err = append(&own, claim);
	}
	if (own.count)
		qsort(own.items, own.count, sizeof(*own.items), by_precedence);
	if (!err)
		err = unite(own.items, own.count, &united);
	for (size_t i = 0; !err && i < united.count; i++)
		*bytes += united.items[i].end - united.items[i].start;
	free(own.items);
	free(united.items);
	return err;
}

int claims__settle(struct claims *claims)
{
	struct claims settled = {0};
	size_t from = 0;
	int err = 0;

	if (claims->count)
		qsort(claims->items, claims->count, sizeof(*claims->items), by_precedence);
	while (!err && from < claims->count) {
		struct claims weak = {0}, merged = {0};
		size_t to = from;

		while (to < claims->count &&
		       claims->items[to].component == claims->items[from].component)
			to++;
		err = unite(claims->items + from, to - from, &weak);
		if (!err)
			err = merge(&settled, &weak, &merged);
		free(weak.items);
		if (err) {
			free(merged.items);
			break;
		}
		free(settled.items);
		settled = merged;
		from = to;
	}
	if (err) {
		free(settled.items);
		return err;
	}
	free(claims->items);
	settled.refused = claims->refused;
	*claims = settled;
	return 0;
}

const struct claim *claims__find(const struct claims *claims, uint64_t addr, uint64_t *next)
{
	size_t low = 0, high = claims->count;
	bool inside;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (claims->items[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	inside = low < claims->count && claims->items[low].start <= addr;
	if (next)
		*next = low == claims->count ? UINT64_MAX
			: inside             ? claims->items[low].end
					     : claims->items[low].start;
	return inside ? &claims->items[low] : NULL;
}

void claims__free(struct claims *claims)
{
	free(claims->items);
	memset(claims, 0, sizeof(*claims));
}
