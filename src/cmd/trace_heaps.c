// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <sys/param.h>

#include "census/heap_use.h"
#include "cmd/trace_session.h"

/* For all processes together, so that neither the start nor the end of a trace waits long; and for
 * one, so that the ring does not fill meanwhile. A gigabyte of heap takes some 0.1 to 0.3 s. */
#define ALL_HEAPS_NS (2000ULL * 1000 * 1000)
#define ONE_HEAP_NS  (500ULL * 1000 * 1000)

void trace_heaps__read(struct trace_session *session, bool at_start)
{
	uint64_t deadline_ns = monotonic_ns() + ALL_HEAPS_NS;
	struct process *process, *next;

	if (session->options->target == TRACE_HOST)
		return;
	HASH_ITER (hh, session->model.running, process, next) {
		struct heap_use *use = at_start ? &process->heap_start : &process->heap_end;
		uint64_t now_ns = monotonic_ns();

		/* The command is a copy of memdrift until its exec. */
		if (!process->is_target || (at_start && process->begins_with_exec))
			continue;
		if (now_ns >= deadline_ns)
			return;
		if (heap_use__read(process->pid, process->start_ticks,
				   MIN(ONE_HEAP_NS, deadline_ns - now_ns), use) == 0)
			use->t_s = trace_session__now_s(session);
	}
}
