/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_SPANS_H
#define MEMDRIFT_GOLANG_GO_SPANS_H

#include <stdint.h>

#include "census/subject.h"
#include "golang/go_facts.h"
#include "golang/go_program.h"

/* The spans of the heap, by mheap.allspans. */
struct go_spans {
	struct go_class classes[GO_CLASSES_MAX]; /* by class; those without spans are zero */
	uint64_t object_span_bytes;              /* spans of objects */
	uint64_t manual_span_bytes; /* of goroutines' stacks and the collector's work */
	uint64_t object_bytes;      /* objects allocated in them */
	uint64_t objects_resident_bytes;
	uint64_t manual_resident_bytes;
};

/*
 * Reads them, at most GO_SPANS_MAX. Those that are not in memory are left out: the sums are to be
 * compared with the runtime's books. 0; -EINVAL (they do not add up), -ENODATA, -EFAULT (not
 * readable), -E2BIG, -ENOENT (the program's layout does not say where), -ENOMEM, or as memory.h.
 */
int go_spans__read(const struct go_program *program, struct subject *subject,
		   struct go_spans *spans);

/* 64 GB of spans of 8 kB; read in 1.5 s. */
#define GO_SPANS_MAX (8u << 20)

#endif
