// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/noise.h"

#include <math.h>
#include <string.h>

#include "drift/vec.h"

/*
 * Memory that wanders without any bound is rarer than memory that is used and given back within
 * hours; what a few days show cannot tell them apart.
 */
#define WEEKS_3RD (-0.5)
#define WEEKS     (-1.3)
#define WALK      (-2.5)

/*
 * From independent noise to a random walk (2,000 h are no different from one over four weeks), each
 * also under independent noise that is small or large beside it.
 */
const struct noise noise_models[NOISE_MODELS] = {
	{0, 0, 0},          {3, 0, 0},           {8, 0, 0},       {8, 2, 0},
	{24, 0, 0},         {24, 2, 0},          {24, 12, 0},     {72, 0, WEEKS_3RD},
	{72, 2, WEEKS_3RD}, {72, 12, WEEKS_3RD}, {300, 0, WEEKS}, {300, 4, WEEKS},
	{2000, 0, WALK},    {2000, 8, WALK},
};

#define VECS (DESIGN_COLUMNS / VEC_WIDTH)

/* The state of a Kalman filter over one life, all columns at once: they share its gains. */
struct filter {
	double variance; /* of the wandering value, before the row is seen */
	double independent;
	vec expected[VECS];
	double expected_one; /* of a column of ones: the life's level */
	vec with_one[VECS];  /* products of the whitened columns with the whitened ones */
	double one_with_one;
};

static void start_life(struct filter *filter, const struct noise *noise)
{
	memset(filter->expected, 0, sizeof(filter->expected));
	memset(filter->with_one, 0, sizeof(filter->with_one));
	filter->expected_one = 0;
	filter->one_with_one = 0;
	filter->variance = noise->time_h > 0 ? 1 : 0;
}

static double whiten_row(struct filter *filter, const vec *in, vec *out, size_t vecs,
			 double *log_det)
{
	double whole = filter->variance + filter->independent;
	double scale = 1 / sqrt(whole), gain = filter->variance / whole;
	double one = (1 - filter->expected_one) * scale;

	for (size_t v = 0; v < vecs; v++) {
		vec off = in[v] - filter->expected[v];

		out[v] = off * scale;
		filter->expected[v] += gain * off;
		filter->with_one[v] += out[v] * one;
	}
	filter->expected_one += gain * (1 - filter->expected_one);
	filter->one_with_one += one * one;
	filter->variance *= 1 - gain;
	*log_det += log(whole);
	return one;
}

static void predict(struct filter *filter, double kept, size_t vecs)
{
	for (size_t v = 0; v < vecs; v++)
		filter->expected[v] *= kept;
	filter->expected_one *= kept;
	filter->variance = kept * kept * filter->variance + 1 - kept * kept;
}

/* Takes the life's level out of its rows, [from, to). */
static void end_life(struct whitened *out, struct filter *filter, const double *ones, size_t from,
		     size_t to, size_t vecs)
{
	if (from == to || filter->one_with_one <= 0)
		return;
	for (size_t i = from; i < to; i++) {
		vec *row = (vec *)out->value[i];
		double share = ones[i] / filter->one_with_one;

		for (size_t v = 0; v < vecs; v++)
			row[v] -= filter->with_one[v] * share;
	}
	out->log_det += log(filter->one_with_one);
}

void noise__whiten(struct whitened *out, const struct noise *noise, const struct track *track,
		   const struct design *design, size_t columns)
{
	double kept_bin = noise->time_h > 0 ? exp(-track->bin_h / noise->time_h) : 0;
	struct filter filter;
	double ones[TRACK_MAX];
	size_t vecs = vec__count(columns), from = 0;

	start_life(&filter, noise);

	/* The wandering value has variance 1; its innovations of one bin 1 - kept^2. */
	filter.independent = noise->time_h > 0 ? noise->measure * (1 - kept_bin * kept_bin) : 1;
	out->log_det = -2 * noise->log_prior;
	out->free = (double)track->count - (double)track->lives;
	for (size_t i = 0; i < track->count; i++) {
		if (track->gap_h[i] <= 0) {
			if (i)
				end_life(out, &filter, ones, from, i, vecs);
			start_life(&filter, noise);
			from = i;
		} else if (noise->time_h > 0) {
			double gap_h = track->gap_h[i];

			predict(&filter,
				fabs(gap_h - track->bin_h) < 1e-9 ? kept_bin
								  : exp(-gap_h / noise->time_h),
				vecs);
		}
		ones[i] = whiten_row(&filter, (const vec *)design->value[i], (vec *)out->value[i],
				     vecs, &out->log_det);
	}
	if (track->count)
		end_life(out, &filter, ones, from, track->count, vecs);
}
