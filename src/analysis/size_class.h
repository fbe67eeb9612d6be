/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_SIZE_CLASS_H
#define MEMDRIFT_ANALYSIS_SIZE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "memdrift/size_class.h"

/*
 * What an allocator sets aside for a request, by its own rules: the class, of which the program
 * can use what is not the allocator's own. On x86-64 with 4 KiB pages:
 *
 * glibc (2.26 and later)
 *	Chunks of 16 bytes' steps from 32 on, 8 of them the allocator's own (malloc/malloc.c,
 *	request2size). Not told from a request's size: a chunk from mmap (from 128 KiB on, a
 *	threshold that rises up to 32 MiB by itself) is rounded up to pages and has 16 bytes of
 *	its own; a rest of less than 32 bytes stays with the chunk that was cut; memalign may keep
 *	more.
 * jemalloc 5
 *	8, multiples of 16 up to 128, then four classes between two powers of two
 *	(include/jemalloc/internal/sc.h with the defaults: LG_QUANTUM 4, SC_LG_NGROUP 2). All of a
 *	class can be used. Not told: larger alignments may take a larger class; from 16 KiB on an
 *	address range of one page more is reserved.
 * Go 1.17 and later
 *	The 67 classes of runtime/sizeclasses.go, the same in all versions up to 1.27, then whole
 *	pages of 8 KiB; nothing for a request of 0 bytes. Since 1.22 some objects have a header:
 *	ask with it added (see memdrift/size_class.h). Not told: objects without pointers of less
 *	than 16 bytes share blocks of 16, so that what is said here is near the truth in sum only.
 *
 * Sizes above 2^62 have no class: 0.
 */
uint64_t size_class__bytes(enum size_rules rules, uint64_t size);
/* How many of the class's bytes the program can use; never less than size. */
uint64_t size_class__usable(enum size_rules rules, uint64_t size);

/* "log2", "glibc", "jemalloc", "go" */
const char *size_rules__name(enum size_rules rules);
/* 0, or -EINVAL for another name. */
int size_rules__parse(const char *name, enum size_rules *rules);

/* The rules (not SIZE_RULES_LOG2) as the BPF programs take them. */
void size_class__fill_table(enum size_rules rules, struct class_table *table);

/* One class, or the range of classes that a row above the table's holds. */
struct class_row {
	uint64_t min_bytes, max_bytes; /* classes, equal when it is one; UINT64_MAX: no limit */
	uint64_t count;
	uint64_t requested_bytes;
	uint64_t class_bytes; /* set aside for all of them; never less than requested_bytes */
};

/* A row below CLASS_ROWS with what was counted in it. */
void size_class__read_row(const struct class_table *table, const struct class_counts *counts,
			  uint32_t row, struct class_row *out);
/* All rows together; min_bytes and max_bytes are 0. */
void size_class__sum(const struct class_table *table, const struct class_counts *counts,
		     struct class_row *out);

#endif
