// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/allocators.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "heap/allocators_report.h"
#include "heap/allocators_tree.h"
#include "heap/jemalloc.h"
#include "heap/malloc_owner.h"
#include "heap/mimalloc.h"
#include "heap/musl.h"
#include "heap/partition_alloc.h"
#include "heap/pymalloc.h"
#include "heap/tcmalloc.h"
#include "heap/v8.h"

/* Objects of one process that have an allocator with a tree; further ones are not told. */
#define TREES_MAX 4

/* More in use than there is: sizes or counts that were overwritten. */
static bool knows_in_use(const struct allocator_facts *facts)
{
	return facts->has_in_use && facts->in_use_bytes <= facts->bytes;
}

void allocators__add(struct allocators *out, const struct allocator_facts *facts)
{
	for (size_t i = 0; i < out->other_count; i++) {
		struct allocator_facts *known = &out->others[i];

		if (strcmp(known->name, facts->name) != 0)
			continue;
		known->bytes += facts->bytes;
		known->in_use_bytes += facts->in_use_bytes;
		known->has_in_use &= knows_in_use(facts);
		return;
	}
	if (out->other_count < ALLOCATORS_MAX) {
		out->others[out->other_count] = *facts;
		out->others[out->other_count++].has_in_use = knows_in_use(facts);
	}
}

static int read_tree(const struct tree *tree, bool is_tcmalloc, struct subject *subject,
		     struct claims *claims, struct allocators *out)
{
	return is_tcmalloc ? tcmalloc__read(tree, subject, claims, out)
			   : jemalloc__read(tree, subject, claims, out);
}

/* What trees were told to hold of the component. */
static uint64_t told_bytes(const struct allocators *out, enum ledger_component component)
{
	uint64_t bytes = 0;

	if (component == LEDGER_JEMALLOC)
		return out->jemalloc.extents_in_mappings.found;
	for (size_t i = 0; i < out->other_count; i++)
		bytes += out->others[i].bytes;
	return bytes;
}

/* Allocators of two objects share nothing: a tree that leads to what another one has is a copy of
 * that one, or was overwritten, and nothing is told of it. */
static int add_tree(const struct tree *tree, enum ledger_component component,
		    struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct allocators without = *out;
	uint64_t before, after;
	int err = claims__covered(claims, component, NULL, &before);

	if (!err)
		err = read_tree(tree, component == LEDGER_TCMALLOC, subject, claims, out);
	if (!err && before)
		err = claims__covered(claims, component, NULL, &after);
	if (!err && before &&
	    told_bytes(out, component) - told_bytes(&without, component) > after - before)
		*out = without;
	return err;
}

static int read_trees(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct tree_kind kinds[JEMALLOC_KINDS + 1];
	struct tree trees[TREES_MAX];
	int count, err = 0;

	memcpy(kinds, jemalloc_kinds, sizeof(jemalloc_kinds));
	kinds[JEMALLOC_KINDS] = tcmalloc_kind;
	count = tree__find(subject, kinds, JEMALLOC_KINDS + 1, trees, TREES_MAX);
	for (int i = 0; !err && i < count; i++)
		err = add_tree(&trees[i],
			       trees[i].kind == &kinds[JEMALLOC_KINDS] ? LEDGER_TCMALLOC
								       : LEDGER_JEMALLOC,
			       subject, claims, out);
	return count < 0 ? count : err;
}

typedef int (*reader_fn)(struct subject *subject, struct claims *claims, struct allocators *out);

static const reader_fn readers[] = {
	read_trees,     mimalloc__read, mimalloc3__read,       musl__read,
	pymalloc__read, v8__read,       partition_alloc__read,
};

/* For all of them together: a heap of a few GB takes some 50 ms. A process that other readers of
 * this one gave less time keeps that. */
#define TIME_MAX_NS 2000000000ull

int allocators__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	uint64_t deadline_ns = subject->memory.deadline_ns;
	uint64_t own_ns;
	int err;

	memset(out, 0, sizeof(*out));
	err = malloc_owner__read(subject->pid, out);
	own_ns = monotonic_ns() + TIME_MAX_NS;
	if (!deadline_ns || deadline_ns > own_ns)
		subject->memory.deadline_ns = own_ns;
	for (size_t i = 0; !err && i < sizeof(readers) / sizeof(readers[0]); i++) {
		err = readers[i](subject, claims, out);
		/* Out of time or bytes: what is known so far stays true. */
		if (err == -ETIME || err == -EDQUOT)
			err = 0;
	}
	subject->memory.deadline_ns = deadline_ns;
	return err;
}
