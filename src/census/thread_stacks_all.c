// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/thread_stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "census/ledger_rules.h"
#include "census/proc_maps.h"
#include "census/proc_stat.h"
#include "census/stack_cache.h"

/* A stack, its guard included, lies in memory of the process's own; not in text, nor in the
 * kernel's pages. */
static bool may_hold_stack(const struct maps_entry *entry)
{
	return !mapping_is_kernels(entry) &&
	       (entry_is_anonymous(entry) || entry->prot & PROT_WRITE);
}

/*
 * Bounds are words of the process's memory: a stack that is not mapped from its start to its end is
 * none. Each mapping is asked once for where those that follow it without a gap end.
 */
static int drop_unmapped(const struct stack_query *query, struct stack_range *ranges, size_t *count)
{
	uint64_t *ends = calloc(query->n + 1, sizeof(*ends));
	size_t kept = 0;

	if (!ends)
		return -ENOMEM;
	for (size_t i = query->n; i-- > 0;) {
		const struct maps_entry *entry = &query->entries[i];
		bool goes_on = i + 1 < query->n && entry[1].start == entry->end && ends[i + 1];

		if (may_hold_stack(entry))
			ends[i] = goes_on ? ends[i + 1] : entry->end;
	}
	for (size_t i = 0; i < *count; i++) {
		const struct maps_entry *entry =
			proc_maps__find(query->entries, query->n, ranges[i].start);

		if (entry && ranges[i].end <= ends[entry - query->entries])
			ranges[kept++] = ranges[i];
	}
	*count = kept;
	free(ends);
	return 0;
}

/* Puts what stack pointers led to among the stacks of the lists, which know better. */
static int merge_ranges(struct stack_range **ranges, size_t *count, const struct stack_range *more,
			size_t more_count)
{
	const size_t known = *count;
	struct stack_range *all = reallocarray(*ranges, known + more_count + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	*ranges = all;
	for (size_t i = 0; i < more_count; i++) {
		if (!thread_stacks__find(all, known, more[i].sp, NULL))
			all[(*count)++] = more[i];
	}
	*count = stack_ranges__sort(all, *count);
	return 0;
}

int thread_stacks__all(const struct stack_query *query, struct stack_range **ranges, size_t *count)
{
	struct stack_range *more = NULL;
	size_t threads = 0, more_count = 0;
	struct proc_stat stat;
	int err = proc_stat__read(query->pid, &stat);

	*ranges = NULL;
	*count = 0;
	if (!err)
		err = stack_cache__read(query->entries, query->n, query->memory, query->exe, ranges,
					count, &threads);
	if (!err)
		err = drop_unmapped(query, *ranges, count);
	if (err) {
		free(*ranges);
		*ranges = NULL;
		return err;
	}
	if (stat.nr_threads > MAX(threads, 1)) {
		err = thread_stacks__read(query->pid, query->entries, query->n, query->pm,
					  query->go_heap, &more, &more_count);
		if (!err)
			err = drop_unmapped(query, more, &more_count);
		if (!err)
			err = merge_ranges(ranges, count, more, more_count);
		free(more);
	} else {
		*count = stack_ranges__sort(*ranges, *count);
	}
	if (err) {
		free(*ranges);
		*ranges = NULL;
	}
	return err;
}

static int compare_sizes(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* The size that most of them have, the larger of two. */
static int64_t usual_size(uint64_t *sizes, size_t count)
{
	size_t most = 0;
	int64_t usual = -1;

	qsort(sizes, count, sizeof(*sizes), compare_sizes);
	for (size_t i = 0, from = 0; i < count; i++) {
		if (sizes[i] != sizes[from])
			from = i;
		if (i + 1 - from >= most) {
			most = i + 1 - from;
			usual = (int64_t)sizes[i];
		}
	}
	return usual;
}

/* Of a mapping that is taken for a stack: what around the stack pointer nobody claims. */
static bool cut_to_unclaimed(const struct claims *claims, struct stack_range *range)
{
	uint64_t next;

	if (claims__find(claims, range->sp, &next))
		return false;
	range->end = MIN(range->end, next);
	for (uint64_t at = range->start; at <= range->sp; at = next) {
		if (claims__find(claims, at, &next))
			range->start = next;
		else if (next > range->sp)
			break;
	}
	return range->start < range->end;
}

static int add_claims(struct subject *subject, struct stack_range *ranges, size_t count,
		      struct claims *claims, uint64_t *sizes, struct stack_facts *out)
{
	/* Claims are looked up while others are added: those follow behind the settled ones. */
	const struct claims settled = *claims;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (ranges[i].exact || cut_to_unclaimed(&settled, &ranges[i]))
			ranges[kept++] = ranges[i];
	}
	for (size_t i = 0; i < kept; i++) {
		const struct stack_range *range = &ranges[i];
		uint64_t resident = subject__resident(subject, range->start, range->end);
		int err = claims__add(claims, range->start, range->end, LEDGER_THREAD_STACKS,
				      range->exact ? "thread control blocks"
						   : "mappings of threads' stack pointers");

		if (err == -ENOMEM)
			return err;
		sizes[i] = range->end - range->start;
		if (range->tid) {
			out->live++;
			out->live_resident_bytes += resident;
		} else {
			out->cached++;
			out->cached_resident_bytes += resident;
		}
	}
	out->usual_bytes = usual_size(sizes, kept);
	return 0;
}

int thread_stacks__claim(struct subject *subject, enum go_heap go_heap, struct claims *claims,
			 struct stack_facts *out)
{
	const struct stack_query query = {
		.pid = subject->pid,
		.entries = subject->entries,
		.n = subject->n,
		.pm = subject->pm,
		.memory = &subject->memory,
		.exe = subject->exe,
		.go_heap = go_heap,
	};
	struct stack_range *ranges = NULL;
	uint64_t *sizes = NULL;
	size_t count = 0;
	int err = thread_stacks__all(&query, &ranges, &count);

	*out = (struct stack_facts){.usual_bytes = -1};
	if (!err && count) {
		sizes = calloc(count, sizeof(*sizes));
		err = sizes ? add_claims(subject, ranges, count, claims, sizes, out) : -ENOMEM;
	}
	free(sizes);
	free(ranges);
	return err;
}
