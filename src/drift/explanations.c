// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/explanations.h"

#include <math.h>

/*
 * How common each kind of history is beforehand, as logarithms of shares. Most processes do not
 * grow; the shares of the others matter little beside the data's own weight, but keep rare and
 * flexible histories from explaining what is nothing.
 */
#define PRIOR_NONE       (-0.5)
#define PRIOR_HINGE      (-1.5)
#define PRIOR_ENDED      (-4.5)
#define PRIOR_TWO_SLOPES (-4.0)
#define PRIOR_WARM_UP    (-2.5)
#define PRIOR_LOG        (-3.0)
#define PRIOR_SETTLING   (-3.0)
#define PRIOR_AND_HINGE  (-2.0)
#define PRIOR_STEP       (-2.0)

static struct term one_column(const struct design *design, size_t column)
{
	return (struct term){{column, column}, {1, 0}, design->prior[column]};
}

/* A line from the one hinge on that ends at the other: the columns' ranges are in hours. */
static struct term ended_line(const struct design *design, size_t from, size_t to)
{
	double from_h = design->shape[from].range, to_h = design->shape[to].range;
	double long_h = fmax(from_h - to_h, 1e-9);

	return (struct term){{from, to}, {from_h / long_h, -to_h / long_h}, design->prior[from]};
}

static double hinge_weights(const struct fit *fit, const struct design *design)
{
	double sum = 0;

	for (size_t i = 0; i < design->hinges; i++)
		sum += design->shape[fit->y + 1 + i].weight;
	return fmax(sum, 1e-9);
}

/* Straight growth: from an onset on, until an end, or at one slope and then another. */
static void weigh_lines(const struct fit *fit, const struct design *design, struct tally *tally)
{
	double all = hinge_weights(fit, design);

	for (size_t i = 0; i < design->hinges; i++) {
		size_t from = fit->y + 1 + i;
		struct term terms[2] = {one_column(design, from)};
		double share = log(design->shape[from].weight / all);
		struct claim line = {.terms = terms,
				     .count = 1,
				     .log_prior = PRIOR_HINGE + share,
				     .onset_h = design->shape[from].tau_h,
				     .grows = true,
				     .kind = PICK_LINE,
				     .has_line = true};

		tally__add(tally, fit, design, &line);
		for (size_t j = 0; j < i; j++) {
			size_t to = fit->y + 1 + j;
			struct term ended = ended_line(design, from, to);
			double both = share + log(design->shape[to].weight / all);
			struct claim other = line;

			other.terms = &ended;
			other.log_prior = PRIOR_ENDED + both;
			tally__add(tally, fit, design, &other);
			terms[1] = one_column(design, to);
			other.terms = terms;
			other.count = 2;
			other.log_prior = PRIOR_TWO_SLOPES + both;
			other.onset_h = design->shape[to].tau_h;
			tally__add(tally, fit, design, &other);
		}
	}
}

/*
 * Growth with age: alone, and with a line from an onset on. One time constant, whose columns begin
 * at first, or a mixture with another, 0 for none.
 */
static void weigh_age(const struct fit *fit, const struct design *design, struct tally *tally,
		      size_t first, size_t other, double log_prior)
{
	size_t each = design->each_age, count = other ? 2 * each : each;
	double all = hinge_weights(fit, design);
	struct term terms[TERMS_MAX];
	struct claim claim = {.terms = terms,
			      .count = count,
			      .log_prior = log_prior,
			      .grows = true,
			      .kind = PICK_AGE};

	for (size_t i = 0; i < each; i++) {
		terms[i] = one_column(design, first + i);
		if (other)
			terms[each + i] = one_column(design, other + i);
	}
	tally__add(tally, fit, design, &claim);
	claim.count++;
	claim.has_line = true;
	for (size_t j = 0; j < design->hinges; j++) {
		size_t hinge = fit->y + 1 + j;

		terms[count] = one_column(design, hinge);
		claim.log_prior =
			log_prior + PRIOR_AND_HINGE + log(design->shape[hinge].weight / all);
		claim.onset_h = design->shape[hinge].tau_h;
		tally__add(tally, fit, design, &claim);
	}
}

