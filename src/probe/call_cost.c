// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/call_cost.h"

#include <bpf/libbpf.h>
#include <math.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/programs.h"
#include "ingest/tracer.h"
#include "probe/attach.h"
#include "probe/calibrate.h"
#include "probe/keeper.h"
#include "unwind/unwinder.h"

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
/* A size that no allocator can give: such a call takes no stack, and nothing of it is kept. */
#define IMPOSSIBLE (1ul << 63)

/*
 * Frames above the pair. Their difference is what a frame is measured by; with memdrift's own ones
 * the deeper stack is below STACK_DEPTH.
 */
#define FEW_FRAMES  4
#define MANY_FRAMES 100
/* When less of that is walked, the walk did not work. */
#define FRAMES_MIN 64

struct pair {
	uintptr_t first, step;
	bool releases;
};

static double least_pair_ns(const struct pair *pair)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t start = monotonic_ns(), spent;

		for (uintptr_t k = 1; k <= PAIRS; k++) {
			uintptr_t pointer = pair->first + k * pair->step;

			cost_allocate(pointer);
			if (pair->releases)
				cost_release(pointer);
		}
		spent = monotonic_ns() - start;
		if (spent < least)
			least = spent;
	}
	return (double)least / PAIRS;
}

/* No tail call, and nothing that a compiler could make a loop of. */
static __attribute__((noinline)) double descend(unsigned int depth, const struct pair *pair)
{
	double ns = depth ? descend(depth - 1, pair) : least_pair_ns(pair);

	__asm__ volatile("" ::: "memory");
	return ns;
}

static bool counts_by_stack(struct tracer *tracer)
{
	return tracer__programs(tracer)->rodata->config.count_by & COUNT_BY_STACK;
}

static bool takes_stacks(struct tracer *tracer)
{
	return counts_by_stack(tracer) || (tracer__calls(tracer) != CALLS_ENTRY &&
					   tracer__programs(tracer)->rodata->config.live_stacks);
}

static int attach_entry(struct tracer *tracer, uint64_t allocate, uint64_t links[2])
{
	struct attach_site site = {
		.offset = allocate,
		.cookie = COOKIE_MAKE(CALL_ROWS - 1, 0, LAYOUT_SIZE, HANDOFF_NONE, 0),
	};

	return keeper__attach(tracer__keeper(tracer),
			      tracer__programs(tracer)->progs.allocator_enter, ATTACH_HERE,
			      getpid(), "/proc/self/exe", &site, 1, &links[0]);
}

static int attach_pair(struct tracer *tracer, uint64_t allocate, uint64_t links[2])
{
	struct memdrift *skel = tracer__programs(tracer);
	struct keeper *keeper = tracer__keeper(tracer);
	bool session = tracer__calls(tracer) == CALLS_SESSION;
	struct attach_site sites[] = {
		/* Its return is wanted whatever it is asked for. */
		{.offset = allocate,
		 .cookie = COOKIE_MAKE_LIVE(CALL_ROWS - 1, LAYOUT_SIZE, true, allocate)},
		{0},
	};
	int err = 0;

	if (!calibrate__own_offset((uintptr_t)cost_release, &sites[1].offset))
		return -ENOTSUP;
	sites[1].cookie = COOKIE_MAKE_LIVE(CALL_ROWS - 1, LAYOUT_FREE, false, sites[1].offset);
	if (!session)
		err = keeper__attach(keeper, skel->progs.live_return, ATTACH_RETURN, getpid(),
				     "/proc/self/exe", sites, 1, &links[1]);
	if (!err)
		err = keeper__attach(keeper,
				     session ? skel->progs.live_session : skel->progs.live_enter,
				     ATTACH_HERE, getpid(), "/proc/self/exe", sites, 2, &links[0]);
	return err;
}

/* Pairs of the kind that the programs follow, below so many frames. */
static struct walk_sample take_sample(struct tracer *tracer, unsigned int depth)
{
	struct pair pair = {0, POINTER_BYTES, tracer__calls(tracer) != CALLS_ENTRY};
	struct alloc_counts before, after;
	struct walk_sample sample = {NAN, 0, 0};
	uint32_t own = (uint32_t)getpid();

	if (tracer__read_counts(tracer, own, &before))
		return sample;
	sample.call_ns = descend(depth, &pair);
	if (tracer__read_counts(tracer, own, &after)) {
		sample.call_ns = NAN;
		return sample;
	}
	sample.stacks = (double)(after.stacks - before.stacks) / (PAIRS * BATCHES);
	sample.frames = (double)(after.frames - before.frames) / (PAIRS * BATCHES);
	return sample;
}

void call_cost__solve(const struct walk_sample *few, const struct walk_sample *many, double flat_ns,
		      struct call_cost *cost)
{
	double frames = many->frames - few->frames;

