// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Pairs of malloc and free at a pace that is asked for, counted as they are made, for tests of what
 * tracing costs. Says "ready PID", then reads one command a line and answers one line of JSON:
 *
 *	run MS GAP_NS TOUCH_BYTES	for MS milliseconds of its own CPU time; between two pairs
 *		GAP_NS of arithmetic and TOUCH_BYTES of a buffer of 16 MB read
 *	sleep MS GAP_NS TOUCH_BYTES	the same, with a sleep of 2 ms after each 50 us of work
 *	deep DEPTH MS GAP_NS TOUCH_BYTES	as run, below DEPTH calls of one function more
 *	exactly DEPTH PAIRS		so many pairs below DEPTH calls
 *
 * {"pairs", "cpu_ns", "wall_ns", "buckets": {"4": pairs, ...}}: buckets as memdrift numbers them,
 * by the number of significant bits of the size.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (16u << 20)
#define BUCKETS      64
/* Pairs between two looks at the clock take about this long. */
#define BATCH_NS 50000

/* Sizes of unequal frequency: a table to draw from evenly. */
static const uint16_t sizes[16] = {12,  12,  12, 12,  12,  24,  24,  24,
				   100, 100, 24, 100, 300, 300, 700, 700};

static uint8_t *buffer;
static uint64_t bucket_pairs[BUCKETS];
static double spin_ns;
static volatile uint64_t sink;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A chain of multiplications: no CPU does two of them at once. */
static uint64_t spin(uint64_t x, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

static void measure_spin(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t start = now_ns(CLOCK_MONOTONIC), spent;

		sink = spin(start, 100000);
		spent = now_ns(CLOCK_MONOTONIC) - start;
		best = spent < best ? spent : best;
	}
	spin_ns = (double)best / 100000;
}

struct pace {
	uint64_t spins;
	uint64_t touch_bytes;
	int sleeps;
};

static uint64_t touch(uint64_t *at, uint64_t bytes)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < bytes; i += 64) {
		sum += buffer[*at];
		*at = (*at + 64) % BUFFER_BYTES;
	}
	return sum;
}

static void make_pairs(const struct pace *pace, uint64_t n, uint64_t *random, uint64_t *at)
{
	for (uint64_t i = 0; i < n; i++) {
		void *volatile p;
		size_t size;

		*random ^= *random << 13;
		*random ^= *random >> 7;
		*random ^= *random << 17;
		size = sizes[*random & 15];
		bucket_pairs[64 - __builtin_clzl(size)]++;
		p = malloc(size);
		free(p);
		if (pace->spins)
			sink = spin(*random, pace->spins);
		if (pace->touch_bytes)
			sink = touch(at, pace->touch_bytes);
	}
}

static void run(const struct pace *pace, uint64_t ms)
{
	uint64_t wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), spent = 0;
	uint64_t random = 88172645463325252u, at = 0, pairs = 0, batch = 1;

	memset(bucket_pairs, 0, sizeof(bucket_pairs));
	while (spent < ms * 1000000) {
		uint64_t before = spent, took;

		make_pairs(pace, batch, &random, &at);
		pairs += batch;
		spent = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		took = spent - before;
		if (took < BATCH_NS / 2)
			batch *= 2;
		else if (took > BATCH_NS * 2 && batch > 1)
			batch /= 2;
		if (pace->sleeps)
			usleep(2000);
	}
	printf("{\"pairs\": %llu, \"cpu_ns\": %llu, \"wall_ns\": %llu, \"buckets\": {",
	       (unsigned long long)pairs, (unsigned long long)spent,
	       (unsigned long long)(now_ns(CLOCK_MONOTONIC) - wall));
	for (int i = 0, n = 0; i < BUCKETS; i++)
		if (bucket_pairs[i])
			printf("%s\"%d\": %llu", n++ ? ", " : "", i,
			       (unsigned long long)bucket_pairs[i]);
	printf("}}\n");
}

/* Below so many frames more; the barrier keeps compilers from making a loop of it. */
static __attribute__((noinline)) void run_deep(const struct pace *pace, uint64_t ms, uint64_t depth)
{
	if (depth)
		run_deep(pace, ms, depth - 1);
	else
		run(pace, ms);
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void make_exactly(uint64_t pairs, uint64_t depth)
{
	static const struct pace none;
	uint64_t random = 88172645463325252u, at = 0;

	if (depth)
		make_exactly(pairs, depth - 1);
	else
		make_pairs(&none, pairs, &random, &at);
	__asm__ volatile("" ::: "memory");
}

int main(void)
{
	char line[128], word[16] = "";

	buffer = malloc(BUFFER_BYTES);
	if (!buffer)
		return 1;
	memset(buffer, 1, BUFFER_BYTES);
	measure_spin();
	printf("ready %d\n", getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long long depth = 0, ms, gap_ns, touch_bytes, pairs;
		struct pace pace = {0};

		if (sscanf(line, "exactly %llu %llu", &depth, &pairs) == 2) {
			make_exactly(pairs, depth);
			printf("{\"pairs\": %llu}\n", pairs);
			fflush(stdout);
			continue;
		}
		if (sscanf(line, "deep %llu %llu %llu %llu", &depth, &ms, &gap_ns, &touch_bytes) !=
			    4 &&
		    sscanf(line, "%15s %llu %llu %llu", word, &ms, &gap_ns, &touch_bytes) != 4)
			return 2;
		pace.spins = (uint64_t)((double)gap_ns / spin_ns);
		pace.touch_bytes = touch_bytes;
		pace.sleeps = !strcmp(word, "sleep");
		run_deep(&pace, ms, depth);
		fflush(stdout);
	}
	return 0;
}
