// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uthash.h>

#include "analysis/large_kind.h"
#include "memdrift/record.h"

const char *large_kind__name(enum large_kind kind)
{
#define KIND_NAME(name, text) [LARGE_##name] = text,
	static const char *const names[LARGE_KIND_MAX] = {LARGE_KINDS(KIND_NAME)};
#undef KIND_NAME

	return names[kind];
}

/* An origin whose pieces are being put together. */
struct group {
	UT_hash_handle hh;
	const struct origin *origin;
	struct large_mapping mapping;
};

struct choice {
	const struct process *process;
	const struct large_options *options;
	struct kind_evidence evidence;
	uint64_t end_ns;
	struct group *groups;
	struct large_mapping *mappings;
	size_t count, room;
	size_t splits;
	/* Pieces that were there before the trace and have no gap between them. */
	const struct mapping **run;
	size_t run_count, run_room;
};

static bool is_large(const struct choice *choice, uint64_t bytes)
{
	for (size_t i = 0; bytes && i < choice->options->size_count; i++) {
		if (choice->options->sizes[i] && bytes % choice->options->sizes[i] == 0)
			return true;
	}
	return false;
}

static bool is_committed(uint32_t prot)
{
	return (prot & (PROT_READ | PROT_WRITE)) == (PROT_READ | PROT_WRITE);
}

static void start_mapping(const struct choice *choice, const struct origin *origin,
			  uint64_t address, struct large_mapping *mapping)
{
	uint64_t since_ns = origin->before_trace ? choice->options->started_ns : origin->created_ns;

	*mapping = (struct large_mapping){
		.address = address,
		.before_attach = origin->before_trace,
		.tid = origin->tid,
		.stack = origin->before_trace ? STACK_NONE : origin->stack,
	};
	if (choice->end_ns > since_ns)
		mapping->age_s = (double)(choice->end_ns - since_ns) / 1e9;
}

/* Adds [start, end), a part of one piece. One part of unknown residency makes the sum unknown. */
static void add_part(const struct choice *choice, struct large_mapping *mapping, uint64_t start,
		     uint64_t end, uint32_t prot)
{
	const struct large_facts *facts = choice->evidence.facts;
	uint64_t bytes = 0;
	double age_s = 0;

	mapping->reserved_bytes += end - start;
	if (is_committed(prot))
		mapping->committed_bytes += end - start;
	if (mapping->resident_bytes < 0)
		return;
	if (!facts || !facts->resident ||
	    facts->resident(facts->ctx, choice->process, start, end, &bytes, &age_s)) {
		mapping->resident_bytes = -1;
		mapping->resident_age_s = 0;
		return;
	}
	mapping->resident_bytes += (int64_t)bytes;
	if (age_s > mapping->resident_age_s)
		mapping->resident_age_s = age_s;
}

static int keep_mapping(struct choice *choice, const struct large_mapping *mapping)
{
	if (choice->count == choice->room) {
		size_t room = choice->room ? 2 * choice->room : 16;
		struct large_mapping *bigger =
			reallocarray(choice->mappings, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		choice->mappings = bigger;
		choice->room = room;
	}
	choice->mappings[choice->count++] = *mapping;
	return 0;
}

static int add_to_group(struct choice *choice, const struct mapping *piece)
{
	const struct origin *origin = piece->origin;
	struct group *group;

	if (!is_large(choice, origin->created_bytes) && !is_large(choice, origin->live_bytes))
		return 0;
	HASH_FIND_PTR(choice->groups, &origin, group);
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->origin = origin;
		start_mapping(choice, origin, piece->start, &group->mapping);
		HASH_ADD_PTR(choice->groups, origin, group);
	}
	add_part(choice, &group->mapping, piece->start, piece->end, piece->prot);
	return 0;
}

static int finish_groups(struct choice *choice)
{
	struct group *group, *next;
	int err = 0;

	HASH_ITER (hh, choice->groups, group, next) {
		struct large_mapping *mapping = &group->mapping;

		mapping->kind = kind__of(&choice->evidence, group->origin, mapping->address,
					 mapping->reserved_bytes);
		if (!err)
			err = keep_mapping(choice, mapping);
		HASH_DEL(choice->groups, group);
		free(group);
	}
	return err;
}

/* The first piece of the run that ends above an address: a run has as many pieces as a process can
 * map, and is asked about every 64 MiB of it. */
