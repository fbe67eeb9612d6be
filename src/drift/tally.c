// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/explanations.h"

#include <math.h>

/* What is so much less likely than the best so far adds nothing. */
#define WEIGHT_WITHIN 14.0

static void keep_best(struct pick *picks, const struct claim *claim, double log_weight)
{
	struct pick *pick = &picks[claim->kind];

	if (log_weight <= pick->log_weight)
		return;
	pick->log_weight = log_weight;
	pick->count = claim->count;
	pick->onset_h = claim->onset_h;
	pick->has_line = claim->has_line;
	for (size_t i = 0; i < claim->count; i++)
		pick->terms[i] = claim->terms[i];
}

void tally__init(struct tally *tally, double line_mib)
{
	*tally = (struct tally){.line = line_mib, .log_top = -INFINITY, .best_drift = -INFINITY};
}

static void rescale(struct tally *tally, double log_weight)
{
	double by = isinf(tally->log_top) ? 0 : exp(tally->log_top - log_weight);

	tally->all *= by;
	tally->drifts *= by;
	tally->settled *= by;
	tally->any_slope *= by;
	tally->slope *= by;
	tally->slope2 *= by;
	tally->growth *= by;
	tally->onset *= by;
	tally->log_top = log_weight;
}

/* Mean and variance of a weighted sum of the coefficients. */
static double combine(const struct explained *explained, const double *by, size_t count,
		      double *variance)
{
	double mean = 0;

	*variance = 0;
	for (size_t i = 0; i < count; i++) {
		mean += by[i] * explained->coefficient[i];
		for (size_t j = 0; j < count; j++)
			*variance += by[i] * by[j] * explained->covariance[i][j];
	}
	*variance = fmax(*variance, 0);
	return mean;
}

static void read_terms(const struct design *design, const struct claim *claim, double *growths,
		       double *rates)
{
	for (size_t i = 0; i < claim->count; i++) {
		const struct term *term = &claim->terms[i];
		const struct shape *one = &design->shape[term->column[0]];
		const struct shape *other = &design->shape[term->column[1]];

		growths[i] = term->weight[0] * one->growth;
		rates[i] = term->weight[0] * one->rate;
		if (term->weight[1] != 0) {
			growths[i] += term->weight[1] * other->growth;
			rates[i] += term->weight[1] * other->rate;
		}
	}
}

void tally__add(struct tally *tally, const struct fit *fit, const struct design *design,
		const struct claim *claim)
{
	double growths[TERMS_MAX], rates[TERMS_MAX], growth, slope, variance, slope_variance;
	double weight, drifts, log_weight;
	struct explained explained;

	fit__explain(fit, claim->terms, claim->count, &explained);
	log_weight = explained.evidence + claim->log_prior;
	if (tally->picks)
		keep_best(tally->picks, claim, log_weight);
	if (!(log_weight > tally->log_top - WEIGHT_WITHIN))
		return;
	if (log_weight > tally->log_top)
		rescale(tally, log_weight);
	weight = exp(log_weight - tally->log_top);
	read_terms(design, claim, growths, rates);
	growth = combine(&explained, growths, claim->count, &variance);
	slope = combine(&explained, rates, claim->count, &slope_variance);
	drifts = weight * outlook__above(growth, sqrt(variance), tally->line);
	tally->all += weight;
	tally->any_slope += weight * slope;
	tally->drifts += drifts;
	if (claim->grows)
		tally->settled += weight - drifts;
	tally->slope += drifts * slope;
	tally->slope2 += drifts * (slope * slope + slope_variance);
	tally->growth += drifts * growth;
	tally->onset += drifts * claim->onset_h;
	if (drifts > 0 && log_weight + log(drifts / weight) > tally->best_drift) {
		tally->best_drift = log_weight + log(drifts / weight);
		tally->best_onset = claim->onset_h;
	}
}

void tally__finish(const struct tally *tally, struct outlook *out)
{
	double all = fmax(tally->all, 1e-300), drifts = fmax(tally->drifts, 1e-300);

	*out = (struct outlook){
		.drifts = tally->drifts / all,
		.settled = tally->settled / all,
		.any_slope = tally->any_slope / all,
		.slope = tally->slope / drifts,
		.growth = tally->growth / drifts,
		.onset_h = tally->best_onset,
	};
	out->slope_sd = sqrt(fmax(tally->slope2 / drifts - out->slope * out->slope, 0));
}
