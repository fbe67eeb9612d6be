// flags: -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * For tools/bench: reads lines "DEPTH N", calls the empty function probed() N times below DEPTH
 * calls of another one, 100 times, and answers with the nanoseconds of a call in the fastest of
 * them: short enough to lie between two turns of whatever else runs. stack_depth_fp is the same
 * with frame pointers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))
#define SLICES   100

static volatile int sink;

NOINLINE void probed(void);

NOINLINE void probed(void)
{
	/* A nop takes a probe at the least cost. */
	__asm__ volatile("nop" ::: "memory");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static NOINLINE double measure(long calls)
{
	double least = 1e18;

	for (int slice = 0; slice < SLICES; slice++) {
		uint64_t begin = now_ns();
		double each;

		for (long i = 0; i < calls; i++)
			probed();
		each = (double)(now_ns() - begin) / (double)calls;
		least = each < least ? each : least;
	}
	return least;
}

/* Some registers to save, as most functions have. */
static NOINLINE double descend(long depth, long calls)
{
	double ns = depth > 0 ? descend(depth - 1, calls) : measure(calls);

	sink = (int)(depth + calls);
	return ns;
}

int main(void)
{
	long depth, calls;

	while (scanf("%ld %ld", &depth, &calls) == 2) {
		printf("%.1f\n", descend(depth, calls > 0 ? calls : 1));
		fflush(stdout);
	}
	return 0;
}
