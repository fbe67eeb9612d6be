// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/burst_log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Most processes never see a burst: memory comes late. */
#define FIRST_WINDOWS 16
/*
 * A window that was nearly all cost stands for its gap with at most this many times its length:
 * what is left of it after the cost is too uncertain to be a weight.
 */
#define LEFT_SHARE_MIN 0.05

void burst_log__init(struct burst_log *log, const struct burst_reading *reading)
{
	memset(log, 0, sizeof(*log));
	log->from_ns = reading->now_ns;
	log->first_cpu_ns = log->closed_cpu_ns = reading->cpu_ns;
	log->first_cost_ns = log->closed_cost_ns = reading->cost_ns;
}

void burst_log__free(struct burst_log *log)
{
	free(log->windows);
	log->windows = NULL;
	log->count = log->room = 0;
}

static double count_calls(const struct alloc_counts *counts)
{
	double sum = 0;

	for (int i = 0; i < CALL_ROWS; i++)
		sum += (double)counts->calls[i];
	return sum;
}

static void merge_windows(struct burst_log *log)
{
	for (uint32_t i = 0; i < log->count / 2; i++) {
		const struct burst_window *a = &log->windows[2 * i], *b = a + 1;

		log->windows[i] = (struct burst_window){
			.gap_ns = a->gap_ns + b->gap_ns,
			.cpu_ns = a->cpu_ns + b->cpu_ns,
			.cost_ns = a->cost_ns + b->cost_ns,
			.calls = a->calls + b->calls,
		};
	}
	log->count /= 2;
}

static void add_window(struct burst_log *log, const struct burst_window *window)
{
	if (log->count == BURST_WINDOWS_MAX)
		merge_windows(log);
	if (log->count == log->room) {
		uint32_t room = log->room ? log->room * 2 : FIRST_WINDOWS;
		void *more = reallocarray(log->windows, room, sizeof(*log->windows));

		if (!more) {
			/* Without room for more, what there is gets coarser. */
			if (log->count < 2)
				return;
			merge_windows(log);
		} else {
			log->windows = more;
			log->room = room;
		}
	}
	log->windows[log->count++] = *window;
}

/* The readings of several CPUs' counters can seem to step back by a few calls. */
static double rise(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

static void add_shares(struct burst_shares *shares, const struct alloc_counts *now,
		       const struct alloc_counts *before, double weight)
{
	for (int i = 0; i < CALL_ROWS; i++)
		shares->rows[i] += weight * rise(now->calls[i], before->calls[i]);
	for (int i = 0; i < SIZE_BUCKETS; i++) {
		shares->requests[i] +=
			weight * rise(now->buckets[i].count, before->buckets[i].count);
		shares->bytes[i] += weight * rise(now->buckets[i].bytes, before->buckets[i].bytes);
	}
}

void burst_log__open(struct burst_log *log, const struct burst_reading *reading)
{
	double gap_ns = reading->cpu_ns - log->closed_cpu_ns -
			BURST_COST_BEST * (reading->cost_ns - log->closed_cost_ns);

	log->gap_ns = fmax(gap_ns, 0);
	log->bursts++;
	log->open = true;
	log->began = false;
	log->opened_ns = reading->now_ns;
	log->opened_cpu_ns = reading->cpu_ns;
	log->opened_cost_ns = reading->cost_ns;
	log->opened = *reading->counts;
}

/* The begin of the open window is over. */
static void take_begin(struct burst_log *log, const struct burst_reading *reading)
{
	struct burst_window window = {
		.gap_ns = log->gap_ns,
		.cpu_ns = reading->cpu_ns - log->opened_cpu_ns,
		.cost_ns = reading->cost_ns - log->opened_cost_ns,
		.calls = count_calls(reading->counts) - count_calls(&log->opened),
	};
	double left_ns = fmax(window.cpu_ns - BURST_COST_BEST * window.cost_ns,
			      LEFT_SHARE_MIN * window.cpu_ns);

	log->began = true;
	if (!(window.gap_ns > 0))
		return;
	add_window(log, &window);
	if (left_ns > 0)
		add_shares(&log->unseen, reading->counts, &log->opened, window.gap_ns / left_ns);
}

void burst_log__look(struct burst_log *log, const struct burst_reading *reading)
{
	if (log->open && !log->began && reading->cpu_ns - log->opened_cpu_ns >= BURST_BEGIN_NS)
		take_begin(log, reading);
}

void burst_log__close(struct burst_log *log, const struct burst_reading *reading)
{
	if (!log->open)
		return;
	if (!log->began)
		take_begin(log, reading);
	log->open = false;
	log->closed_cpu_ns = reading->cpu_ns;
	log->closed_cost_ns = reading->cost_ns;
	log->window_ns += (double)(reading->now_ns - log->opened_ns);
	log->window_cpu_ns += reading->cpu_ns - log->opened_cpu_ns;
	log->window_cost_ns += reading->cost_ns - log->opened_cost_ns;
	log->window_calls += count_calls(reading->counts) - count_calls(&log->opened);
	add_shares(&log->seen, reading->counts, &log->opened, 1);
}
