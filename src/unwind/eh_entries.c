// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/eh_entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/eh_cie.h"

/* Follows a 4-byte length: DWARF 5, 7.4. */
#define LENGTH_64 0xffffffffu

/*
 * Instructions that a section of a size can have run: each FDE its own, of a byte at least, and its
 * CIE's when the cache lost it. Compilers' CIEs have two and their FDEs are longer than that.
 */
#define BUDGET_PER_BYTE 4

/* The bytes of one entry, and what kind it is. */
struct entry {
	struct eh_reader reader; /* behind the CIE's number or offset */
	uint64_t cie;            /* offset of an FDE's CIE */
	bool is_cie;
};

/*
 * Reads the head of the entry at reader->at and moves the reader behind the whole. False when the
 * section ends there or what follows cannot be told.
 */
static bool read_entry(struct eh_reader *reader, bool is_debug_frame, struct entry *entry)
{
	uint64_t length = eh_reader__fixed(reader, 4), id;
	bool is_64 = length == LENGTH_64;
	size_t id_at;

	if (is_64)
		length = eh_reader__fixed(reader, 8);
	id_at = reader->at;
	entry->reader = *reader;
	eh_reader__span(reader, length);
	if (reader->failed)
		return false;
	entry->reader.size = reader->at;
	/* LSB Core, 10.6.1: of 4 bytes in .eh_frame, however the length is written. */
	id = eh_reader__fixed(&entry->reader, is_64 && is_debug_frame ? 8 : 4);
	if (is_debug_frame) {
		entry->is_cie = id == (is_64 ? UINT64_MAX : UINT32_MAX);
		entry->cie = id;
	} else {
		entry->is_cie = !id;
		entry->cie = id_at - id; /* wraps for one that lies before the section */
	}
	return true;
}

/* The CIE at an offset, NULL when there is no good one. */
static const struct cfi_cie *find_cie(struct eh_entries *entries, uint64_t offset)
{
	struct eh_cie *slot;
	struct eh_reader reader = entries->reader;
	struct entry entry;

	if (offset >= reader.size)
		return NULL;
	slot = &entries->cies[offset / 4 % EH_CIE_SLOTS];
	if (slot->offset_plus_1 != offset + 1) {
		reader.at = (size_t)offset;
		slot->offset_plus_1 = (uint32_t)offset + 1;
		slot->usable = read_entry(&reader, entries->is_debug_frame, &entry) &&
			       entry.is_cie && !entry.reader.failed &&
			       eh_cie__read(&slot->cie, entry.reader, &entries->budget);
	}
	return slot->usable ? &slot->cie : NULL;
}

static int add_fde(struct eh_entries *entries, struct eh_fde fde)
{
	if (entries->fde_count == FRAME_FDES_MAX) {
		entries->cut = true;
		return 0;
	}
	if (entries->fde_count == entries->capacity) {
		size_t capacity = entries->capacity ? entries->capacity * 2 : 256;
		struct eh_fde *bigger = realloc(entries->fdes, capacity * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		entries->fdes = bigger;
		entries->capacity = capacity;
	}
	entries->fdes[entries->fde_count++] = fde;
	return 0;
}

static bool lies_in_code(uint64_t start, uint64_t size, const struct frame_range *code,
			 size_t code_count)
{
	for (size_t i = 0; i < code_count; i++) {
		if (start >= code[i].start && start < code[i].end)
			return size <= code[i].end - start;
	}
	return false;
}

static bool touches_code(uint64_t start, const struct frame_range *code, size_t code_count)
{
	return lies_in_code(start, 0, code, code_count);
}

static int read_fde(struct eh_entries *entries, struct entry *entry, const struct frame_range *code,
		    size_t code_count)
{
	const struct cfi_cie *cie = find_cie(entries, entry->cie);
	struct eh_reader *reader = &entry->reader;
	struct eh_fde fde = {.cie = (uint32_t)entry->cie};
	uint64_t size;

	if (!cie) {
		entries->bad++;
		return 0;
	}
	fde.start = eh_reader__pointer(reader, cie->pointer_encoding, true);
	size = eh_reader__pointer(reader, cie->pointer_encoding, false);
	if (cie->has_augmentation_data)
		eh_reader__span(reader, eh_reader__uleb(reader));
	/* Of functions that the linker dropped: somewhere else, or of no size. */
	if (!reader->failed && (!size || !touches_code(fde.start, code, code_count)))
		return 0;
	if (reader->failed || !lies_in_code(fde.start, size, code, code_count)) {
		entries->bad++;
		return 0;
	}
	fde.end = fde.start + size;
	fde.program = (uint32_t)reader->at;
	fde.program_end = (uint32_t)reader->size;
	return add_fde(entries, fde);
}

static int compare_fdes(const void *a, const void *b)
{
	const struct eh_fde *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	if (left->end != right->end)
		return left->end < right->end ? -1 : 1;
	return left->program < right->program ? -1 : left->program > right->program;
}

/* Linkers keep them in the order of the code for the most part. */
static void sort_fdes(struct eh_entries *entries)
{
	for (size_t i = 1; i < entries->fde_count; i++) {
		if (compare_fdes(&entries->fdes[i - 1], &entries->fdes[i]) > 0) {
			qsort(entries->fdes, entries->fde_count, sizeof(entries->fdes[0]),
			      compare_fdes);
			return;
		}
	}
}

int eh_entries__read(struct eh_entries *entries, const struct frame_section *section,
		     const struct frame_range *code, size_t code_count)
{
	struct eh_reader reader;
	int err = 0;

	memset(entries, 0, sizeof(*entries));
	entries->cut = section->size > FRAME_SECTION_MAX_BYTES;
	entries->reader = (struct eh_reader){.bytes = section->bytes,
					     .size = entries->cut ? 0 : section->size,
					     .vaddr = section->vaddr};
	entries->is_debug_frame = section->is_debug_frame;
	entries->budget = (uint64_t)section->size * BUDGET_PER_BYTE;
	reader = entries->reader;
	while (reader.size - reader.at >= 4 && !err) {
		size_t at = reader.at;
		struct entry entry;

		if (!read_entry(&reader, section->is_debug_frame, &entry)) {
			entries->bad++;
			break;
		}
		/* An end, of one input file of several perhaps. */
		if (reader.at == at + 4) {
			if (section->ends_at_zero)
				break;
			continue;
		}
		if (entry.reader.failed)
			entries->bad++;
		else if (!entry.is_cie)
			err = read_fde(entries, &entry, code, code_count);
	}
	sort_fdes(entries);
	return err;
}

size_t eh_entries__first(const struct eh_entries *entries, uint64_t vaddr)
{
	size_t low = 0, high = entries->fde_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entries->fdes[middle].start < vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int eh_entries__each_row(struct eh_entries *entries, const struct eh_fde *fde, cfi_row_fn fn,
			 void *ctx)
{
	struct cfi_program program = {.cie = find_cie(entries, fde->cie),
				      .reader = entries->reader,
				      .start = fde->start,
				      .end = fde->end,
				      .budget = &entries->budget};

	/* Read again after another one took its place, and the budget was gone by then. */
	if (!program.cie)
		return fn(ctx, fde->start, (struct unwind_rule){.kind = UNWIND_UNKNOWN});
	program.reader.at = fde->program;
	program.reader.size = fde->program_end;
	return cfi__each_row(&program, fn, ctx);
}

void eh_entries__clear(struct eh_entries *entries)
{
	free(entries->fdes);
	entries->fdes = NULL;
	entries->fde_count = entries->capacity = 0;
}
