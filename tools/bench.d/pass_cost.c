// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * pass_cost: for each line, a number, so many passes of watch's sampler, one after the other;
 * answers
 *	CPU-us-a-pass FOLLOWED RSS-kB
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

int main(void)
{
	/* All that are there when it starts are old enough. */
	struct sampler_options options = {.interval_s = 1e-6};
	struct own_cost cost = {0};
	struct sampler *sampler;
	char line[64];
	size_t count;

	if (sampler__open(&sampler, &options))
		return 1;
	for (int i = 0; i < 2 * SAMPLER_FULL_PASSES; i++)
		one_pass(sampler, &count);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		long passes = strtol(line, NULL, 10);
		double sum = 0;

		if (passes < 1)
			break;
		for (long i = 0; i < passes; i++)
			sum += one_pass(sampler, &count);
		own_cost__read(&cost);
		printf("%.1f %zu %llu\n", sum / (double)passes, count,
		       (unsigned long long)cost.rss_bytes / 1024);
		fflush(stdout);
	}
	sampler__close(sampler);
	return 0;
}
