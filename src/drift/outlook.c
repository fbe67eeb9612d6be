// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/explanations.h"
#include "drift/fit.h"
#include "drift/noise.h"
#include "drift/steps.h"

/* Drift is this much growth in two weeks. */
#define DRIFT_LEAST_MIB 24.0
#define DRIFT_SHARE     0.02
/* Under a quarter of that is no drift; the line is drawn half way (of factors). */
#define DRIFT_LINE 0.5

/* Growth expected beforehand where there is any: a few times what is asked about, or what the track
 * spans: a narrow expectation would pull large growth down to itself. */
#define GROWTH_PRIOR 4.0

/* Noise that is this much less likely (logarithm) than the best is left out, and all but some. */
#define NOISE_WITHIN 4.0
#define NOISE_KEPT   4

/* The noise under which steps are looked for: one that remembers for days, as levels do. */
#define STEP_NOISE 10

struct outlook_work {
	struct design design;
	struct design chosen; /* columns that the picks are made of */
	struct whitened whitened;
	struct fit fit;
};

struct outlook_work *outlook_work__new(void)
{
	void *work = NULL;

	return posix_memalign(&work, 64, sizeof(struct outlook_work)) ? NULL : work;
}

void outlook_work__free(struct outlook_work *work)
{
	free(work);
}

double outlook__threshold(double level)
{
	return fmax(DRIFT_LEAST_MIB, DRIFT_SHARE * level);
}

double track__range(const struct track *track)
{
	double low = INFINITY, high = -INFINITY;

	for (size_t i = 0; i < track->count; i++) {
		low = fmin(low, track->y[i]);
		high = fmax(high, track->y[i]);
	}
	return track->count ? high - low : 0;
}

double track__level(const struct track *track)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = track->count; i-- > 0;) {
		if (track->t_h[track->count - 1] - track->t_h[i] >= 24)
			break;
		sum += track->y[i];
		count++;
	}
	return count ? sum / (double)count : 0;
}

#define STRAY_CYCLE 0.35
/* A week is seen when it is over; until then it is expected to be this share of the daily cycle,
 * and afterwards as large, or this share of what is no cycle. */
#define WEEK_SEEN_H   192.0
#define WEEK_OF_DAY   0.2
#define WEEK_OF_NOISE 0.3

/* How far the track strays from each life's mean; root of the mean of squares. */
static double stray_in_lives(const struct track *track)
{
	double squares = 0;

	for (size_t from = 0, to; from < track->count; from = to) {
		double mean = 0;

		for (to = from; to < track->count && track->life[to] == track->life[from]; to++)
			mean += track->y[to];
		mean /= (double)(to - from);
		for (size_t i = from; i < to; i++)
			squares += (track->y[i] - mean) * (track->y[i] - mean);
	}
	return sqrt(squares / (double)track->count);
}

/* How a row differs from those half a day before and after; NAN where they are not in its life. */
static double half_day_off(const struct track *track, size_t row, size_t half)
{
	if (row < half || row + half >= track->count ||
	    track->life[row - half] != track->life[row + half])
		return NAN;
	return track->y[row] - (track->y[row - half] + track->y[row + half]) / 2;
}

/*
 * How large a track's cycles may be. What differs half a day apart may all be a daily cycle. How a
 * week goes is not seen before it is over, and looks like growth until then: days that are like
 * each other tell how large it could be. Where lives are too short for that, a part of what they do
 * within may be a cycle: all of it would be as good an explanation of a leak that is gone with each
 * life.
 */
static struct design_scale guess_scale(const struct track *track, double level)
{
	double squares = 0, count = 0, products = 0, pairs = 0, daily, alike;
	double least = 0.001 * outlook__threshold(level);
	size_t half = (size_t)(12 / track->bin_h);
	bool is_week = track->span_h >= WEEK_SEEN_H;

	for (size_t i = 0; i < track->count; i++) {
		double off = half_day_off(track, i, half);
		double next = half_day_off(track, i + 2 * half, half);

		if (isnan(off))
			continue;
		squares += off * off;
		count++;
		if (isnan(next))
			continue;
		products += off * next;
		pairs++;
	}
	if (4 * count > (double)track->count)
		daily = sqrt(squares / count);
	else
		daily = STRAY_CYCLE * stray_in_lives(track);
	alike = pairs > 0 ? sqrt(fmax(products / pairs, 0)) : daily;
	return (struct design_scale){
		.daily_mib = fmax(daily, least),
		.weekly_mib = fmax(
			is_week ? fmax(alike, WEEK_OF_NOISE * daily) : WEEK_OF_DAY * alike, least),
		.growth_mib = fmax(GROWTH_PRIOR * outlook__threshold(level), track__range(track)),
	};
}

/*
 * A step that the best explanation so much gains by (logarithm) belongs to every explanation. The
 * noise by which explanations are picked forgets within a day.
 */
#define STEP_GAIN  8.0
#define PICK_NOISE 5
/* Growth that is so much more likely (logarithm) than none has its onset refined, in so many steps
 * to each side. */
