/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_CALL_COST_H
#define MEMDRIFT_PROBE_CALL_COST_H

#include <stdbool.h>

#include "probe/site.h"

struct tracer;

/*
 * What a call costs its program besides the hit of its entry, in nanoseconds. Measured with the
 * programs and links that are going to be used, on functions of memdrift's own. NAN: unknown.
 */
struct call_cost {
	double return_ns; /* of each allocation whose return is seen; 0: calls are only counted */
	/*
	 * Of each call stack that is taken: what does not depend on its depth, and what is done
	 * with it (a weight by stack; the live set, with the entry of the free). 0: none are taken.
	 */
	double stack_ns;
	double frame_ns; /* of each frame of it */
};

/* insns: from hit_cost__measure. Before anything is attached: stacks that were taken are forgotten.
 */
void call_cost__measure(struct tracer *tracer, const struct insn_costs *insns,
			struct call_cost *cost);
bool call_cost__is_known(const struct call_cost *cost);

/*
 * From two measurements, one below few frames and one below many. Stacks and frames are those that
 * one call takes and walks; they are the program's own counts.
 */
struct walk_sample {
	double call_ns;
	double stacks, frames;
};
/* flat_ns: a call that takes no stack. Sets stack_ns and frame_ns, NAN when the samples tell
 * nothing: too few frames lie between them, or the deeper one cost no more. */
void call_cost__solve(const struct walk_sample *few, const struct walk_sample *many, double flat_ns,
		      struct call_cost *cost);

#endif
