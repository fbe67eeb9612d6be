// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/tcmalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

#define PAGE_SHIFT  13  /* kPageShift, unless built with another */
#define CLASSES_MAX 128 /* kClassSizesMax */

/* struct Span: the fields that stay where they are from 2.1 to 2.18. */
struct span {
	uint64_t start;  /* page number */
	uint64_t length; /* in pages */
	uint64_t next, prev, objects;
	uint16_t objects_out; /* refcount: small objects handed out, to threads' caches as well */
	uint8_t size_class;   /* 0: one large object */
	uint8_t flags;        /* location in the low two bits */
	uint32_t unused;
};

enum location { LOCATION_IN_USE, LOCATION_FREE, LOCATION_RETURNED };

static uint64_t span_of(const struct tree_kind *kind, const uint64_t *element)
{
	return *element;
}

static bool parse_span(const struct tree_kind *kind, const void *descriptor, struct tree_run *run)
{
	const struct span *span = descriptor;

	*run = (struct tree_run){span->start, span->length};
	return span->length && !(span->length >> 34) && !(span->start >> 34) &&
	       (span->flags & 3) <= LOCATION_RETURNED && span->size_class < CLASSES_MAX;
}

static bool agrees(const struct tree_kind *kind, const void *descriptor, const uint64_t *element)
{
	return true; /* an element is a plain pointer */
}

static const struct tree_shape shape = {
	.root_words = 1ull << 17,
	.leaf_elements = 1ull << 18,
	.element_words = 1,
};

const struct tree_kind tcmalloc_kind = {
	.shape = &shape,
	.descriptor_bytes = sizeof(struct span),
	.descriptor_align = 16,
	.descriptor = span_of,
	.parse = parse_span,
	.agrees = agrees,
};

struct sums {
	struct subject *subject;
	struct claims *claims;
	uint64_t bytes, free_bytes, returned_bytes;
	uint64_t large_bytes;
	uint64_t class_objects[CLASSES_MAX];
	bool in_brk;

	/* What tcmalloc itself says, once found. */
	bool has_stats;
	bool has_classes;
	int32_t class_bytes[CLASSES_MAX];
};

static int take_span(void *ctx, const struct tree_run *run, const void *descriptor, uint64_t at)
{
	const struct span *span = descriptor;
	uint64_t start = run->page << PAGE_SHIFT, size = run->pages << PAGE_SHIFT;
	const struct maps_entry *entry;
	struct sums *sums = ctx;

	/* The sums are compared with tcmalloc's own: what is not mapped shows there. */
	if (!scan__is_anonymous(sums->subject, start, start + size))
		return 0;
	entry = subject__entry(sums->subject, start);
	sums->in_brk |= entry && !strcmp(entry->path, "[heap]");
	sums->bytes += size;
	if ((span->flags & 3) == LOCATION_FREE)
		sums->free_bytes += size;
	else if ((span->flags & 3) == LOCATION_RETURNED)
		sums->returned_bytes += size;
	else if (!span->size_class)
		sums->large_bytes += size;
	else
		sums->class_objects[span->size_class] += span->objects_out;
	return claims__add(sums->claims, start, start + size, LEDGER_TCMALLOC,
			   "spans of tcmalloc's own page map") == -ENOMEM
		       ? -ENOMEM
		       : 0;
}

/* Sizes of classes: 0, then growing by multiples of 8 up to 256 kB (common.h, kMaxSize). */
static bool read_classes(struct sums *sums, const int32_t *bytes)
{
	size_t n = 1;

	if (bytes[0] || (bytes[1] != 8 && bytes[1] != 16))
		return false;
	while (n < CLASSES_MAX && bytes[n] > bytes[n - 1] && bytes[n] % 8 == 0)
		n++;
	if (n < 20 || bytes[n - 1] < 32 << 10 || bytes[n - 1] > 1 << 20)
		return false;
	memset(sums->class_bytes, 0, sizeof(sums->class_bytes));
	memcpy(sums->class_bytes, bytes, n * sizeof(*bytes));
	return true;
}

static int find_own_books(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct sums *sums = ctx;

	for (size_t i = 0; i + 3 < count; i++) {
		/* PageHeap::Stats: system, free, unmapped bytes. */
		if (words[i] == sums->bytes && words[i + 1] == sums->free_bytes &&
		    words[i + 2] == sums->returned_bytes)
			sums->has_stats = true;
	}
	for (size_t i = 0; !sums->has_classes && i + CLASSES_MAX <= 2 * count; i++)
		sums->has_classes = read_classes(sums, (const int32_t *)words + i);
	return sums->has_stats && sums->has_classes;
}

static int claim_brk(const struct sums *sums)
{
	for (size_t i = 0; sums->in_brk && i < sums->subject->n; i++) {
		const struct maps_entry *entry = &sums->subject->entries[i];

		if (!strcmp(entry->path, "[heap]") &&
		    claims__add(sums->claims, entry->start, entry->end, LEDGER_TCMALLOC,
				"brk area that tcmalloc works in") == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static void report(const struct sums *sums, struct allocators *out)
{
	struct allocator_facts facts = {
		.name = "tcmalloc",
		.how = "spans of its own page map",
		.bytes = sums->bytes,
		.in_use_bytes = sums->large_bytes,
		.has_in_use = sums->has_stats && sums->has_classes,
	};

	for (size_t i = 0; i < CLASSES_MAX; i++) {
		facts.in_use_bytes += sums->class_objects[i] * (uint64_t)sums->class_bytes[i];
		if (sums->class_objects[i] && !sums->class_bytes[i])
			facts.has_in_use = false;
	}
	allocators__add(out, &facts);
}

int tcmalloc__read(const struct tree *tree, struct subject *subject, struct claims *claims,
		   struct allocators *out)
{
	struct sums *sums = calloc(1, sizeof(*sums));
	struct tree_walk walk = {.run = take_span, .ctx = sums};
	int err;

	if (!sums)
		return -ENOMEM;
	sums->subject = subject;
	sums->claims = claims;
	err = tree__walk(tree, subject, &walk);
	if (!err)
		err = scan__each_overlapping(subject, tree->area_start, tree->area_end,
					     find_own_books, sums);
	/* Out of time or bytes: then nothing is said of what is in use. */
	if (err > 0 || err == -ETIME || err == -EDQUOT)
		err = 0;
	if (!err)
		err = claim_brk(sums);
	if (!err && sums->bytes)
		report(sums, out);
	free(sums);
	return err;
}
