// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/hit_cost.h"

#include <unistd.h>

#include "ingest/tracer.h"
#include "memdrift.skel.h"
#include "probe/attach.h"
#include "probe/calibrate.h"

struct measurement {
	struct tracer *tracer;
	bool every_class;
};

static int attach_own(void *ctx, const char *path, const uint64_t *offsets, size_t count,
		      void **link)
{
	const struct measurement *measurement = ctx;
	struct tracer *tracer = measurement->tracer;
	struct attach_site sites[INSN_CLASSES];
	struct probe_link *own;
	int err;

	if (count > INSN_CLASSES)
		count = INSN_CLASSES;
	/* Perf links take long to close, each by itself. */
	if (!measurement->every_class && !attach__multi_usable() && count > 2)
		count = 2;
	for (size_t i = 0; i < count; i++) {
		/* A row of its own, so that the counts of nobody are touched. */
		sites[i] = (struct attach_site){
			.offset = offsets[i],
			.cookie = COOKIE_MAKE(CALL_ROWS - 1, 0, LAYOUT_SIZE, HANDOFF_NONE, 0),
		};
	}
	err = attach__uprobes(tracer__programs(tracer)->progs.allocator_enter, getpid(), path,
			      sites, count, &own);
	*link = own;
	return err ? err : (int)count;
}

static void detach_own(void *ctx, void *link)
{
	probe_link__close(link);
}

int hit_cost__measure(struct tracer *tracer, bool every_class, struct insn_costs *costs)
{
	struct measurement measurement = {tracer, every_class};
	struct calibrate_ops ops = {attach_own, detach_own, &measurement};
	uint32_t own = (uint32_t)getpid();
	int err;

	/* memdrift counts itself for this moment, so that a hit takes the whole path. */
	tracer__count(tracer, own);
	err = calibrate__run(&ops, costs);
	tracer__uncount(tracer, own);
	return err;
}