static size_t first_in_run(const struct choice *choice, uint64_t address)
{
	size_t low = 0, high = choice->run_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (choice->run[middle]->end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Adds what the run has of [start, end) to a mapping that begins there. */
static void take_from_run(const struct choice *choice, uint64_t start, uint64_t end,
			  struct large_mapping *mapping)
{
	bool started = false;

	for (size_t i = first_in_run(choice, start);
	     i < choice->run_count && choice->run[i]->start < end; i++) {
		const struct mapping *piece = choice->run[i];
		uint64_t from = piece->start > start ? piece->start : start;
		uint64_t to = piece->end < end ? piece->end : end;

		if (!started)
			start_mapping(choice, piece->origin, start, mapping);
		started = true;
		add_part(choice, mapping, from, to, piece->prot);
	}
}

/* glibc's layout without a look inside: committed from the base, the rest without access. */
static bool looks_like_heap(const struct choice *choice, uint64_t start)
{
	uint64_t at = start;
	bool reserve = false;

	for (size_t i = first_in_run(choice, start);
	     i < choice->run_count && at < start + HEAP_BYTES; i++) {
		const struct mapping *piece = choice->run[i];

		if (is_committed(piece->prot) ? reserve || at != start : piece->prot != PROT_NONE)
			return false;
		reserve |= piece->prot == PROT_NONE;
		at = piece->end;
	}
	return reserve && at == start + HEAP_BYTES;
}

/* What a heap's first page in older memory shows it to be; LARGE_ANONYMOUS for nothing known. */
static enum large_kind split_kind(struct choice *choice, const struct mapping *piece,
				  uint64_t address)
{
	int is_heap;

	if (choice->evidence.go_heap > 0 && go_heap__may_hold(choice->evidence.go_heap, address))
		return LARGE_GO_ARENA;
	if (!is_committed(piece->prot) || choice->splits >= LARGE_SPLITS_MAX)
		return LARGE_ANONYMOUS;
	choice->splits++;
	is_heap = kind__is_glibc_heap(&choice->evidence, address);
	if (is_heap == 1 || (is_heap < 0 && looks_like_heap(choice, address)))
		return LARGE_GLIBC_ARENA;
	return LARGE_ANONYMOUS;
}

/* A stretch of one piece that no heap was found in. */
static int keep_rest(struct choice *choice, const struct mapping *piece, uint64_t start,
		     uint64_t end)
{
	struct large_mapping mapping;

	if (start >= end || !is_large(choice, end - start))
		return 0;
	start_mapping(choice, piece->origin, start, &mapping);
	add_part(choice, &mapping, start, end, piece->prot);
	mapping.kind = kind__of(&choice->evidence, piece->origin, start, end - start);
	return keep_mapping(choice, &mapping);
}

/*
 * Heaps that the kernel's list shows merged with their neighbours, or cut where the protection
 * changes, are put together again; what lies between them counts when its length does.
 */
static int finish_run(struct choice *choice)
{
	uint64_t run_end, taken;
	int err = 0;

	if (!choice->run_count)
		return 0;
	run_end = choice->run[choice->run_count - 1]->end;
	taken = choice->run[0]->start;
	for (size_t i = 0; i < choice->run_count && !err; i++) {
		const struct mapping *piece = choice->run[i];
		uint64_t rest = piece->start > taken ? piece->start : taken;
		uint64_t at = (rest + HEAP_BYTES - 1) & ~(HEAP_BYTES - 1);

		for (; at < piece->end && run_end - at >= HEAP_BYTES && !err; at += HEAP_BYTES) {
			struct large_mapping mapping;
			enum large_kind kind = split_kind(choice, piece, at);

			if (kind == LARGE_ANONYMOUS)
				continue;
			err = keep_rest(choice, piece, rest, at);
			take_from_run(choice, at, at + HEAP_BYTES, &mapping);
			mapping.kind = kind;
			if (!err && is_large(choice, HEAP_BYTES))
				err = keep_mapping(choice, &mapping);
			rest = taken = at + HEAP_BYTES;
		}
		if (!err)
			err = keep_rest(choice, piece, rest, piece->end);
	}
	choice->run_count = 0;
	return err;
}

static int add_to_run(struct choice *choice, const struct mapping *piece)
{
	int err;

	if (choice->run_count && choice->run[choice->run_count - 1]->end != piece->start) {
		err = finish_run(choice);
		if (err)
			return err;
	}
	if (choice->run_count == choice->run_room) {
		size_t room = choice->run_room ? 2 * choice->run_room : 64;
		const struct mapping **bigger =
			reallocarray(choice->run, room, sizeof(*choice->run));

		if (!bigger)
			return -ENOMEM;
		choice->run = bigger;
		choice->run_room = room;
	}
	choice->run[choice->run_count++] = piece;
	return 0;
}

static int compare_addresses(const void *left, const void *right)
{
	const struct large_mapping *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static int visit_pieces(struct choice *choice)
{
	const struct mapping *piece;
	int err = 0, group_err;

	space__for_each (piece, choice->process->space) {
		const struct origin *origin = piece->origin;
		const uint32_t plain = MAP_ANONYMOUS | MAP_PRIVATE;

		if (origin->is_heap)
			continue;
		if (origin->before_trace && (origin->map_flags & plain) == plain)
			err = add_to_run(choice, piece);
		else
			err = add_to_group(choice, piece);
		if (err)
			break;
	}
	if (!err)
		err = finish_run(choice);
	group_err = finish_groups(choice);
	return err ? err : group_err;
}

int large__choose(const struct process *process, const struct large_options *options,
		  const struct large_facts *facts, const struct stack_namer *namer,
		  struct large_mapping **mappings, size_t *count)
{
	struct choice choice = {
		.process = process,
		.options = options,
		.evidence = {.process = process, .facts = facts, .namer = namer, .go_heap = -1},
		.end_ns = process->ended_ns ? process->ended_ns : options->now_ns,
	};
	int err;

	*mappings = NULL;
	*count = 0;
	if (!process->space)
		return 0;
	if (facts && facts->go_heap)
		choice.evidence.go_heap = facts->go_heap(facts->ctx, process);
	err = visit_pieces(&choice);
	free(choice.run);
	if (err) {
		free(choice.mappings);
		return err;
	}
	if (choice.count)
		qsort(choice.mappings, choice.count, sizeof(*choice.mappings), compare_addresses);
	*mappings = choice.mappings;
	*count = choice.count;
	return 0;
}
