/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_LARGE_KIND_H
#define MEMDRIFT_ANALYSIS_LARGE_KIND_H

#include "analysis/large.h"

/* What a large mapping is, by evidence. Shared by the files of src/analysis only. */

/* glibc's HEAP_MAX_SIZE and Go's heapArenaBytes on 64 bits. */
#define HEAP_BYTES (64ULL << 20)

struct kind_evidence {
	const struct process *process;
	const struct large_facts *facts; /* may be NULL */
	const struct stack_namer *namer; /* may be NULL */
	int go_heap;                     /* enum go_heap, negative: unknown */
};

/* 1 when a glibc heap_info lies at the 64 MiB-aligned address, 0 when not, negative: unknown. */
int kind__is_glibc_heap(const struct kind_evidence *evidence, uint64_t address);

enum large_kind kind__of(const struct kind_evidence *evidence, const struct origin *origin,
			 uint64_t address, uint64_t bytes);

#endif
