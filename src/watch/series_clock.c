// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/series_clock.h"

#include <time.h>

/* What adjtime and a late interrupt make of it is no step. */
#define STEP_S 5.0

static uint64_t boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static double wall_unix(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void series_clock__start(struct series_clock *clock, double speed, double not_before)
{
	clock->speed = speed;
	clock->begin_ns = boottime_ns();
	clock->begin_unix = wall_unix();
	if (clock->begin_unix < not_before)
		clock->begin_unix = not_before;
}

double series_clock__now(struct series_clock *clock)
{
	double passed_s = 1e-9 * (double)(boottime_ns() - clock->begin_ns);
	double now = clock->begin_unix + clock->speed * passed_s;
	double wall = wall_unix();

	if (clock->speed == 1 && wall > now + STEP_S) {
		clock->begin_unix += wall - now;
		now = wall;
	}
	return now;
}
