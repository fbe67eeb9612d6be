// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store_walk.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "drift/series.h"
#include "store/store_internal.h"

/* What a pass that stands alone speaks for. */
#define LONE_PASS_MS 1000

/* Sums over what is known of one life in a bucket. */
struct sums {
	struct walk_life life;
	double covered_ms, t_sum; /* t_sum relative to the bucket's begin */
	double sum[COMPONENT_MAX], weight[COMPONENT_MAX];
	int64_t rss_min, rss_max;
};

struct walk {
	const struct walk_source *source;
	int64_t pos, to;
	struct walk_row row, next;     /* in force; to come */
	bool has_row, has_next, fresh; /* fresh: what holds at its own time only is not counted */
	struct walk_life life;
	bool has_life;
	struct walk_run run;
	bool has_run;
	int64_t step_ms, covered_to;      /* of the run */
	int64_t bucket_begin, bucket_end; /* begin -1: none yet */
	struct sums sums, best;
};

static int load_row(struct walk *walk)
{
	int64_t after = walk->has_row ? walk->row.t_ms : -1;
	int got = walk->source->row(walk->source->ctx, &walk->next);

	if (got > 0 && (walk->next.t_ms < after || walk->next.t_ms > TIME_MAX_MS))
		return -EUCLEAN;
	walk->has_next = got > 0;
	return got < 0 ? got : 0;
}

static int load_life(struct walk *walk)
{
	int got = walk->source->life(walk->source->ctx, &walk->life);

	if (got > 0 && (walk->life.begin_ms < 0 || walk->life.begin_ms > TIME_MAX_MS))
		return -EUCLEAN;
	walk->has_life = got > 0;
	return got < 0 ? got : 0;
}

static int load_run(struct walk *walk)
{
	struct walk_run *run = &walk->run;
	int64_t before = walk->has_run ? run->end_ms : -1;
	int got = walk->source->run(walk->source->ctx, run);

	walk->has_run = got > 0;
	if (got <= 0)
		return got;
	if (run->begin_ms <= before || run->begin_ms < 0 || run->end_ms < run->begin_ms ||
	    run->end_ms > TIME_MAX_MS || run->count < 1)
		return -EUCLEAN;
	walk->step_ms = LONE_PASS_MS;
	if (run->count > 1)
		walk->step_ms = (run->end_ms - run->begin_ms) / (run->count - 1);
	if (walk->step_ms < 1)
		return -EUCLEAN;
	/* A pass speaks for the time to the next one. */
	walk->covered_to = run->end_ms + walk->step_ms;
	return 0;
}

static void sums__reset(struct sums *sums, const struct walk_life *life)
{
	*sums = (struct sums){.life = *life, .rss_min = SERIES_UNKNOWN, .rss_max = SERIES_UNKNOWN};
}

static void sums__add_row(struct sums *sums, const struct walk_row *row, double ms)
{
	for (int i = 0; i < COMPONENT_CENSUS; i++) {
		if (row->value[i] < 0)
			continue;
		sums->sum[i] += (double)row->value[i] * ms;
		sums->weight[i] += ms;
	}
	if (row->rss_min >= 0 && (sums->rss_min < 0 || row->rss_min < sums->rss_min))
		sums->rss_min = row->rss_min;
	if (row->rss_max > sums->rss_max)
		sums->rss_max = row->rss_max;
}

static void sums__add_census(struct sums *sums, const struct walk_row *row)
{
	for (int i = COMPONENT_CENSUS; i < COMPONENT_MAX; i++) {
		if (row->value[i] < 0)
			continue;
		sums->sum[i] += (double)row->value[i];
		sums->weight[i]++;
	}
}

static int64_t rounded(double value)
{
	/* 2^63, the first that is none: from a file that is not of ours. */
	return value < 9223372036854774784. ? (int64_t)(value + 0.5) : INT64_MAX;
}

static int emit_bucket(struct walk *walk)
{
	struct sums *best = &walk->best;
	struct walk_bucket bucket = {.begin_ms = walk->bucket_begin, .life = best->life};

	if (best->covered_ms <= 0)
		return 0;
	bucket.t_ms = (double)walk->bucket_begin + best->t_sum / best->covered_ms;
	bucket.mean.t_ms = walk->bucket_begin;
	bucket.mean.rss_min = best->rss_min;
	bucket.mean.rss_max = best->rss_max;
	for (int i = 0; i < COMPONENT_MAX; i++)
		bucket.mean.value[i] = best->weight[i] > 0 ? rounded(best->sum[i] / best->weight[i])
							   : SERIES_UNKNOWN;
	return walk->source->emit(walk->source->ctx, &bucket);
}

/* Of the lives in a bucket the longest one stands for it, of equal ones the last. */
static void end_life(struct walk *walk)
{
	if (walk->sums.covered_ms > 0 && walk->sums.covered_ms >= walk->best.covered_ms)
		walk->best = walk->sums;
	sums__reset(&walk->sums, &walk->life);
}

static int end_bucket(struct walk *walk)
{
	int err = 0;

	end_life(walk);
	if (walk->bucket_begin >= 0)
		err = emit_bucket(walk);
	sums__reset(&walk->best, &walk->life);
	return err;
}