#define REFINE_GAIN  25.0
#define ONSET_SPLITS 3
/* Time constants are refined in octaves: from below the best one to above the next. */
#define TIMES_FROM (-1.5)
#define TIMES_STEP 0.5

static void fit_under(struct outlook_work *work, const struct track *track, int noise,
		      double sigma2)
{
	const struct design *design = &work->design;

	noise__whiten(&work->whitened, &noise_models[noise], track, design, design->columns);
	if (!(sigma2 > 0))
		sigma2 = fit__guess_sigma2(design, &work->whitened);
	fit__prepare(&work->fit, design, &work->whitened, design->columns, sigma2);
}

static void find_steps(struct outlook_work *work, const struct track *track,
		       const struct design_scale *scale, struct step_list *plain,
		       struct step_list *maybe)
{
	struct design *design = &work->design;

	design__build_line(design, track, scale, track->t_h[0]);
	noise__whiten(&work->whitened, &noise_models[STEP_NOISE], track, design, design->base + 1);
	steps__find(track, &work->whitened, design->base,
		    sqrt(fit__guess_sigma2(design, &work->whitened)), plain, maybe);
}

static int best_pick(const struct pick *picks)
{
	int best = 0;

	for (int i = 1; i < PICKS; i++)
		if (picks[i].log_weight > picks[best].log_weight)
			best = i;
	return best;
}

/* The candidate step that an explanation gains most by, beyond *most; best where there is none. */
static size_t gain_by_step(const struct outlook_work *work, const struct track *track,
			   const struct pick *pick, double *most, size_t best)
{
	const struct design *design = &work->design;
	struct pick with = *pick;
	struct explained explained;

	if (isinf(pick->log_weight) || with.count == TERMS_MAX)
		return best;
	for (size_t i = 0; i < design->steps; i++) {
		size_t column = design->first_step + i;
		const struct shape *step = &design->shape[column];

		/* See weigh_steps: no line across such a fall. */
		if (!step->up && steps__is_flush(track, step->row))
			continue;
		with.terms[with.count] =
			(struct term){{column, column}, {1, 0}, design->prior[column]};
		fit__explain(&work->fit, with.terms, with.count + 1, &explained);
		if (explained.evidence <= *most)
			continue;
		*most = explained.evidence;
		best = i;
	}
	return best;
}

/* The step without which no explanation is any good; the count of candidates: none. */
static size_t best_step(const struct outlook_work *work, const struct track *track,
			const struct pick *picks)
{
	double most = -INFINITY;
	size_t best = work->design.steps;

	for (int kind = 0; kind < PICK_OTHER; kind++) {
		struct explained explained;

		if (isinf(picks[kind].log_weight))
			continue;
		fit__explain(&work->fit, picks[kind].terms, picks[kind].count, &explained);
		most = fmax(most, explained.evidence + STEP_GAIN);
	}
	for (int kind = 0; kind < PICK_OTHER; kind++)
		best = gain_by_step(work, track, &picks[kind], &most, best);
	return best;
}

static void build_design(struct outlook_work *work, const struct track *track,
			 const struct design_scale *scale, const struct step_list *plain,
			 const struct step_list *maybe, const struct onset_list *onsets,
			 const struct time_list *times)
{
	design__build(&work->design, track, scale, plain, onsets, times);
	for (size_t i = 0; i < maybe->count; i++)
		design__add_step(&work->design, track, maybe->row[i], scale->growth_mib);
}

/* Onsets between a hinge and its neighbours. */
static void split_neighbours(const struct design *design, size_t hinge, struct onset_list *onsets)
{
	size_t first = design->base + 1, last = first + design->hinges - 1;
	double tau_h = design->shape[hinge].tau_h;

	for (int side = -1; side <= 1; side += 2) {
		size_t other = side < 0 ? hinge - 1 : hinge + 1;
		double gap_h;

		if ((side < 0 && hinge == first) || (side > 0 && hinge == last))
			continue;
		gap_h = design->shape[other].tau_h - tau_h;
		for (int i = 1; i <= ONSET_SPLITS && onsets->count < DESIGN_ONSETS_MAX; i++)
			onsets->tau_h[onsets->count++] =
				tau_h + gap_h * i / (double)(ONSET_SPLITS + 1);
	}
}

/* Where growth is far beyond doubt, its onset is looked for between the usual ones: a corner that
 * lies a day off would have to be explained by something else. */
static void refine_onsets(const struct design *design, const struct pick *picks,
			  struct onset_list *onsets)
{
	const struct pick *pick = &picks[best_pick(picks)];

	onsets->count = 0;
	for (size_t i = 0; i < pick->count; i++)
		for (size_t k = 0; k < 2; k++) {
			size_t column = pick->terms[i].column[k];

			if (pick->terms[i].weight[k] != 0 &&
			    column <= design->base + design->hinges)
				split_neighbours(design, column, onsets);
		}
}

