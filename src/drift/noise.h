/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_NOISE_H
#define MEMDRIFT_DRIFT_NOISE_H

#include <stddef.h>

#include "drift/design.h"

/*
 * How a series wanders without growing: a value that forgets itself with a correlation time (first
 * order autoregression in continuous time; up to a random walk) plus independent noise of each bin.
 */
struct noise {
	double time_h;  /* correlation time; 0: independent */
	double measure; /* variance of the independent part, in innovations of one bin */
	double log_prior;
};

/* Those that are tried. */
#define NOISE_MODELS 14
extern const struct noise noise_models[NOISE_MODELS];

/* A design with a noise's correlation, and each life's level, taken out of every column. */
struct whitened {
	double log_det; /* of the noise's covariance and of the levels */
	double free;    /* degrees of freedom that are left */
	double value[TRACK_MAX][DESIGN_COLUMNS] __attribute__((aligned(32)));
};

/* Of the first columns (rounded up to four). */
void noise__whiten(struct whitened *out, const struct noise *noise, const struct track *track,
		   const struct design *design, size_t columns);

#endif
