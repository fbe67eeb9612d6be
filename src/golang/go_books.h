/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_BOOKS_H
#define MEMDRIFT_GOLANG_GO_BOOKS_H

#include <stdint.h>

#include "census/check.h"
#include "census/memory.h"
#include "golang/go_program.h"

/* The runtime's books of its memory, of one moment. Bytes, as the fields of the same names. */
struct go_books {
	int32_t gc_percent;
	int64_t memory_limit;
	uint64_t heap_minimum, heap_marked, heap_in_use, heap_released, heap_free;
	uint64_t total_alloc, total_free, mapped_ready;
	uint64_t percent_goal, sweep_trigger, triggered;
	uint64_t other_sys; /* all that runtime.mstats counts as *_sys */
	uint32_t num_gc;
	/* Of heapStats, its three deltas together. */
	int64_t committed, released, in_heap, in_stacks, in_work_bufs, in_ptr_scalar_bits;

	struct check invariants; /* all that is mapped and not released, by two ways */
};

/*
 * Reads them until they agree with each other in all that the runtime itself throws for
 * (mstats.go, readmemstats_m), a bounded number of times: a running process changes them one after
 * the other. 0; -ENODATA, -EFAULT (not readable), -EAGAIN (they never agreed: *books is the last
 * that was read), -ESRCH, -ETIME, -EDQUOT, -EACCES.
 */
int go_books__read(const struct go_program *program, struct memory *memory, struct go_books *books);

/* All memory of the runtime's: MemStats.Sys. */
uint64_t go_books__sys(const struct go_books *books);

/* Where the next collection is to be ready: MemStats.NextGC. minor: of the version, 19 and later.
 */
uint64_t go_books__heap_goal(const struct go_books *books, unsigned int minor);

#endif
