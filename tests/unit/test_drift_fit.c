// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "drift/fit.h"
#include "drift/steps.h"
#include "drift_series.h"

static struct design *design;
static struct whitened *whitened;
static struct fit *fit;

static int make(void **state)
{
	return posix_memalign((void **)&design, 64, sizeof(*design)) ||
	       posix_memalign((void **)&whitened, 64, sizeof(*whitened)) ||
	       posix_memalign((void **)&fit, 64, sizeof(*fit));
}

static int drop(void **state)
{
	free(design);
	free(whitened);
	free(fit);
	return 0;
}

/* Rows an hour apart, of lives of so many rows. */
static void fill(struct track *track, size_t count, size_t life_rows)
{
	*track = (struct track){.count = count, .bin_h = 1, .span_h = (double)count - 1};
	for (size_t i = 0; i < count; i++) {
		track->t_h[i] = (double)i + 0.5;
		track->age_h[i] = (double)(i % life_rows) + 0.5;
		track->width_h[i] = 1;
		track->gap_h[i] = i % life_rows ? 1 : 0;
		track->life[i] = (uint16_t)(i / life_rows);
	}
	track->lives = (count + life_rows - 1) / life_rows;
}

static double explain_line(const struct track *track, const struct noise *noise, double tau_h,
			   double *sd)
{
	struct design_scale scale = {.daily_mib = 1, .weekly_mib = 1, .growth_mib = 1e6};
	struct explained explained;
	struct term term;

	design__build_line(design, track, &scale, tau_h);
	noise__whiten(whitened, noise, track, design, design->columns);
	fit__prepare(fit, design, whitened, design->columns, fit__guess_sigma2(design, whitened));
	term = (struct term){{fit->y + 1, fit->y + 1}, {1, 0}, 1e6};
	fit__explain(fit, &term, 1, &explained);
	*sd = sqrt(explained.covariance[0][0]) * design->shape[fit->y + 1].rate;
	return explained.coefficient[0] * design->shape[fit->y + 1].rate;
}

static void a_line_without_noise_is_found_exactly(void **state)
{
	struct track track;
	double sd;

	for (int noise = 0; noise < NOISE_MODELS; noise++) {
		fill(&track, 150, 40);
		for (size_t i = 0; i < track.count; i++)
			track.y[i] = 500 - 30.0 * track.life[i] + 0.75 * track.t_h[i];
		assert_true(fabs(explain_line(&track, &noise_models[noise], 0, &sd) - 0.75) < 0.01);
	}
}

/* Of white noise and one life the fit is ordinary least squares, whose formula is short. */
static void white_noise_gives_least_squares(void **state)
{
	struct test_noise random = {3};
	double t = 0, y = 0, tt = 0, ty = 0, sd;
	struct track track;
	size_t n = 30; /* too short for cycles */

	fill(&track, n, n);
	for (size_t i = 0; i < n; i++) {
		track.y[i] = 0.2 * track.t_h[i] + test_normal(&random);
		t += track.t_h[i] / (double)n;
		y += track.y[i] / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		tt += (track.t_h[i] - t) * (track.t_h[i] - t);
		ty += (track.t_h[i] - t) * (track.y[i] - y);
	}
	assert_true(fabs(explain_line(&track, &noise_models[0], 0, &sd) - ty / tt) < 1e-6);
	assert_true(sd > 0.5 / sqrt(tt) && sd < 2 / sqrt(tt));
}

/* Whitened with its own correlation, noise has none left. */
static void whitening_takes_the_correlation_out(void **state)
{
	struct design_scale scale = {.daily_mib = 1, .weekly_mib = 1, .growth_mib = 1};
	struct test_noise random = {4};
	double kept = exp(-1.0 / 24), value = 0, squares = 0, products = 0;
	struct track track;

	fill(&track, 190, 190);
	for (size_t i = 0; i < track.count; i++) {
		value = kept * value + test_normal(&random);
		track.y[i] = 100 + value;
	}
	design__build_line(design, &track, &scale, 0);
	noise__whiten(whitened, &noise_models[4], &track, design, design->base + 1);
	for (size_t i = 1; i < track.count; i++) {
		squares += pow(whitened->value[i][design->base], 2);
		products += whitened->value[i][design->base] * whitened->value[i - 1][design->base];
	}
	/* The standard error of a correlation of 189 pairs is 0.07. */
	assert_true(fabs(products / squares) < 0.2);
}

static void flushes_are_told_from_falls(void **state)
{
	struct track track;

	fill(&track, 60, 60);
	for (size_t i = 0; i < 60; i++)
		track.y[i] = 100 + (i < 30 ? 2.0 * (double)i : 0);
	assert_true(steps__is_flush(&track, 30));
	for (size_t i = 0; i < 60; i++)
		track.y[i] = i < 30 ? 160 : 100;
	assert_false(steps__is_flush(&track, 30));
	assert_false(steps__is_flush(&track, 1));
}

static bool is_among(size_t row, const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->row[i] == row)
			return true;
	return false;
}

/* Loads of some hours leap higher than a level that stays, and are no levels. */
static void a_level_is_found_among_spikes(void **state)
{
	struct design_scale scale = {.daily_mib = 1, .weekly_mib = 1, .growth_mib = 1};
	struct step_list plain, maybe;
	struct test_noise random = {9};
	struct track track;

	fill(&track, 190, 190);
	for (size_t i = 0; i < track.count; i++)
		track.y[i] =
			100 + test_normal(&random) + (i % 40 == 20 ? 16 : 0) + (i >= 170 ? 11 : 0);
	design__build_line(design, &track, &scale, 0);
	noise__whiten(whitened, &noise_models[10], &track, design, design->base + 1);
	steps__find(&track, whitened, design->base, sqrt(fit__guess_sigma2(design, whitened)),
		    &plain, &maybe);
	assert_true(is_among(170, &plain) || is_among(170, &maybe));
	assert_false(is_among(20, &maybe) || is_among(60, &maybe) || is_among(100, &maybe));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_without_noise_is_found_exactly),
		cmocka_unit_test(white_noise_gives_least_squares),
		cmocka_unit_test(whitening_takes_the_correlation_out),
		cmocka_unit_test(flushes_are_told_from_falls),
		cmocka_unit_test(a_level_is_found_among_spikes),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