/* The same of time constants: about those of the best warm-up. */
static void refine_times(const struct design *design, const struct pick *picks,
			 struct time_list *times)
{
	const struct pick *pick = &picks[PICK_AGE];
	const struct shape *shape = &design->shape[pick->terms[0].column[0]];

	if (isinf(pick->log_weight) || shape->kind != SHAPE_AGE_FIRST)
		return;
	times->count = DESIGN_TIMES;
	for (size_t i = 0; i < DESIGN_TIMES; i++)
		times->time_h[i] = shape->time_h * exp2(TIMES_FROM + TIMES_STEP * (double)i);
}

/* Explanations under one noise, with the steps that they need. */
static void pick_explanations(struct outlook_work *work, const struct track *track,
			      const struct design_scale *scale, struct pick *picks)
{
	struct onset_list onsets = {0};
	struct step_list plain, maybe;
	struct time_list times;
	bool refined = false;

	find_steps(work, track, scale, &plain, &maybe);
	design__usual_times(track, &times);
	for (;;) {
		size_t step;

		build_design(work, track, scale, &plain, &maybe, &onsets, &times);
		fit_under(work, track, PICK_NOISE, 0);
		explanations__pick(&work->fit, &work->design, picks);
		step = best_step(work, track, picks);
		if (plain.count < DESIGN_STEPS_MAX && step < maybe.count) {
			plain.row[plain.count++] = maybe.row[step];
			maybe.row[step] = maybe.row[--maybe.count];
			continue;
		}
		if (refined ||
		    picks[best_pick(picks)].log_weight < picks[PICK_NONE].log_weight + REFINE_GAIN)
			return;
		refine_onsets(&work->design, picks, &onsets);
		refine_times(&work->design, picks, &times);
		refined = true;
	}
}

/* The place of a column among those chosen, where it is put if it is not there. */
static size_t choose_column(struct outlook_work *work, size_t *from, size_t column)
{
	struct design *chosen = &work->chosen;

	for (size_t i = chosen->base + 1; i < chosen->columns; i++)
		if (from[i] == column)
			return i;
	from[chosen->columns] = column;
	return chosen->columns++;
}

/* A design of no more than the picks need, and the picks in terms of it. */
static void choose_columns(struct outlook_work *work, struct pick *picks)
{
	const struct design *design = &work->design;
	struct design *chosen = &work->chosen;
	size_t from[DESIGN_COLUMNS];

	chosen->rows = design->rows;
	chosen->base = design->base;
	chosen->columns = design->base + 1;
	for (size_t i = 0; i < chosen->columns; i++)
		from[i] = i;
	for (int kind = 0; kind < PICKS; kind++)
		for (size_t i = 0; i < picks[kind].count; i++) {
			struct term *term = &picks[kind].terms[i];

			term->column[0] = choose_column(work, from, term->column[0]);
			term->column[1] = choose_column(work, from, term->column[1]);
		}
	memcpy(chosen->prior, design->prior, sizeof(chosen->prior));
	for (size_t row = 0; row < chosen->rows; row++) {
		memset(chosen->value[row], 0, sizeof(chosen->value[row]));
		for (size_t i = 0; i < chosen->columns; i++)
			chosen->value[row][i] = design->value[row][from[i]];
	}
}

/* How well each noise does, by the best of the explanations that were picked. */
static void weigh_noises(struct outlook_work *work, const struct track *track,
			 const struct pick *picks, double *weights, double *sigma2)
{
	const struct design *design = &work->chosen;

	for (int i = 0; i < NOISE_MODELS; i++) {
		noise__whiten(&work->whitened, &noise_models[i], track, design, design->columns);
		sigma2[i] = fit__guess_sigma2(design, &work->whitened);
		fit__prepare(&work->fit, design, &work->whitened, design->columns, sigma2[i]);
		weights[i] = -INFINITY;
		for (int kind = 0; kind < PICKS; kind++) {
			struct explained explained;

			if (isinf(picks[kind].log_weight))
				continue;
			fit__explain(&work->fit, picks[kind].terms, picks[kind].count, &explained);
			if (explained.evidence <= weights[i])
				continue;
			weights[i] = explained.evidence;
			sigma2[i] = explained.rss / fmax(work->fit.free, 1);
		}
	}
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
	struct design_scale scale = guess_scale(track, level);
	double weights[NOISE_MODELS], sigma2[NOISE_MODELS];
	bool taken[NOISE_MODELS] = {false};
	struct pick picks[PICKS];
	struct tally tally;
	int first = -1;

	pick_explanations(work, track, &scale, picks);
	choose_columns(work, picks);
	weigh_noises(work, track, picks, weights, sigma2);
	tally__init(&tally, DRIFT_LINE * outlook__threshold(level));
	for (int kept = 0; kept < NOISE_KEPT; kept++) {
		int i = best_of(weights, taken);

		if (kept && weights[i] < weights[first] - NOISE_WITHIN)
			break;
		first = kept ? first : i;
		taken[i] = true;
		fit_under(work, track, i, sigma2[i]);
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
	struct design_scale scale = guess_scale(track, 0);
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