static int enter_bucket(struct walk *walk)
{
	int64_t width = walk->source->width_ms(walk->source->ctx, walk->pos);
	int err = 0;

	if (walk->pos < walk->bucket_end)
		return 0;
	err = end_bucket(walk);
	if (!width) {
		walk->bucket_begin = -1;
		walk->bucket_end = walk->pos;
		return err;
	}
	walk->bucket_begin = walk->pos - walk->pos % width;
	walk->bucket_end = walk->bucket_begin + width;
	return err;
}

/* Row, life, run and bucket are the same from pos to end. */
static void add_piece(struct walk *walk, int64_t end)
{
	double ms = (double)(end - walk->pos);
	/* What a pass speaks for may lie ahead of now; no sample does. */
	int64_t seen = later_ms(walk->pos, earlier_ms(end, walk->run.end_ms));

	sums__add_row(&walk->sums, &walk->row, ms);
	if (walk->fresh && walk->row.t_ms >= walk->bucket_begin)
		sums__add_census(&walk->sums, &walk->row);
	walk->fresh = false;
	walk->sums.covered_ms += ms;
	walk->sums.t_sum += ms * ((double)(walk->pos + seen) / 2 - (double)walk->bucket_begin);
}

static int emit_at(struct walk *walk, double t_ms, bool census)
{
	struct walk_bucket bucket = {
		.begin_ms = (int64_t)t_ms, .t_ms = t_ms, .life = walk->life, .mean = walk->row};

	for (int i = COMPONENT_CENSUS; i < COMPONENT_MAX && !census; i++)
		bucket.mean.value[i] = SERIES_UNKNOWN;
	return walk->source->emit(walk->source->ctx, &bucket);
}

/* Passes are not as even as they are kept: what ends within half a step may end before the pass.
 * The last one's time is kept as it was. */
static bool is_before(const struct walk *walk, double pass, double step, int64_t end)
{
	const struct walk_run *run = &walk->run;

	if (pass + 1 == (double)run->count)
		return run->end_ms < end;
	return (double)run->begin_ms + pass * step < (double)end - step / 2;
}

/* The same of full resolution: the row itself, then each pass at which it still held. */
static int emit_piece(struct walk *walk, int64_t end)
{
	const struct walk_run *run = &walk->run;
	double span = (double)(run->end_ms - run->begin_ms), pass;
	double step = run->count > 1 ? span / (double)(run->count - 1) : LONE_PASS_MS;
	int err = emit_at(walk, (double)walk->pos, walk->fresh);

	pass = floor(((double)(walk->pos - run->begin_ms) + step / 2) / step) + 1;
	walk->fresh = false;
	for (; !err && pass < (double)run->count && is_before(walk, pass, step, end); pass++)
		err = emit_at(walk, (double)run->begin_ms + pass * step, false);
	return err;
}

/* Brings row, life and run to pos, or pos to where all three are. 0; 1 when there is no more. */
static int settle(struct walk *walk)
{
	int err = 0;

	while (!err && walk->has_run && walk->covered_to <= walk->pos)
		err = load_run(walk);
	while (!err && walk->has_life && walk->life.end_ms <= walk->pos) {
		end_life(walk);
		err = load_life(walk);
		walk->sums.life = walk->life;
	}
	if (err || !walk->has_run || !walk->has_life)
		return err ? err : 1;
	while (!err && walk->has_next && walk->next.t_ms <= walk->pos) {
		walk->row = walk->next;
		walk->has_row = walk->fresh = true;
		err = load_row(walk);
	}
	if (err || (!walk->has_row && !walk->has_next))
		return err ? err : 1;
	return 0;
}

static int64_t present_from(const struct walk *walk)
{
	int64_t from = later_ms(walk->run.begin_ms, walk->life.begin_ms);

	return walk->has_row ? from : later_ms(from, walk->next.t_ms);
}

static int take_piece(struct walk *walk)
{
	int64_t end = earlier_ms(walk->to, earlier_ms(walk->covered_to, walk->life.end_ms));
	int err = enter_bucket(walk);

	if (err)
		return err;
	if (walk->has_next)
		end = earlier_ms(end, walk->next.t_ms);
	if (walk->bucket_begin < 0) {
		err = emit_piece(walk, end);
	} else {
		end = earlier_ms(end, walk->bucket_end);
		add_piece(walk, end);
	}
	walk->pos = end;
	return err;
}

int store_walk(const struct walk_source *source, int64_t from_ms, int64_t to_ms)
{
	struct walk walk = {.source = source, .to = to_ms, .bucket_begin = -1, .pos = from_ms};
	int64_t width = source->width_ms(source->ctx, from_ms);
	int err;

	if (width)
		walk.pos -= walk.pos % width;
	err = load_row(&walk);
	err = err ? err : load_life(&walk);
	err = err ? err : load_run(&walk);
	sums__reset(&walk.sums, &walk.life);
	while (!err && walk.pos < walk.to) {
		err = settle(&walk);
		if (err)
			break;
		if (walk.pos < present_from(&walk)) {
			walk.pos = present_from(&walk);
			continue;
		}
		err = take_piece(&walk);
	}
	if (err >= 0)
		err = end_bucket(&walk);
	return err;
}
