/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_EXPLANATIONS_H
#define MEMDRIFT_DRIFT_EXPLANATIONS_H

#include "drift/fit.h"
#include "drift/outlook.h"

/* Sums over explanations, each by its weight; log_top is taken out of the weights. */
struct tally {
	double line;	/* MiB of growth from which on it is drift */
	double log_top; /* the largest weight so far */
	double all, drifts, settled, any_slope;
	/* Of the part that drifts. */
	double slope, slope2, growth, onset, best_onset, best_drift;
};

void tally__init(struct tally *tally, double line_mib);
void tally__finish(const struct tally *tally, struct outlook *out);

/* All explanations under one noise. */
void explanations__weigh(const struct fit *fit, const struct design *design, struct tally *tally);
/* The evidence of the best of no growth and growth from an onset on, and its fit. */
double explanations__simplest(const struct fit *fit, const struct design *design,
			      struct explained *best);

#endif
