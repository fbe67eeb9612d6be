/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SERIES_CLOCK_H
#define MEMDRIFT_WATCH_SERIES_CLOCK_H

#include <stdint.h>

/*
 * The time of series: Unix time that never goes back, speed times as fast as the clock on the wall
 * for tests. It follows CLOCK_BOOTTIME, which counts on while the machine sleeps, and the wall
 * clock when that is set forward; when that is set back, it stays ahead.
 */
struct series_clock {
	double begin_unix;
	uint64_t begin_ns; /* CLOCK_BOOTTIME */
	double speed;
};

/* not_before: the last time that the database knows; 0 none. */
void series_clock__start(struct series_clock *clock, double speed, double not_before);
double series_clock__now(struct series_clock *clock);

#endif
