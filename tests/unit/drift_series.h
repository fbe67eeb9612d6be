/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_DRIFT_SERIES_H
#define MEMDRIFT_TESTS_DRIFT_SERIES_H

#include <math.h>
#include <stdint.h>

#include "drift/series.h"

/* Series for tests of the drift detector: hourly, of what a function says, with its own noise. */
#define MIB_BYTES 1048576.0

struct test_noise {
	uint64_t state;
};

/* splitmix64: the same numbers everywhere. */
static inline double test_uniform(struct test_noise *noise)
{
	uint64_t z = noise->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static inline double test_normal(struct test_noise *noise)
{
	double radius = sqrt(-2 * log(test_uniform(noise)));

	return radius * cos(2 * M_PI * test_uniform(noise));
}

/* A sample of so much resident memory, all anonymous but a tenth. */
static inline struct sample test_sample(double hour, double mib, uint32_t pid)
{
	struct sample sample;

	sample__init(&sample, hour * 3600);
	sample.pid = pid;
	sample.start_time = pid;
	sample.value[COMPONENT_RSS] = (int64_t)(mib * MIB_BYTES);
	return sample;
}

#endif
