// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/judge.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "drift/attribution.h"
#include "drift/lives.h"
#include "drift/steps.h"
#include "drift/wording.h"

/* Drift is said from this probability on. */
#define DRIFT_SURE 0.90

/* Shorter histories say nothing: what a day does is seen by the second one. */
#define SPAN_LEAST_H 40.0
/* Until then "cannot tell" is said where drift is neither likely nor unlikely. */
#define SPAN_TELLS_H 96.0
#define UNLIKELY     0.25

/* A track that moves less than this share of the threshold in all is still; no need to look. */
#define STILL_SHARE 0.12

/* A part that may return is compared with its days up to so long before the end, which drift would
 * exceed by more than this share of the threshold. */
#define RETURN_H     36.0
#define RETURN_SHARE 0.1

/* Falls of less than this share of the threshold are no flushes. */
#define FLUSH_SHARE 0.5

/* It has grown and does not go on to. */
#define PLATEAU_SURE 0.5

static void say_nothing(struct judgement *out, enum drift_verdict verdict)
{
	out->verdict = verdict;
	out->component = COMPONENT_MAX;
	out->onset_s = NAN;
	out->slope_bytes_per_h = out->slope_low = out->slope_high = NAN;
	out->reaches_limit_s = NAN;
	out->ends_at_bytes = out->ends_s = NAN;
}

void judgement__withdraw(struct judgement *judgement)
{
	double slope = judgement->slope_bytes_per_h;

	say_nothing(judgement, DRIFT_NONE);
	judgement->drift = false;
	judgement->slope_bytes_per_h = slope;
	judgement->grown_bytes = 0;
	wording__withdrawn(judgement);
}

/* Arenas end at their limit: what is left to grow until then. False when that is not drift. */
static bool bound_arenas(const struct series *series, const struct attribution *attribution,
			 const struct outlook *outlook, struct judgement *out)
{
	const struct part *arenas = &attribution->part[COMPONENT_ARENAS];
	double limit = series__arena_limit(series), left, each;

	if (attribution->verdict != DRIFT_ARENA_GROWTH || isnan(limit) || arenas->slope <= 0)
		return true;
	left = fmax(limit - arenas->now, 0);
	each = outlook->slope / arenas->slope;
	out->ends_at_bytes = (outlook->level + left * each) * MIB;
	out->ends_s = out->t_s + left / arenas->slope * HOUR_S;
	return left * each >= outlook->threshold / 2;
}

static void project(const struct series *series, struct judgement *out)
{
	double left = (double)series->limit_bytes - out->level_bytes;

	if (series->limit_bytes < 0 || !(out->slope_bytes_per_h > 0))
		return;
	if (!isnan(out->ends_at_bytes) && out->ends_at_bytes < (double)series->limit_bytes)
		return;
	out->reaches_limit_s = out->t_s + fmax(left, 0) / out->slope_bytes_per_h * HOUR_S;
}

static void say_drift(const struct series *series, const struct grid *grid,
		      const struct outlook *outlook, struct outlook_work *work,
		      struct judgement *out)
{
	double wide = 1.96 * outlook->slope_sd;
	struct attribution attribution;

	attribution__find(&attribution, work, grid, outlook->onset_h, outlook->slope);
	out->slope_bytes_per_h = outlook->slope * MIB;
	out->slope_low = (outlook->slope - wide) * MIB;
	out->slope_high = (outlook->slope + wide) * MIB;
	if (!bound_arenas(series, &attribution, outlook, out)) {
		out->plateau = out->ends = true;
		wording__none(out, outlook);
		return;
	}
	out->drift = true;
	out->verdict = attribution.verdict;
	out->component = attribution.component;
	out->onset_s = grid->start_s + outlook->onset_h * HOUR_S;
	out->grown_bytes = fmax(outlook->slope * ((double)grid->hours - outlook->onset_h), 0) * MIB;
	project(series, out);
	wording__drift(out, series, &attribution, outlook);
}

/* What is judged by: memory that only the process gives back, and pages of files, which the kernel
 * takes and returns as it likes. Where the parts are not known, all together. */
struct views {
	struct track whole, own, file;
	struct outlook outlook; /* the one that drifts most likely */
};

/*
 * Of a process that is started again and again the lives are fitted together, and a warm-up of a
 * shape that no explanation has leaves a slope. A leak goes on at the end of a life as before.
 */
#define LATE_SHARE 0.35
/* From so many lives on, what they do at their ends is an answer by itself. */
#define LIVES_TELL     6
#define STRAIGHT_SHARE 0.6

/* Neither a warm-up, nor a cycle of the day that the lives keep step with. */
static bool is_straight(const struct lives_growth *lives)
{
	return fmin(lives->early, lives->whole) >= STRAIGHT_SHARE * lives->slope &&
	       lives->slope >= STRAIGHT_SHARE * fmax(lives->early, lives->whole);
}

/* How likely all lives of a track grow on to drift, by their ends alone. */
static double grow_alike(const struct track *track, double threshold, struct lives_growth *lives)
{
	lives__growth(track, 0, lives);
	if (lives->lives < LIVES_TELL || !is_straight(lives))
		return 0;
	return outlook__above(lives->slope * OUTLOOK_H, lives->error * OUTLOOK_H,
			      DRIFT_LINE * threshold);
}

