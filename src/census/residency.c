// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/residency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

#include "census/claims.h"
#include "census/ledger_walk.h"
#include "census/memory.h"
#include "census/proc_file.h"
#include "census/subject.h"
#include "census/thread_stacks.h"

enum part {
	PART_ARENAS,
	PART_STACKS,
	PART_BRK,
	PART_GO,
	PART_DIRECT,
	PART_FILE,
	PART_OTHER,
	PARTS
};

struct measure {
	const struct residency_input *input;
	uint32_t memory_tid; /* through which thread its memory is read */
	struct page_runs runs;
	struct claims claims;
	uint64_t bytes[PARTS];
};

static int add(struct measure *measure, uint64_t start, uint64_t end,
	       enum ledger_component component)
{
	int err = start < end ? claims__add(&measure->claims, start, end, component, NULL) : 0;

	return err == -ENOSPC ? 0 : err; /* it then is what its mapping makes it */
}

static int claim_arenas(struct measure *measure)
{
	const struct glibc_arenas *arenas = measure->input->arenas;
	int err = 0;

	for (size_t i = 0; !err && arenas && i < arenas->heap_count; i++)
		err = add(measure, arenas->heaps[i].base,
			  arenas->heaps[i].base + arenas->heaps[i].mapped_bytes,
			  LEDGER_MALLOC_ARENAS);
	return err;
}

static int claim_mappings(struct measure *measure)
{
	const struct residency_input *input = measure->input;
	uint64_t brk_end = input->space ? input->space->brk_end : 0;
	int err = 0;

	for (size_t i = 0; !err && i < input->n; i++) {
		const struct maps_entry *entry = &input->entries[i];

		if (entry_is_anonymous(entry) && go_heap__may_hold(input->go_heap, entry->start))
			err = add(measure, entry->start, entry->end, LEDGER_GO_HEAP);
		/* The kernel names a whole mapping [heap] when the break lies in it; what it merged
		 * above is told by the break itself. */
		if (!err && !strcmp(entry->path, "[heap]") && brk_end > entry->start)
			err = add(measure, brk_end, entry->end, LEDGER_OTHER_ANONYMOUS);
	}
	return err;
}

/*
 * A mapping that is taken for a stack because a stack pointer lies in it. The trace knows which of
 * its parts were mapped apart: those are no stack because they merged with one.
 */
static int claim_whole_mapping(struct measure *measure, const struct stack_range *range)
{
	const struct space *space = measure->input->space;
	const struct mapping *piece = space ? space__find(space, range->start) : NULL;
	uint64_t from = range->start;
	int err = 0;

	for (; !err && piece && piece->start < range->end; piece = space__next(piece)) {
		bool holds = piece->start <= range->sp && range->sp < piece->end;

		if (piece->origin->before_trace || holds)
			continue;
		err = add(measure, from, piece->start, LEDGER_THREAD_STACKS);
		from = piece->end;
	}
	return err ? err : add(measure, from, range->end, LEDGER_THREAD_STACKS);
}

static int claim_stacks(struct measure *measure)
{
	const struct residency_input *input = measure->input;
	struct memory memory = {.pid = measure->memory_tid, .runs = &measure->runs};
	const struct stack_query query = {
		.pid = input->pid,
		.entries = input->entries,
		.n = input->n,
		.pm = input->pm,
		.memory = &memory,
		.go_heap = input->go_heap,
	};
	const struct mapping *piece;
	struct stack_range *stacks;
	size_t count;
	int err = thread_stacks__all(&query, &stacks, &count);

	if (err)
		return err;
	for (size_t i = 0; !err && i < count; i++)
		err = stacks[i].exact
			      ? add(measure, stacks[i].start, stacks[i].end, LEDGER_THREAD_STACKS)
			      : claim_whole_mapping(measure, &stacks[i]);
	free(stacks);
	if (err || !input->space)
		return err;
	space__for_each (piece, input->space) {
		if (piece->origin->map_flags & MAP_STACK)
			err = add(measure, piece->start, piece->end, LEDGER_THREAD_STACKS);
		if (err)
			break;
	}
	return err;
}