	cost->stack_ns = cost->frame_ns = NAN;
	/* Each call took a stack, and the same number of them at both depths. */
	if (few->stacks < 1 || many->stacks != few->stacks || frames < FRAMES_MIN ||
	    !(many->call_ns > few->call_ns))
		return;
	cost->frame_ns = (many->call_ns - few->call_ns) / frames;
	cost->stack_ns =
		fmax(few->call_ns - flat_ns - few->frames * cost->frame_ns, 0) / few->stacks;
}

static void empty_map(const struct bpf_map *map)
{
	char key[sizeof(struct stack_key)];

	/* Bounded, whatever the map does. */
	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		if (bpf_map__get_next_key(map, NULL, key, bpf_map__key_size(map)) ||
		    bpf_map__delete_elem(map, key, bpf_map__key_size(map), 0))
			return;
}

/* What memdrift's own stacks have left behind. Nothing else takes any yet. */
static void forget_stacks(struct memdrift *skel)
{
	empty_map(skel->maps.stack_ids);
	empty_map(skel->maps.stack_counts);
	empty_map(skel->maps.temporaries);
	empty_map(skel->maps.last_pointers);
	skel->bss->stack_block_count = 0;
}

static void measure_walks(struct tracer *tracer, double flat_ns, struct call_cost *cost)
{
	struct unwinder *unwinder = tracer__unwinder(tracer);
	struct walk_sample few, many;

	cost->stack_ns = cost->frame_ns = NAN;
	if (!unwinder)
		return;
	if (!unwinder__look_at_own(unwinder, (const void *)(uintptr_t)descend)) {
		few = take_sample(tracer, FEW_FRAMES);
		many = take_sample(tracer, MANY_FRAMES);
		call_cost__solve(&few, &many, flat_ns, cost);
		log_debug("a call with %.2f stacks of %.1f frames costs %.0f ns, of %.1f frames "
			  "%.0f ns: %.0f ns a stack and %.1f ns a frame",
			  few.stacks, few.frames, few.call_ns, many.frames, many.call_ns,
			  cost->stack_ns, cost->frame_ns);
	}
	unwinder__forget_own(unwinder);
	forget_stacks(tracer__programs(tracer));
}

/* The probes are in place. */
static void measure_placed(struct tracer *tracer, double entry_ns, struct call_cost *cost)
{
	struct pair bare = {IMPOSSIBLE, 0, false};
	struct pair live = {0, POINTER_BYTES, true};
	bool returns = tracer__calls(tracer) != CALLS_ENTRY;
	double flat_ns = entry_ns;

	if (returns) {
		/* Without stacks what is done at the return is the same for all that are kept. */
		flat_ns = takes_stacks(tracer) ? least_pair_ns(&bare)
					       : least_pair_ns(&live) - entry_ns;
		cost->return_ns = fmax(flat_ns - entry_ns, 0);
		log_debug("the return of a followed allocation costs %.0f ns, an entry %.0f ns",
			  cost->return_ns, entry_ns);
		/* The free's entry. */
		flat_ns = cost->return_ns + 2 * entry_ns;
	}
	if (takes_stacks(tracer))
		measure_walks(tracer, flat_ns, cost);
}

void call_cost__measure(struct tracer *tracer, const struct insn_costs *insns,
			struct call_cost *cost)
{
	const struct insn_cost *entry = &insns->cls[INSN_PUSH];
	bool returns = tracer__calls(tracer) != CALLS_ENTRY;
	uint64_t links[2] = {0, 0}, allocate;
	uint32_t own = (uint32_t)getpid();
	int err;

	*cost = (struct call_cost){0};
	if (!returns && !takes_stacks(tracer))
		return;
	*cost = (struct call_cost){.return_ns = returns ? NAN : 0,
				   .stack_ns = takes_stacks(tracer) ? NAN : 0,
				   .frame_ns = takes_stacks(tracer) ? NAN : 0};
	if (!entry->measured || !calibrate__own_offset((uintptr_t)cost_allocate, &allocate))
		return;
	/* memdrift counts itself for this moment, so that a call takes the whole path. */
	tracer__count(tracer, own);
	err = returns ? attach_pair(tracer, allocate, links)
		      : attach_entry(tracer, allocate, links);
	if (!err)
		measure_placed(tracer, entry->hit_ns, cost);
	keeper__close(tracer__keeper(tracer), links[0]);
	keeper__close(tracer__keeper(tracer), links[1]);
	tracer__uncount(tracer, own);
}

bool call_cost__is_known(const struct call_cost *cost)
{
	return !isnan(cost->return_ns) && !isnan(cost->stack_ns) && !isnan(cost->frame_ns);
}