/* A track that moves less cannot drift, or not yet. */
static bool is_still(const struct track *track, double level)
{
	struct lives_growth lives;

	if (track->count < OUTLOOK_ROWS_MIN)
		return true;
	return track__range(track) < STILL_SHARE * outlook__threshold(level) &&
	       grow_alike(track, outlook__threshold(level), &lives) < DRIFT_SURE;
}

/*
 * Growth that is not above what was there before is a return, after memory was short: before its
 * lowest point, or at all some time ago.
 */
static bool is_return(const struct track *track, const struct outlook *outlook)
{
	double end_h = track->t_h[track->count - 1];
	double before = fmax(track__highest_before_lowest(track),
			     track__highest_day(track, end_h - RETURN_H));

	return before > track__level(track) - RETURN_SHARE * outlook->threshold;
}

static void take_slope(struct outlook *outlook, const struct lives_growth *lives)
{
	if (isnan(lives->slope))
		return;
	outlook->slope = lives->slope;
	outlook->slope_sd = lives->error;
}

/* What the ends of lives say of a growth. */
static void look_at_lives(const struct track *track, struct outlook *outlook)
{
	double late = track->lives > 1 ? lives__late_slope(track, outlook->onset_h) : NAN;
	struct lives_growth since, all;
	double alike;

	if (late < LATE_SHARE * outlook->slope && late * OUTLOOK_H < outlook->threshold / 2)
		outlook->drifts = 0;
	lives__growth(track, outlook->onset_h, &since);
	if (since.slope + since.error < LATE_SHARE * outlook->slope)
		outlook->drifts = 0;
	if (track->lives < LIVES_TELL || (isnan(since.slope) && since.share > 0.5))
		return;
	/* Also where lives are too short to tell: then all that they do is to start. */
	if (!(since.slope >= LATE_SHARE * outlook->slope))
		outlook->drifts = 0;
	take_slope(outlook, &since);
	alike = grow_alike(track, outlook->threshold, &all);
	if (alike > outlook->drifts) {
		outlook->drifts = alike;
		outlook->onset_h = track->t_h[0];
		take_slope(outlook, &all);
	}
}

/* Takes the view over when it drifts more likely than what there was. */
static void look_at(struct outlook_work *work, const struct track *track, double level,
		    bool may_return, struct outlook *best)
{
	struct outlook outlook;

	if (is_still(track, level))
		return;
	outlook__compute(work, track, level, &outlook);
	if (steps__height_before_flush(track, FLUSH_SHARE * outlook.threshold) >
	    track->y[track->count - 1])
		outlook.drifts = 0;
	look_at_lives(track, &outlook);
	if (may_return && outlook.drifts >= UNLIKELY && is_return(track, &outlook))
		outlook.drifts = 0;
	if (outlook.drifts > best->drifts || best->threshold <= 0)
		*best = outlook;
}

static void look(struct outlook_work *work, const struct grid *grid, double level,
		 struct views *views)
{
	views->outlook = (struct outlook){0};
	track__build(&views->own, grid, grid->row[GRID_PRIVATE], MIB);
	if (views->own.count < views->whole.count - views->whole.count / 8) {
		look_at(work, &views->whole, level, false, &views->outlook);
		return;
	}
	look_at(work, &views->own, level, false, &views->outlook);
	if (views->outlook.drifts >= DRIFT_SURE)
		return;
	track__build(&views->file, grid, grid->row[COMPONENT_FILE], MIB);
	look_at(work, &views->file, level, true, &views->outlook);
}

void judge__grid(struct outlook_work *work, const struct series *series, const struct grid *grid,
		 struct judgement *out)
{
	const struct outlook *outlook;
	struct views views;
	double level, span_h;

	memset(out, 0, sizeof(*out));
	say_nothing(out, DRIFT_INSUFFICIENT_DATA);
	out->t_s = grid->last_s;
	track__build(&views.whole, grid, grid->row[GRID_TOTAL], MIB);
	level = track__level(&views.whole);
	span_h = views.whole.span_h;
	out->span_s = span_h * HOUR_S;
	out->level_bytes = level * MIB;
	if (views.whole.count < OUTLOOK_ROWS_MIN || span_h < SPAN_LEAST_H) {
		wording__insufficient(out, span_h);
		return;
	}
	out->verdict = DRIFT_NONE;
	look(work, grid, level, &views);
	outlook = &views.outlook;
	if (outlook->threshold <= 0) {
		wording__still(out, track__range(&views.whole));
		return;
	}
	out->confidence = outlook->drifts;
	out->slope_bytes_per_h = outlook->any_slope * MIB;
	if (outlook->drifts >= DRIFT_SURE) {
		say_drift(series, grid, outlook, work, out);
	} else if (outlook->drifts > UNLIKELY && span_h < SPAN_TELLS_H) {
		out->verdict = DRIFT_INSUFFICIENT_DATA;
		wording__insufficient(out, span_h);
	} else {
		out->plateau = outlook->settled > PLATEAU_SURE;
		wording__none(out, outlook);
	}
}

int drift__judge(struct outlook_work *work, const struct series *series, size_t count,
		 struct judgement *out)
{
	struct grid grid = {0};
	int err = grid__build(&grid, series, count < series->count ? count : series->count);

	if (!err)
		judge__grid(work, series, &grid, out);
	grid__free(&grid);
	return err;
}
