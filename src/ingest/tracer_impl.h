/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_INGEST_TRACER_IMPL_H
#define MEMDRIFT_INGEST_TRACER_IMPL_H

#include "ingest/live_set.h"
#include "ingest/mapped.h"
#include "ingest/tracer.h"
#include "ingest/programs.h"

/* Shared by the files of src/ingest alone. */

#define TRACER_LINKS_MAX 32

struct tracer {
	struct memdrift *skel;
	struct keeper *keeper;
	struct ring_buffer *ring;
	struct bpf_link *links[TRACER_LINKS_MAX];
	int link_count;
	bool count_mallocs;
	enum tracer_calls calls;
	struct live_set *live;
	bool count_classes;
	struct mapped_array stack_array;
	const struct stack_block *stacks; /* in it */
	size_t stack_blocks;
	struct unwinder *unwinder; /* NULL: no stacks are taken */
	uint32_t fault_period;     /* 0: page faults are not sampled */
	struct bpf_link **fault_links;
	int fault_link_count;
	bool *fault_on; /* by CPU: it is online and has its events */
	int fault_cpus; /* that are */
	/* Of the round under way in tracer__poll. */
	tracer_record_fn fn;
	void *fn_ctx;
	int taken, max;
};

/* tracer_faults.c: nothing when page faults are not sampled. 0 or a negative errno, after a
 * message.
 */
int tracer_faults__attach(struct tracer *tracer);
void tracer_faults__close(struct tracer *tracer);
uint64_t tracer_faults__cpus_missed(const struct tracer *tracer);

#endif
