// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* From windows to the whole: see burst_log.h. */
#include <math.h>
#include <stdlib.h>

#include "analysis/burst_log.h"

/* Delete-one-block jackknife: blocks of neighbours, as what lies close together is alike. */
#define BLOCKS_MAX 20
/* With fewer windows their spread says nothing. */
#define WINDOWS_MIN 4
/* An interval wider than this share of the figure leaves none to be called the best. */
#define WIDTH_MAX 1
/* Between the last reading and the end of a trace lies always some time. */
#define NO_GAP_SHARE 0.001

/* Windows by how much of their CPU time was cost, the dearest first. */
static int compare_windows(const void *left, const void *right)
{
	const struct burst_window *a = *(const struct burst_window *const *)left;
	const struct burst_window *b = *(const struct burst_window *const *)right;
	/* a / A > b / B, without a division by 0. */
	double of_a = a->cost_ns * b->cpu_ns, of_b = b->cost_ns * a->cpu_ns;

	return of_a > of_b ? -1 : of_a < of_b;
}

/*
 * Windows of about the same intensity, enough of them that the clock's error does not matter: one
 * by one a window with little left after the cost would give any rate.
 */
struct stratum {
	double cpu_ns, cost_ns, calls, gap_ns;
	uint32_t windows;
};

static void add_to_stratum(struct stratum *stratum, const struct stratum *more)
{
	stratum->cpu_ns += more->cpu_ns;
	stratum->cost_ns += more->cost_ns;
	stratum->calls += more->calls;
	stratum->gap_ns += more->gap_ns;
	stratum->windows += more->windows;
}

static double left_ns(const struct stratum *stratum, double factor)
{
	return stratum->cpu_ns - factor * stratum->cost_ns;
}

static bool is_certain(const struct stratum *stratum, double factor)
{
	return left_ns(stratum, factor) >=
	       BURST_CLOCK_FACTOR * BURST_CLOCK_ERROR_NS * sqrt(stratum->windows);
}

static double stratum_calls(const struct stratum *stratum, double factor)
{
	double left = left_ns(stratum, factor);

	if (!stratum->calls || !stratum->gap_ns)
		return 0;
	return left > 0 ? stratum->calls / left * stratum->gap_ns : INFINITY;
}

/*
 * Calls per ns of gap, when a hit costs `factor` times what was calibrated. Without the windows
 * from `skip` to before `skip_end` of log->windows. INFINITY: no rate is too high.
 */
static double gap_rate(const struct burst_log *log, const struct burst_window **order,
		       double factor, const struct burst_window *skip,
		       const struct burst_window *skip_end)
{
	struct stratum now = {0}, last = {0};
	double calls = 0, gap_ns = 0;

	for (uint32_t i = 0; i < log->count; i++) {
		const struct burst_window *window = order[i];
		const struct stratum one = {window->cpu_ns, window->cost_ns, window->calls,
					    window->gap_ns, 1};

		if (window >= skip && window < skip_end)
			continue;
		add_to_stratum(&now, &one);
		gap_ns += window->gap_ns;
		if (!is_certain(&now, factor))
			continue;
		calls += stratum_calls(&last, factor);
		last = now;
		now = (struct stratum){0};
	}
	/* The rest is too little for a stratum of its own. */
	add_to_stratum(&last, &now);
	calls += stratum_calls(&last, factor);
	return gap_ns > 0 ? calls / gap_ns : 0;
}

/* Student's t, 97.5 %, by degrees of freedom from 3 on (Fisher & Yates). */
static double t_quantile(uint32_t freedom)
{
	static const double table[] = {3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20,
				       2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09};
	uint32_t last = sizeof(table) / sizeof(*table) - 1;

	freedom = freedom < 3 ? 0 : freedom - 3;
	return table[freedom < last ? freedom : last];
}

/* Half the width of the interval of gap_rate that the spread between windows gives. */
static double rate_spread(const struct burst_log *log, const struct burst_window **order,
			  double factor)
{
	uint32_t blocks = log->count < BLOCKS_MAX ? log->count : BLOCKS_MAX;
	double without[BLOCKS_MAX], mean = 0, squares = 0;

	for (uint32_t i = 0; i < blocks; i++) {
		const struct burst_window *from = log->windows + log->count * i / blocks;
		const struct burst_window *to = log->windows + log->count * (i + 1) / blocks;

		without[i] = gap_rate(log, order, factor, from, to);
		mean += without[i] / blocks;
	}
	for (uint32_t i = 0; i < blocks; i++)
		squares += (without[i] - mean) * (without[i] - mean);
	return t_quantile(blocks - 1) * sqrt(squares * (blocks - 1) / blocks);
}

