// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * pass_cost PASSES: for each line of its input so many passes of watch's sampler, one after the
 * other; answers
 *	FOLLOWED CPU-us-a-pass SLOWEST-us RSS-kB
 * The first passes, until all are followed, are made before it says "ready".
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "watch/own_cost.h"
#include "watch/sampler.h"

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void count_one(void *ctx, struct watched *watched)
{
	++*(size_t *)ctx;
}

static double one_pass(struct sampler *sampler, size_t *count)
{
	struct sampler_handlers handlers = {.each = count_one, .ctx = count};
	double start = cpu_us();

	*count = 0;
	if (sampler__pass(sampler, start, &handlers))
		exit(1);
	return cpu_us() - start;
}

int main(int argc, char **argv)
{
	/* All that are there when it starts are old enough. */
	struct sampler_options options = {.interval_s = 1e-6};
	int passes = argc == 2 ? atoi(argv[1]) : 0;
	struct own_cost cost = {0};
	struct sampler *sampler;
	char line[64];
	size_t count;

	if (passes < 1 || sampler__open(&sampler, &options))
		return 2;
	for (int i = 0; i < 2 * SAMPLER_FULL_PASSES; i++)
		one_pass(sampler, &count);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		double sum = 0, slowest = 0;

		for (int i = 0; i < passes; i++) {
			double us = one_pass(sampler, &count);

			sum += us;
			slowest = us > slowest ? us : slowest;
		}
		own_cost__read(&cost);
		printf("%zu %.1f %.1f %llu\n", count, sum / passes, slowest,
		       (unsigned long long)cost.rss_bytes / 1024);
		fflush(stdout);
	}
	sampler__close(sampler);
	return 0;
}
