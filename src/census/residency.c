// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/residency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

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
	struct stack_range *stacks;
	size_t stack_count;
	/* The mapping that is being looked at. */
	const struct maps_entry *entry;
	uint64_t bss_end; /* zero-initialised data reaches from the entry's start to here */
	uint64_t bytes[PARTS];
	int err;
};

bool address_is_go_heap(uint64_t addr)
{
	const uint64_t first = 0xc0ULL << 32;

	/* The first range goes on until the second hint of 2^40 is reached. */
	if (addr < 1ULL << 41)
		return addr >= first;
	/* Position-independent programs start at 0x55…, libraries and mmap end below 0x7fff…:
	 * up to half of the address space only a hint leads. */
	return addr >> 40 < 0x40 && (addr & ((1ULL << 40) - 1)) >= first;
}

static bool is_private_anonymous(const struct maps_entry *entry)
{
	return !entry->shared && !entry->inode &&
	       (!entry->path[0] || strcmp(entry->path, "[heap]") == 0 ||
		strncmp(entry->path, "[anon:", 6) == 0);
}

/* The kernel's own data, which no counter of the process holds. */
static bool is_kernel_data(const struct maps_entry *entry)
{
	return strncmp(entry->path, "[vvar", 5) == 0 || strcmp(entry->path, "[vsyscall]") == 0;
}

/* *next is lowered to where the answer may change. */
static void lower(uint64_t *next, uint64_t addr, uint64_t boundary)
{
	if (boundary > addr && boundary < *next)
		*next = boundary;
}

static bool is_brk(const struct measure *measure, uint64_t addr, uint64_t *next)
{
	const struct residency_input *input = measure->input;
	const struct maps_entry *entry = measure->entry;
	uint64_t start = MAX(input->start_brk, entry->start), end = entry->end;

	if (strcmp(entry->path, "[heap]"))
		return false;
	/* The kernel names a whole mapping [heap] when the break lies in it; neighbours that it
	 * merged are told by the break itself. */
	if (input->space && input->space->brk_end > entry->start &&
	    input->space->brk_end < entry->end)
		end = input->space->brk_end;
	lower(next, addr, start);
	lower(next, addr, end);
	return addr >= start && addr < end;
}

static bool is_arena(const struct measure *measure, uint64_t addr, uint64_t *next)
{
	/* Heaps begin at multiples of their size: nothing changes before the next one. */
	lower(next, addr, (addr | (GLIBC_HEAP_BYTES - 1)) + 1);
	return measure->input->arenas && glibc_arenas__find(measure->input->arenas, addr);
}

static bool is_stack(const struct measure *measure, uint64_t addr, uint64_t *next)
{
	const struct space *space = measure->input->space;
	const struct mapping *piece = space ? space__find(space, addr) : NULL;
	const struct stack_range *range;
	uint64_t boundary;

	range = thread_stacks__find(measure->stacks, measure->stack_count, addr, &boundary);
	lower(next, addr, boundary);
	if (piece && piece->start > addr) {
		lower(next, addr, piece->start);
		piece = NULL;
	}
	if (piece) {
		lower(next, addr, piece->end);
		if (piece->origin->map_flags & MAP_STACK)
			return true;
		/* A mapping that is known to be of its own is no stack because it merged with one.
		 */
		if (range && !range->exact && !piece->origin->before_trace)
			return piece->start <= range->sp && range->sp < piece->end;
	}
	return range;
}

/* What the private anonymous page at addr belongs to, which holds up to *next. */
static enum part classify(const struct measure *measure, uint64_t addr, uint64_t *next)
{
	if (is_brk(measure, addr, next))
		return PART_BRK;
	if (is_arena(measure, addr, next))
		return PART_ARENAS;
	if (measure->input->is_go && address_is_go_heap(addr))
		return PART_GO;
	if (is_stack(measure, addr, next))
		return PART_STACKS;
	lower(next, addr, measure->bss_end);
	return addr < measure->bss_end ? PART_OTHER : PART_DIRECT;
}