/*
 * A warm-up has one time constant, or one between two that are tried: a mixture of both is as near
 * to it as can be seen.
 */
static void weigh_ages(const struct fit *fit, const struct design *design, struct tally *tally)
{
	size_t each = design->each_age;
	double share = -log(3.0 * (double)design->ages);

	for (size_t i = 0; i < design->ages; i++) {
		size_t first = design->first_age + each * i;

		weigh_age(fit, design, tally, first, 0, PRIOR_WARM_UP + share);
		for (size_t apart = 1; apart <= 2 && i + apart < design->ages; apart++)
			weigh_age(fit, design, tally, first, first + apart * each,
				  PRIOR_WARM_UP + share);
	}
	share = -log((double)design->logs);
	for (size_t i = 0; i < design->logs; i++)
		weigh_age(fit, design, tally, design->first_log + each * i, 0, PRIOR_LOG + share);
}

static void weigh_settlings(const struct fit *fit, const struct design *design, struct tally *tally)
{
	double each = PRIOR_SETTLING - log(fmax((double)design->settlings, 1));

	for (size_t i = 0; i < design->settlings; i++) {
		size_t column = design->first_settling + i;
		struct term term = one_column(design, column);

		tally__add(tally, fit, design,
			   &(struct claim){.terms = &term,
					   .count = 1,
					   .log_prior = each,
					   .onset_h = design->shape[column].tau_h,
					   .grows = true,
					   .kind = PICK_OTHER});
	}
}

/* The steps of a set, one bit each, and a line beside them. */
static void weigh_step_set(const struct fit *fit, const struct design *design, struct tally *tally,
			   unsigned int set)
{
	double all = hinge_weights(fit, design), last_fall_h = -INFINITY;
	struct term terms[TERMS_MAX];
	struct claim claim = {.terms = terms, .kind = PICK_OTHER};

	for (size_t i = 0; i < design->steps; i++) {
		const struct shape *step = &design->shape[design->first_step + i];

		if (!(set & 1u << i))
			continue;
		terms[claim.count++] = one_column(design, design->first_step + i);
		claim.log_prior += PRIOR_STEP;
		if (!step->up)
			last_fall_h = fmax(last_fall_h, step->tau_h);
	}
	tally__add(tally, fit, design, &claim);
	claim.count++;
	claim.grows = claim.has_line = true;
	claim.log_prior += PRIOR_AND_HINGE;
	for (size_t j = 0; j < design->hinges; j++) {
		const struct shape *hinge = &design->shape[fit->y + 1 + j];
		struct claim line = claim;

		if (hinge->tau_h < last_fall_h)
			continue;
		terms[claim.count - 1] = one_column(design, fit->y + 1 + j);
		line.onset_h = hinge->tau_h;
		line.log_prior += log(hinge->weight / all);
		tally__add(tally, fit, design, &line);
	}
}

/*
 * Steps, alone and beside a line. Growth that a fall without a restart takes back is what a cache
 * or a buffer does that is flushed; a line across a fall would call it drift, so that after a fall
 * only a line that begins later counts.
 */
static void weigh_steps(const struct fit *fit, const struct design *design, struct tally *tally)
{
	for (unsigned int set = 1; set < 1u << design->steps; set++)
		weigh_step_set(fit, design, tally, set);
}

void explanations__weigh(const struct fit *fit, const struct design *design, struct tally *tally)
{
	tally__add(tally, fit, design, &(struct claim){.log_prior = PRIOR_NONE});
	weigh_lines(fit, design, tally);
	weigh_ages(fit, design, tally);
	weigh_settlings(fit, design, tally);
	weigh_steps(fit, design, tally);
}

void explanations__pick(const struct fit *fit, const struct design *design,
			struct pick picks[PICKS])
{
	struct tally tally;

	for (int i = 0; i < PICKS; i++)
		picks[i] = (struct pick){.log_weight = -INFINITY};
	tally__init(&tally, 0);
	tally.picks = picks;
	explanations__weigh(fit, design, &tally);
}
