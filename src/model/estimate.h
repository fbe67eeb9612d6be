/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_ESTIMATE_H
#define MEMDRIFT_MODEL_ESTIMATE_H

#include <stdint.h>

#include "memdrift/config.h"

/* A figure that was not counted but inferred: 95 % interval. NAN: nobody can tell. */
struct estimate_range {
	double low;
	double best; /* NAN also when the interval is too wide for a figure to mean anything */
	double high;
};

/*
 * What a process's allocator calls were in all, when its probes were in place only in bursts. It
 * stands beside the counts of what was seen, which are exact for what they are.
 */
struct alloc_estimate {
	uint32_t bursts;             /* windows in which every probe was in place */
	double covered_s;            /* what they add up to */
	double present_s;            /* from the first window's begin to the end */
	double covered_cpu;          /* share of its CPU time that was spent inside windows */
	struct estimate_range calls; /* of all functions, in present_s */
	struct estimate_range calls_per_s;
	struct estimate_range calls_per_cpu_s; /* of CPU time less what the probes cost */
	double requests_per_call;              /* NAN: no call was seen */
	double bytes_per_request;              /* NAN: no request was seen */
	/* Shares 0..1 of calls, of requests and of requested bytes. */
	double row_share[CALL_ROWS];
	double request_share[SIZE_BUCKETS];
	double byte_share[SIZE_BUCKETS];
};

#endif
