// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/faults.h"

#include <math.h>
#include <stdlib.h>

#include "output/derive.h"

uint64_t faults__bytes(const struct trace_result *result, uint64_t sampled)
{
	uint64_t bytes;

	/* As the profile has it: more than 2^64 bytes did not fault. */
	if (__builtin_mul_overflow(result->fault_period, result->host.page_bytes, &bytes) ||
	    __builtin_mul_overflow(bytes, sampled, &bytes))
		return 0;
	return bytes;
}

/*
 * Samples of a process come as by chance, from among the faults of all: their number is Poisson
 * distributed at worst. Wilson's score interval of it reaches down and up from n to n + z^2/2 +-
 * z sqrt(n + z^2/4), with z = 1.96; it holds without samples as well, where sqrt(n) tells nothing.
 */
uint64_t faults__error_bytes(const struct trace_result *result, uint64_t sampled)
{
	if (result->fault_period <= 1)
		return 0;
	return (uint64_t)((1.92 + 1.96 * sqrt((double)sampled + 0.96)) *
			  (double)faults__bytes(result, 1));
}

void process__faults(const struct trace_result *result, const struct process *process,
		     struct fault_figures *figures)
{
	const struct stack_weight **list;
	uint64_t before = process->faults.before, now = process->faults.now;
	size_t n = process__weights(process, result->fault_weights, &list);

	*figures = (struct fault_figures){0};
	for (size_t i = 0; i < n; i++) {
		figures->sampled += list[i]->count;
		figures->bytes += faults__bytes(result, list[i]->count);
	}
	free(list);
	figures->error_bytes = faults__error_bytes(result, figures->sampled);
	figures->counted_known = before != FAULTS_UNKNOWN && now != FAULTS_UNKNOWN && now >= before;
	if (figures->counted_known)
		figures->counted = now - before;
}
