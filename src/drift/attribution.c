// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/attribution.h"

#include <math.h>

/* A count grows when its slope is this many standard errors, and by this many at least. */
#define COUNT_Z       4.0
#define THREADS_LEAST 4.0
#define ARENAS_LEAST  1.5

/* A component explains a growth of which it has this share at least. */
#define SHARE_LEAST 0.35

/* Causes, each with the components whose growth it is: plus and, when known, minus. */
static const struct {
	enum component plus, minus;
	enum drift_verdict verdict;
} causes[] = {
	{COMPONENT_MALLOC_IN_USE, COMPONENT_MAX, DRIFT_LEAK},
	{COMPONENT_MALLOC_FREE, COMPONENT_MAX, DRIFT_FRAGMENTATION},
	{COMPONENT_GO_ALLOC, COMPONENT_MAX, DRIFT_GO_HEAP_GROWTH},
	{COMPONENT_GO_HEAP, COMPONENT_GO_ALLOC, DRIFT_GO_HEAP_FRAGMENTATION},
	{COMPONENT_GO_IDLE, COMPONENT_MAX, DRIFT_GO_HEAP_FRAGMENTATION},
	{COMPONENT_DIRECT_MAPPING, COMPONENT_MAX, DRIFT_DIRECT_MAPPING_GROWTH},
	{COMPONENT_THREAD_STACK, COMPONENT_MAX, DRIFT_THREAD_GROWTH},
	{COMPONENT_SHMEM, COMPONENT_MAX, DRIFT_SHMEM_GROWTH},
	{COMPONENT_FILE, COMPONENT_MAX, DRIFT_FILE_GROWTH},
};

static bool is_count(enum component component)
{
	return component == COMPONENT_THREADS || component == COMPONENT_ARENAS;
}

/* The mean over a day from from_h on. */
static double mean_from(const struct track *track, double from_h)
{
	double sum = 0, count = 0;

	for (size_t i = 0; i < track->count; i++) {
		if (track->t_h[i] < from_h || track->t_h[i] > from_h + 24)
			continue;
		sum += track->y[i];
		count++;
	}
	return count > 0 ? sum / count : NAN;
}

/* What of a component is resident is less than what it has when memory was swapped out. */
static bool is_resident_part(enum component component)
{
	return component == COMPONENT_DIRECT_MAPPING || component == COMPONENT_THREAD_STACK ||
	       component == COMPONENT_BRK || component == COMPONENT_ARENA_RESIDENT;
}

/* As if all of it were resident: of each part the same share is taken to be swapped out. */
static void add_swapped(const struct grid *grid, const double *row, double *whole)
{
	const double *anon = grid->row[COMPONENT_ANON], *swap = grid->row[COMPONENT_SWAP];

	for (size_t i = 0; i < grid->hours; i++)
		whole[i] = anon[i] > 0 && swap[i] > 0 ? row[i] * (1 + swap[i] / anon[i]) : row[i];
}

static void read_part(struct part *part, struct outlook_work *work, const struct grid *grid,
		      enum component component, double onset_h)
{
	const double *row = grid->row[component];
	double whole[GRID_HOURS_MAX];
	struct track track;

	*part = (struct part){0};
	if (!row)
		return;
	if (is_resident_part(component) && grid->row[COMPONENT_ANON] && grid->row[COMPONENT_SWAP]) {
		add_swapped(grid, row, whole);
		row = whole;
	}
	track__build(&track, grid, row, is_count(component) ? 1 : MIB);
	if (track.count < OUTLOOK_ROWS_MIN)
		return;
	part->known = true;
	part->now = track__level(&track);
	part->then = mean_from(&track, fmax(onset_h - 24, 0));
	outlook__line(work, &track, onset_h, &part->slope, &part->slope_sd);
}

static bool count_grows(const struct part *part, double hours, double least)
{
	return part->known && part->slope > COUNT_Z * part->slope_sd &&
	       part->slope * hours >= least;
}

static double share_of(const struct attribution *out, size_t cause, double slope)
{
	const struct part *plus = &out->part[causes[cause].plus];
	double of = plus->slope;

	if (!plus->known || slope <= 0)
		return 0;
	if (causes[cause].minus != COMPONENT_MAX) {
		if (!out->part[causes[cause].minus].known)
			return 0;
		of -= out->part[causes[cause].minus].slope;
	}
	return of / slope;
}

static void find_largest(struct attribution *out, double slope)
{
	out->verdict = DRIFT_LEAK;
	out->component = COMPONENT_MAX;
	out->share = SHARE_LEAST;
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++) {
		double share = share_of(out, i, slope);

		if (share <= out->share)
			continue;
		out->share = share;
		out->verdict = causes[i].verdict;
		out->component = causes[i].plus;
	}
}

void attribution__find(struct attribution *out, struct outlook_work *work, const struct grid *grid,
		       double onset_h, double slope)
{
	double hours = (double)grid->hours - onset_h;
	bool arenas, in_use_known;

	for (int i = 0; i < COMPONENT_MAX; i++)
		read_part(&out->part[i], work, grid, (enum component)i, onset_h);
	find_largest(out, slope);
	/* Those that each life makes anew as it starts are no growth. */
	arenas = count_grows(&out->part[COMPONENT_ARENAS], hours, ARENAS_LEAST) &&
		 out->part[COMPONENT_ARENAS].now >=
			 out->part[COMPONENT_ARENAS].then + ARENAS_LEAST / 2;
	in_use_known = out->part[COMPONENT_MALLOC_IN_USE].known;
	if (count_grows(&out->part[COMPONENT_THREADS], hours, THREADS_LEAST) &&
	    (out->component == COMPONENT_THREAD_STACK || out->component == COMPONENT_MAX)) {
		out->verdict = DRIFT_THREAD_GROWTH;
		out->component = COMPONENT_THREADS;
	} else if (arenas && (out->verdict == DRIFT_FRAGMENTATION ||
			      (out->component == COMPONENT_MAX && !in_use_known))) {
		out->verdict = DRIFT_ARENA_GROWTH;
		out->component = COMPONENT_ARENAS;
	}
	if (out->component == COMPONENT_MAX) {
		out->share = 0;
		if (out->part[COMPONENT_ANON].known)
			out->component = COMPONENT_ANON;
	}
}