static void estimate_rate(const struct burst_log *log, struct estimate_range *rate)
{
	const struct burst_window **order;
	double spread;

	*rate = (struct estimate_range){0, NAN, NAN};
	order = log->count < WINDOWS_MIN ? NULL : calloc(log->count, sizeof(*order));
	if (!order)
		return;
	for (uint32_t i = 0; i < log->count; i++)
		order[i] = &log->windows[i];
	qsort(order, log->count, sizeof(*order), compare_windows);
	spread = rate_spread(log, order, BURST_COST_LOW);
	rate->low = gap_rate(log, order, BURST_COST_LOW, NULL, NULL) - spread;
	/* What was seen per CPU second, cost included, is no more than the rate without it. */
	if (!isfinite(rate->low))
		rate->low = gap_rate(log, order, 0, NULL, NULL) - rate_spread(log, order, 0);
	rate->low = fmax(rate->low, 0);
	spread = rate_spread(log, order, BURST_COST_HIGH);
	rate->high = gap_rate(log, order, BURST_COST_HIGH, NULL, NULL) + spread;
	if (!isfinite(rate->high))
		rate->high = NAN;
	rate->best = gap_rate(log, order, BURST_COST_BEST, NULL, NULL);
	if (!isfinite(rate->best))
		rate->best = NAN;
	free(order);
}

static struct estimate_range divide(const struct estimate_range *range, double low, double best,
				    double high)
{
	return (struct estimate_range){
		.low = low > 0 ? range->low / low : NAN,
		.best = best > 0 ? range->best / best : NAN,
		.high = high > 0 ? range->high / high : NAN,
	};
}

/* CPU time that the program would have needed without probes, when a hit costs so much. */
static double own_cpu_s(const struct burst_log *log, double gap_ns, double factor)
{
	return (gap_ns + fmax(log->window_cpu_ns - factor * log->window_cost_ns, 0)) / 1e9;
}

static struct estimate_range total_calls(const struct burst_log *log, double gap_ns)
{
	struct estimate_range calls, rate;

	/* Never detached: nothing is to be inferred. */
	if (!log->count && gap_ns < NO_GAP_SHARE * log->window_cpu_ns)
		return (struct estimate_range){log->window_calls, log->window_calls,
					       log->window_calls};
	estimate_rate(log, &rate);
	calls = (struct estimate_range){
		.low = log->window_calls + rate.low * gap_ns,
		.best = log->window_calls + rate.best * gap_ns,
		.high = log->window_calls + rate.high * gap_ns,
	};
	if (!(calls.high - calls.low <= WIDTH_MAX * calls.best))
		calls.best = NAN;
	return calls;
}

/* Adds what stands for the gaps to what was seen, and makes shares of it. Returns the sum. */
static double share_out(const double *seen, const double *unseen, double *share, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += seen[i] + unseen[i];
	for (uint32_t i = 0; i < n; i++)
		share[i] = sum > 0 ? (seen[i] + unseen[i]) / sum : 0;
	return sum;
}

void burst_log__estimate(const struct burst_log *log, const struct burst_reading *end,
			 struct alloc_estimate *estimate)
{
	double cpu_ns = end->cpu_ns - log->first_cpu_ns;
	double cost_ns = end->cost_ns - log->first_cost_ns;
	double gap_ns, calls, requests, bytes;

	*estimate = (struct alloc_estimate){
		.bursts = log->bursts,
		.covered_s = log->window_ns / 1e9,
		.present_s = (double)(end->now_ns - log->from_ns) / 1e9,
		.covered_cpu = cpu_ns > 0 ? fmin(log->window_cpu_ns / cpu_ns, 1) : NAN,
	};
	/* All gaps, the one after the last window included. */
	gap_ns = fmax(
		cpu_ns - log->window_cpu_ns - BURST_COST_BEST * (cost_ns - log->window_cost_ns), 0);
	estimate->calls = total_calls(log, gap_ns);
	estimate->calls_per_s = divide(&estimate->calls, estimate->present_s, estimate->present_s,
				       estimate->present_s);
	estimate->calls_per_cpu_s = divide(&estimate->calls, own_cpu_s(log, gap_ns, BURST_COST_LOW),
					   own_cpu_s(log, gap_ns, BURST_COST_BEST),
					   own_cpu_s(log, gap_ns, BURST_COST_HIGH));
	calls = share_out(log->seen.rows, log->unseen.rows, estimate->row_share, CALL_ROWS);
	requests = share_out(log->seen.requests, log->unseen.requests, estimate->request_share,
			     SIZE_BUCKETS);
	bytes = share_out(log->seen.bytes, log->unseen.bytes, estimate->byte_share, SIZE_BUCKETS);
	estimate->requests_per_call = calls > 0 ? requests / calls : NAN;
	estimate->bytes_per_request = requests > 0 ? bytes / requests : NAN;
}
