/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_HIT_COST_H
#define MEMDRIFT_PROBE_HIT_COST_H

#include "probe/site.h"

struct tracer;

/*
 * What a hit of an allocator probe costs here, by class of instruction, with the program that is
 * going to count and the kind of link in use; without what a call stack or a return adds to it
 * (call_cost.h). The tracer must have been opened with count_mallocs.
 *
 * Where each probe needs a link of its own (see attach.h) only the two classes that decide most are
 * measured, unless every_class asks for the time. costs is always usable afterwards; 0 when it was
 * measured.
 */
int hit_cost__measure(struct tracer *tracer, bool every_class, struct insn_costs *costs);

#endif
