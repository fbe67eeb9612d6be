// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/hit_cost.h"

#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
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
	struct attach_site sites[INSN_CLASSES];
	int err;

	if (count > INSN_CLASSES)
		count = INSN_CLASSES;
	/* Perf links take long to close, each by itself. */
	if (!measurement->every_class && !attach__multi_usable() && count > 2)
		count = 2;
	for (size_t i = 0; i < count; i++) {
		/* Counted where nobody's calls are; a free has no return to follow. */
		sites[i].offset = offsets[i];
		sites[i].cookie =
			tracer__calls(tracer) == CALLS_ENTRY
				? COOKIE_MAKE(CALL_ROWS - 1, 0, LAYOUT_SIZE, HANDOFF_NONE, 0)
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

/*
 * An allocation and its free: hands its argument out as a pointer, and takes it back. They begin
 * as malloc of most builds does.
 */
__asm__(".pushsection .text.memdrift_cost, \"ax\", @progbits\n"
	"	.balign 16\n"
	"	.type cost_allocate, @function\n"
	"cost_allocate:\n"
	"	push %r12\n	pop %r12\n	mov %rdi, %rax\n	ret\n"
	"	.balign 16\n"
	"	.type cost_release, @function\n"
	"cost_release:\n"
	"	push %r12\n	pop %r12\n	ret\n"
	".popsection\n");

uintptr_t cost_allocate(uintptr_t pointer);
void cost_release(uintptr_t pointer);

/* Some 100 us a batch; the least of them leaves interruptions out. */
#define PAIRS   50
#define BATCHES 9
/* Pointers that no allocation of memdrift's own has: the first page is never mapped. */
#define POINTER_BYTES 16

static double least_pair_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t start = monotonic_ns(), spent;

		for (uintptr_t k = 1; k <= PAIRS; k++) {
			cost_allocate(k * POINTER_BYTES);
			cost_release(k * POINTER_BYTES);
		}
		spent = monotonic_ns() - start;
		if (spent < least)
			least = spent;
	}
	return (double)least / PAIRS;
}

static int attach_pair(struct tracer *tracer, const uint64_t offsets[2], uint64_t links[2])
{
	struct memdrift *skel = tracer__programs(tracer);
	struct keeper *keeper = tracer__keeper(tracer);
	bool session = tracer__calls(tracer) == CALLS_SESSION;
	struct attach_site sites[] = {
		{.offset = offsets[0],
		 .cookie = COOKIE_MAKE_LIVE(CALL_ROWS - 1, LAYOUT_SIZE, false, offsets[0])},
		{.offset = offsets[1],
		 .cookie = COOKIE_MAKE_LIVE(CALL_ROWS - 1, LAYOUT_FREE, false, offsets[1])},
	};
	int err = 0;

	if (!session)
		err = keeper__attach(keeper, skel->progs.live_return, ATTACH_RETURN, getpid(),
				     "/proc/self/exe", sites, 1, &links[1]);
	if (!err)
		err = keeper__attach(keeper,
				     session ? skel->progs.live_session : skel->progs.live_enter,
				     ATTACH_HERE, getpid(), "/proc/self/exe", sites, 2, &links[0]);
	return err;
}

double hit_cost__of_return(struct tracer *tracer, const struct insn_costs *costs)
{
	const struct insn_cost *entry = &costs->cls[INSN_PUSH];
	uint64_t links[2] = {0, 0};
	uint32_t own = (uint32_t)getpid();
	uint64_t offsets[2];
	double pair_ns = NAN;

	if (tracer__calls(tracer) == CALLS_ENTRY)
		return 0;
	if (!entry->measured || !calibrate__own_offset((uintptr_t)cost_allocate, &offsets[0]) ||
	    !calibrate__own_offset((uintptr_t)cost_release, &offsets[1]))
		return NAN;
	tracer__count(tracer, own);
	if (!attach_pair(tracer, offsets, links))
		pair_ns = least_pair_ns();
	keeper__close(tracer__keeper(tracer), links[0]);
	keeper__close(tracer__keeper(tracer), links[1]);
	tracer__uncount(tracer, own);
	log_debug("a followed allocation and its free cost %.0f ns, an entry %.0f ns", pair_ns,
		  entry->hit_ns);
	pair_ns -= 2 * entry->hit_ns;
	return pair_ns > 0 || isnan(pair_ns) ? pair_ns : 0;
}
