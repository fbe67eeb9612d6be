// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/selection.h"

#include <math.h>
#include <string.h>

#include "drift/steps.h"

/* The noise under which steps are looked for: one that remembers for days, as levels do. */
#define STEP_NOISE 10

/*
 * A step that the best explanation so much gains by (logarithm) belongs to every explanation. The
 * noise by which explanations are picked forgets within a day.
 */
#define STEP_GAIN  6.0
#define PICK_NOISE 5
/* Growth that is so much more likely (logarithm) than none has its onset refined, in so many steps
 * to each side. */
#define REFINE_GAIN  25.0
#define ONSET_SPLITS 3
/* Time constants are refined in octaves: from below the best one to above the next. */
#define TIMES_FROM (-1.5)
#define TIMES_STEP 0.5

void selection__fit(struct outlook_work *work, const struct track *track, int noise, double sigma2)
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
	struct time_list times = {0};
	bool refined = false;

	find_steps(work, track, scale, &plain, &maybe);
	design__usual_times(track, &times);
	for (;;) {
		size_t step;

		build_design(work, track, scale, &plain, &maybe, &onsets, &times);
		selection__fit(work, track, PICK_NOISE, 0);
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

void selection__build(struct outlook_work *work, const struct track *track,
		      const struct design_scale *scale, struct pick *picks)
{
	pick_explanations(work, track, scale, picks);
	choose_columns(work, picks);
}

/* How well each noise does, by the best of the explanations that were picked. */
void selection__weigh_noises(struct outlook_work *work, const struct track *track,
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