static enum part part_of_claim(enum ledger_component component)
{
	switch (component) {
	case LEDGER_MALLOC_ARENAS:
		return PART_ARENAS;
	case LEDGER_THREAD_STACKS:
		return PART_STACKS;
	case LEDGER_GO_HEAP:
		return PART_GO;
	default:
		return PART_DIRECT;
	}
}

static void add_piece(void *ctx, const struct ledger_piece *piece)
{
	static const enum part parts[MAPPING_KINDS] = {
		[MAPPING_KERNEL] = PART_OTHER,      [MAPPING_VDSO] = PART_OTHER,
		[MAPPING_BSS] = PART_OTHER,         [MAPPING_PROBES] = PART_OTHER,
		[MAPPING_MAIN_STACK] = PART_STACKS, [MAPPING_BINARY] = PART_FILE,
		[MAPPING_FILE] = PART_FILE,         [MAPPING_SHMEM] = PART_FILE,
		[MAPPING_UNKNOWN] = PART_FILE,      [MAPPING_BRK] = PART_BRK,
		[MAPPING_LOADER] = PART_DIRECT,     [MAPPING_LARGE] = PART_DIRECT,
		[MAPPING_ANONYMOUS] = PART_DIRECT,
	};
	struct measure *measure = ctx;
	enum part part = piece->claim ? part_of_claim(piece->claim->component) : parts[piece->kind];

	measure->bytes[part] += piece->resident_bytes;
}

static int sum_parts(struct measure *measure)
{
	const struct residency_input *input = measure->input;
	struct memory memory = {.pid = measure->memory_tid, .runs = &measure->runs};
	struct mapping_rules rules;
	const struct ledger_walk walk = {
		.rules = &rules,
		.claims = &measure->claims,
		.runs = &measure->runs,
		.pm = input->pm,
		.fn = add_piece,
		.ctx = measure,
	};
	/* Without a look at the mounts: files and shared memory are one part here. */
	int err =
		mapping_rules__open(&rules, 0, input->entries, input->n, input->start_brk, &memory);

	if (err)
		return err;
	err = ledger_walk__each(&walk);
	mapping_rules__close(&rules);
	return err;
}

static void store_parts(const struct measure *measure, struct residency *out)
{
	out->known = true;
	out->arenas = measure->bytes[PART_ARENAS];
	out->thread_stacks = measure->bytes[PART_STACKS];
	out->brk = measure->bytes[PART_BRK];
	out->go_heap = measure->bytes[PART_GO];
	out->direct = measure->bytes[PART_DIRECT];
	out->file = measure->bytes[PART_FILE];
	out->other = measure->bytes[PART_OTHER];
}

int residency__measure(const struct residency_input *input, struct residency *out)
{
	struct measure measure = {.input = input};
	int err = proc_memory_tid(input->pid, &measure.memory_tid);

	if (!err)
		err = entries__runs(input->pm, input->entries, input->n, &measure.runs);
	if (!err)
		err = claim_arenas(&measure);
	if (!err)
		err = claim_mappings(&measure);
	if (!err)
		err = claim_stacks(&measure);
	if (!err)
		err = claims__settle(&measure.claims);
	if (!err)
		err = sum_parts(&measure);
	claims__free(&measure.claims);
	if (err || !input->keep)
		page_runs__free(&measure.runs);
	else
		*input->keep = measure.runs;
	if (!err)
		store_parts(&measure, out);
	return err == -ENOENT ? -ESRCH : err;
}

uint64_t residency__sum(const struct residency *residency)
{
	return residency->arenas + residency->thread_stacks + residency->brk + residency->go_heap +
	       residency->direct + residency->file + residency->other;
}

int residency__origin(struct pagemap *pm, const struct space *space, const struct origin *origin,
		      uint64_t *bytes)
{
	uint64_t left = origin->live_bytes, sum = 0;
	const struct mapping *piece = space__find(space, origin->address);

	/* Its pieces lie at and above its address, others may lie between them. */
	for (; piece && left; piece = space__next(piece)) {
		uint64_t length = piece->end - piece->start, part;
		int err;

		if (piece->origin != origin)
			continue;
		err = pagemap__resident(pm, piece->start, piece->end, &part);
		if (err)
			return err;
		sum += part;
		left -= MIN(length, left);
	}
	*bytes = sum;
	return 0;
}