static void keep_run(struct measure *measure, uint64_t start, uint64_t end)
{
	struct page_runs *keep = measure->input->keep;

	if (keep && !measure->err)
		measure->err = page_runs__add(keep, start, end);
}

static void add_anonymous_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct measure *measure = ctx;

	keep_run(measure, start, end);
	while (start < end) {
		uint64_t next = end;
		enum part part = classify(measure, start, &next);

		measure->bytes[part] += next - start;
		start = next;
	}
}

static void add_file_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct measure *measure = ctx;

	/* Pages of a shared mapping that are in no page cache are a device's: not counted in RSS.
	 */
	if (measure->entry->shared && !file)
		return;
	keep_run(measure, start, end);
	measure->bytes[PART_FILE] += end - start;
}

static void add_stack_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct measure *measure = ctx;

	keep_run(measure, start, end);
	measure->bytes[PART_STACKS] += end - start;
}

static void add_kernel_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct measure *measure = ctx;

	keep_run(measure, start, end);
	measure->bytes[PART_OTHER] += end - start;
}

/* What gets the runs of an entry. */
static page_run_fn handler_of(const struct maps_entry *entry)
{
	if (is_private_anonymous(entry))
		return add_anonymous_run;
	if (strcmp(entry->path, "[stack]") == 0)
		return add_stack_run;
	if (strcmp(entry->path, "[vdso]") == 0 || strcmp(entry->path, "[uprobes]") == 0)
		return add_kernel_run;
	return add_file_run;
}

/* Too long for its runs to be told: all of it is what its first page is. */
static int add_whole(struct measure *measure, bool anonymous)
{
	const struct maps_entry *entry = measure->entry;
	struct page_counts counts;
	uint64_t next = entry->end;
	enum part part = anonymous ? classify(measure, entry->start, &next) : PART_FILE;
	int err = pagemap__count(measure->input->pm, entry->start, entry->end, &counts);

	if (err)
		return err;
	measure->bytes[part] += counts.resident_bytes;
	return measure->input->keep
		       ? page_runs__add_unknown(measure->input->keep, entry->start, entry->end)
		       : 0;
}

/*
 * Zero-initialised data lies right behind the writable part of its file. A mapping of the
 * program's own that begins there by chance is told by the trace.
 */
static uint64_t bss_end(const struct measure *measure, const struct maps_entry *before)
{
	const struct maps_entry *entry = measure->entry;
	const struct space *space = measure->input->space;
	const struct mapping *piece = space ? space__find(space, entry->start) : NULL;

	if (!before || before->end != entry->start || !before->inode || before->shared ||
	    !(before->prot & PROT_WRITE) || !(entry->prot & PROT_WRITE))
		return 0;
	if (piece && piece->start == entry->start && !piece->origin->before_trace)
		return MIN(piece->end, entry->end);
	return entry->end;
}

static int measure_entry(struct measure *measure, const struct maps_entry *before)
{
	const struct maps_entry *entry = measure->entry;
	bool anonymous = is_private_anonymous(entry);
	int err;

	if (is_kernel_data(entry))
		return 0;
	measure->bss_end = anonymous ? bss_end(measure, before) : 0;
	err = pagemap__each_run(measure->input->pm, entry->start, entry->end, handler_of(entry),
				measure);
	if (err == -EOPNOTSUPP)
		err = add_whole(measure, anonymous);
	return err ? err : measure->err;
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
	int err = thread_stacks__read(input->pid, input->entries, input->n, input->pm, input->is_go,
				      &measure.stacks, &measure.stack_count);

	for (size_t i = 0; !err && i < input->n; i++) {
		measure.entry = &input->entries[i];
		err = measure_entry(&measure, i ? &input->entries[i - 1] : NULL);
	}
	free(measure.stacks);
	if (!err)
		store_parts(&measure, out);
	return err;
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
