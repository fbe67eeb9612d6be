/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_FACTS_H
#define MEMDRIFT_GOLANG_GO_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "census/check.h"
#include "census/claims.h"
#include "census/subject.h"

/* A size class of the Go heap, from its spans. */
struct go_class {
	uint64_t size_bytes; /* of an object; 0: large objects, each a span of its own */
	uint64_t spans;
	uint64_t span_bytes;
	uint64_t objects; /* allocated as of the last sweep */
	uint64_t object_bytes;
};

#define GO_CLASSES_MAX 68

/*
 * What the Go runtime of a process says of its memory, in its own variables (runtime/mstats.go,
 * runtime/mheap.go, runtime/mgcpacer.go). As runtime.MemStats unless said otherwise. What cannot be
 * told is GO_UNKNOWN; a set of figures that fails the runtime's own invariants is all unknown.
 */
#define GO_UNKNOWN (-1)

struct go_facts {
	char version[64];        /* "go1.19.8"; "" unknown */
	const char *source;      /* "symbols and DWARF", "symbols, offsets of this version", ...: a
				    constant */
	bool known;              /* the figures below, verified */
	const char *why_unknown; /* when not; a constant */
	bool has_cgo;

	int64_t heap_inuse_bytes;
	int64_t heap_idle_bytes; /* free and released */
	int64_t heap_released_bytes;
	int64_t heap_alloc_bytes; /* bytes of allocated objects, dead ones not yet swept included */
	int64_t heap_live_bytes;  /* marked by the last collection */
	int64_t heap_goal_bytes;
	int64_t stacks_inuse_bytes; /* goroutines' stacks */
	int64_t sys_bytes;
	int64_t gomemlimit_bytes; /* INT64_MAX: none is set */
	int64_t gogc_percent;     /* -1 in gogc_off */
	bool gogc_off;
	int64_t num_gc;
	struct check invariants; /* heap in use by two ways */

	struct go_class classes[GO_CLASSES_MAX];
	uint32_t class_count;                /* 0: the spans could not be read */
	int64_t span_objects_resident_bytes; /* residency of spans by state */
	int64_t span_stacks_resident_bytes;
	int64_t span_idle_resident_bytes;
};

/*
 * Reads them and claims the Go heap and the runtime's own mappings. 0; -ENOENT: not a Go program;
 * -ESRCH, -ENOMEM.
 */
int go_facts__read(struct subject *subject, struct claims *claims, struct go_facts *out);

#endif
