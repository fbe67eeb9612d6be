/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_RESIDENCY_H
#define MEMDRIFT_CENSUS_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census/glibc_arenas.h"
#include "census/page_runs.h"
#include "census/pagemap.h"
#include "golang/go_heap.h"
#include "census/subject.h"
#include "model/process.h"

/*
 * A process's resident memory by what holds it. The parts add up to its RSS:
 *
 *   arenas        glibc's heaps of 64 MiB, each verified by its first words
 *   thread_stacks mappings that were asked for with MAP_STACK; of those older than the trace, what
 *                 threads' stack pointers lead to; the main thread's [stack]
 *   brk           the brk area
 *   go_heap       in a Go program, its heap's address ranges
 *   direct        other private anonymous memory: the program's own mmap, malloc's chunks that
 *                 have a mapping of their own, other allocators' memory, runtimes
 *   file          mapped files, private copies of their pages, shared memory
 *   other         zero-initialised data of programs and libraries, [vdso], [uprobes]
 */

struct residency_input {
	uint32_t pid;
	const struct space *space; /* may be NULL: everything is then told from maps alone */
	const struct maps_entry *entries;
	size_t n;
	struct pagemap *pm;
	const struct glibc_arenas *arenas; /* may be NULL: none */
	enum go_heap go_heap;
	uint64_t start_brk;     /* 0: unknown */
	struct page_runs *keep; /* empty; gets all resident runs. May be NULL */
};

/* Fills all but t_s. 0, -ESRCH, -ENOMEM: then *out is as it was. */
int residency__measure(const struct residency_input *input, struct residency *out);

uint64_t residency__sum(const struct residency *residency);

/* Resident bytes of all pieces of one mapping request. 0, -ESRCH. */
int residency__origin(struct pagemap *pm, const struct space *space, const struct origin *origin,
		      uint64_t *bytes);

#endif
