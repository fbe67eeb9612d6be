// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/hit_cost.h"

#include <unistd.h>

#include "ingest/tracer.h"
#include "ingest/programs.h"
#include "probe/attach.h"
#include "probe/calibrate.h"
#include "probe/keeper.h"

struct measurement {
	struct tracer *tracer;
	bool every_class;
	uint64_t link; /* of the keeper */
};

static int attach_own(void *ctx, const char *path, const uint64_t *offsets, size_t count,
		      void **link)
{
	struct measurement *measurement = ctx;
	struct tracer *tracer = measurement->tracer;
	struct memdrift *skel = tracer__programs(tracer);
	struct bpf_program *const entry[] = {
		[CALLS_ENTRY] = skel->progs.allocator_enter,
		[CALLS_SESSION] = skel->progs.live_session,
		[CALLS_PAIR] = skel->progs.live_enter,
	};
	/* A free takes no stack, and has no return to follow: call_cost.c measures these. */
	enum call_layout layout =
		skel->rodata->config.count_by & COUNT_BY_STACK ? LAYOUT_FREE : LAYOUT_SIZE;
	struct attach_site sites[INSN_CLASSES];
	int err;

	if (count > INSN_CLASSES)
		count = INSN_CLASSES;
	/* Perf links take long to close, each by itself. */
	if (!measurement->every_class && !attach__multi_usable() && count > 2)
		count = 2;
	for (size_t i = 0; i < count; i++) {
		/* Counted where nobody's calls are. */
		sites[i].offset = offsets[i];
		sites[i].cookie =
			tracer__calls(tracer) == CALLS_ENTRY
				? COOKIE_MAKE(CALL_ROWS - 1, 0, layout, HANDOFF_NONE, 0)
				: COOKIE_MAKE_LIVE(CALL_ROWS - 1, LAYOUT_FREE, false, offsets[i]);
	}
	err = keeper__attach(tracer__keeper(tracer), entry[tracer__calls(tracer)], ATTACH_HERE,
			     getpid(), path, sites, count, &measurement->link);
	*link = &measurement->link;
	return err ? err : (int)count;
}

static void detach_own(void *ctx, void *link)
{
	const struct measurement *measurement = ctx;

	keeper__close(tracer__keeper(measurement->tracer), measurement->link);
}

int hit_cost__measure(struct tracer *tracer, bool every_class, struct insn_costs *costs)
{
	struct measurement measurement = {tracer, every_class, 0};
	struct calibrate_ops ops = {attach_own, detach_own, &measurement};
	uint32_t own = (uint32_t)getpid();
	int err;

	/* memdrift counts itself for this moment, so that a hit takes the whole path. */
	tracer__count(tracer, own);
	err = calibrate__run(&ops, costs);
	tracer__uncount(tracer, own);
	return err;
}
