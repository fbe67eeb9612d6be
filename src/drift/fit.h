/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_FIT_H
#define MEMDRIFT_DRIFT_FIT_H

#include <stddef.h>

#include "drift/noise.h"

/*
 * What columns and track have to do with each other once noise, levels and cycles are taken out:
 * all that the many explanations of one track need, so that each costs only a small equation.
 */
struct fit {
	size_t y; /* the track's column; shapes follow it */
	size_t columns;
	double sigma2;   /* variance of the whitened track, guessed beforehand */
	double free;     /* degrees of freedom */
	double evidence; /* of noise, levels and cycles, common to all explanations */
	double inner[DESIGN_COLUMNS][DESIGN_COLUMNS] __attribute__((aligned(32)));
};

/* sigma2: of the noise's unit. */
void fit__prepare(struct fit *fit, const struct design *design, const struct whitened *whitened,
		  size_t columns, double sigma2);
/* A robust guess of sigma2 by the whitened track alone, which growth and steps hardly raise. */
double fit__guess_sigma2(const struct design *design, const struct whitened *whitened);

/* An explanation by a weighted sum of columns each. */
#define TERMS_MAX 8
struct term {
	size_t column[2];
	double weight[2]; /* the second may be 0 */
	double prior;     /* MiB */
};

struct explained {
	double evidence; /* log of the marginal likelihood, up to what all have */
	double rss;      /* whitened squares that are left */
	double coefficient[TERMS_MAX];
	double covariance[TERMS_MAX][TERMS_MAX];
};

void fit__explain(const struct fit *fit, const struct term *terms, size_t count,
		  struct explained *out);

#endif
