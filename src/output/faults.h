/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_FAULTS_H
#define MEMDRIFT_OUTPUT_FAULTS_H

#include "output/result.h"

/* What the page faults of a process brought in, estimated from those that were sampled. */
struct fault_figures {
	uint64_t sampled;
	uint64_t bytes; /* sampled x period x page, as the weight fault_bytes has it */
	/* Half of the 95 % interval; 0 when every fault is sampled. */
	uint64_t error_bytes;
	bool counted_known;
	uint64_t counted; /* faults in the trace, as the kernel counts them */
};

/* Only with result->fault_weights. */
void process__faults(const struct trace_result *result, const struct process *process,
		     struct fault_figures *figures);
/* Of so many samples. */
uint64_t faults__bytes(const struct trace_result *result, uint64_t sampled);
uint64_t faults__error_bytes(const struct trace_result *result, uint64_t sampled);

#endif
