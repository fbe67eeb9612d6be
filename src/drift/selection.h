/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_SELECTION_H
#define MEMDRIFT_DRIFT_SELECTION_H

#include "drift/explanations.h"
#include "drift/fit.h"

/* What all explanations of a track are built from, chosen before they are weighed. */
struct outlook_work {
	struct design design;
	struct design chosen; /* columns that the picks are made of */
	struct whitened whitened;
	struct fit fit;
};

/*
 * Builds the design: with the steps that no explanation does without, and onsets and time constants
 * as fine as the track can tell. The best explanation of each kind is left in picks, in terms of
 * work->chosen.
 */
void selection__build(struct outlook_work *work, const struct track *track,
		      const struct design_scale *scale, struct pick *picks);
/* How well each noise does (logarithm), by the best of the picks, and its variance then. */
void selection__weigh_noises(struct outlook_work *work, const struct track *track,
			     const struct pick *picks, double *weights, double *sigma2);
/* Leaves the products of all columns under a noise in work->fit. sigma2 0: guessed. */
void selection__fit(struct outlook_work *work, const struct track *track, int noise, double sigma2);

#endif
