// flags: -O2 -g -fno-builtin -fno-omit-frame-pointer
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A small leak in a busy program: as many allocator calls a second as it can make, from several
 * functions, into caches whose size changes all the time or has been reached; of each --every calls
 * one is kept for good, by leak_one(). Says "ready", waits for a line, runs until a line comes,
 * writes its ledger to $TRUTH, says "done", waits, ends.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>

#include "truth.h"

#define CACHE_SLOTS 4096
#define LEAK_BYTES  100

static void *churn[CACHE_SLOTS], *full[CACHE_SLOTS];
static uint64_t every = 10000, seed = 1, slots = CACHE_SLOTS, calls, leaked;
/* Where what is leaked would be lost to a compiler, it is not to a reader. */
static void *volatile last_leaked;

__attribute__((noinline)) static void leak_one(void)
{
	last_leaked = malloc(LEAK_BYTES);
	leaked++;
	calls++;
}

__attribute__((noinline)) static void use_temporary(uint64_t *random)
{
	void *volatile p = malloc(16 + random__below(random, 500));

	free(p);
	calls += 2;
}

/* A cache that grows and shrinks. */
__attribute__((noinline)) static void churn_one(uint64_t *random)
{
	void **slot = &churn[random__below(random, slots)];

	if (*slot) {
		free(*slot);
		*slot = NULL;
	} else {
		*slot = malloc(50 + random__below(random, 100));
	}
	calls++;
}

/* A cache that has its size: what comes in puts something out. */
__attribute__((noinline)) static void replace_one(uint64_t *random)
{
	void **slot = &full[random__below(random, slots)];

	free(*slot);
	*slot = malloc(1000);
	calls += 2;
}

static bool line_waits(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void run(void)
{
	uint64_t random = seed, leak_at = every;

	while (!line_waits()) {
		for (int i = 0; i < 1000; i++) {
			use_temporary(&random);
			churn_one(&random);
			replace_one(&random);
			if (calls >= leak_at) {
				leak_one();
				leak_at += every;
			}
		}
	}
	wait_line();
}

int main(int argc, char **argv)
{
	const struct target_option options[] = {{"every", .number = &every},
						{"seed", .number = &seed},
						{"slots", .number = &slots},
						{0}};
	static struct truth t;

	(void)argc;
	if (!parse_options(argv, options) || !every || !slots || slots > CACHE_SLOTS)
		usage("usage: leaky [--every N] [--seed N] [--slots N of a cache]\n");
	stop_at("ready", true);
	run();
	truth__open(&t, NULL, "{");
	truth__number(&t, "calls", calls);
	truth__number(&t, "leaked", leaked);
	truth__number(&t, "leaked_bytes", leaked * LEAK_BYTES);
	truth__close(&t, "}");
	truth__write(&t);
	stop_at("done", true);
	_exit(0);
}
