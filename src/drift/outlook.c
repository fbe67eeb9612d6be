// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/outlook.h"

#include <math.h>
#include <stdlib.h>

#include "drift/selection.h"

/* Drift is this much growth in two weeks. */
#define DRIFT_LEAST_MIB 24.0
#define DRIFT_SHARE     0.02

/* Noise that is this much less likely (logarithm) than the best is left out, and all but some. */
#define NOISE_WITHIN 4.0
#define NOISE_KEPT   4

struct outlook_work *outlook_work__new(void)
{
	void *work = NULL;

	return posix_memalign(&work, 64, sizeof(struct outlook_work)) ? NULL : work;
}

void outlook_work__free(struct outlook_work *work)
{
	free(work);
}

double outlook__above(double mean, double sd, double line)
{
	if (sd <= 0)
		return mean >= line;
	return erfc((line - mean) / (sd * M_SQRT2)) / 2;
}

double outlook__threshold(double level)
{
	return fmax(DRIFT_LEAST_MIB, DRIFT_SHARE * level);
}

static int best_of(const double *weights, const bool *taken)
{
	int best = -1;

	for (int i = 0; i < NOISE_MODELS; i++)
		if (!taken[i] && (best < 0 || weights[i] > weights[best]))
			best = i;
	return best;
}

void outlook__compute(struct outlook_work *work, const struct track *track, double level,
		      struct outlook *out)
{
	struct design_scale scale = design_scale__guess(track, level);
	double weights[NOISE_MODELS], sigma2[NOISE_MODELS];
	bool taken[NOISE_MODELS] = {false};
	struct pick picks[PICKS];
	struct tally tally;
	int first = -1;

	selection__build(work, track, &scale, picks);
	selection__weigh_noises(work, track, picks, weights, sigma2);
	tally__init(&tally, DRIFT_LINE * outlook__threshold(level));
	for (int kept = 0; kept < NOISE_KEPT; kept++) {
		int i = best_of(weights, taken);

		if (kept && weights[i] < weights[first] - NOISE_WITHIN)
			break;
		first = kept ? first : i;
		taken[i] = true;
		selection__fit(work, track, i, sigma2[i]);
		explanations__weigh(&work->fit, &work->design, &tally);
	}
	tally__finish(&tally, out);
	out->level = level;
	out->threshold = outlook__threshold(level);
	out->noise_h = noise_models[first].time_h;
	out->sigma = sqrt(sigma2[first]);
}

/* The noise of a line: one that remembers for a day beside an independent one as large. */
#define LINE_NOISE 5

void outlook__line(struct outlook_work *work, const struct track *track, double onset_h,
		   double *slope, double *slope_sd)
{
	struct design *design = &work->design;
	struct design_scale scale = design_scale__guess(track, 0);
	struct explained explained;
	struct term term;
	size_t column;

	*slope = 0;
	*slope_sd = 0;
	if (track->count < OUTLOOK_ROWS_MIN || !(track__range(track) > 0))
		return;
	/* Any slope is as likely as another here. */
	scale.growth_mib = 10 * track__range(track);
	onset_h = fmin(onset_h, track->t_h[track->count - 3]);
	design__build_line(design, track, &scale, onset_h);
	column = design->base + 1;
	noise__whiten(&work->whitened, &noise_models[LINE_NOISE], track, design, design->columns);
	fit__prepare(&work->fit, design, &work->whitened, design->columns,
		     fit__guess_sigma2(design, &work->whitened));
	term = (struct term){{column, column}, {1, 0}, design->prior[column]};
	fit__explain(&work->fit, &term, 1, &explained);
	*slope = explained.coefficient[0] * design->shape[column].rate;
	*slope_sd = sqrt(fmax(explained.covariance[0][0], 0)) * design->shape[column].rate;
}
