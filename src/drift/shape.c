// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/design.h"

#include <math.h>

/* A point of a track, of which a shape has a value: the mean over so many hours about it. */
struct place {
	double t_h, age_h, width_h;
	size_t life;
};

static struct place place_of(const struct track *track, size_t row)
{
	return (struct place){track->t_h[row], track->age_h[row], track->width_h[row],
			      track->life[row]};
}

/* 1 - exp(-x / time): its mean over whole hours about x. */
static double settled(double x_h, double width_h, double time_h)
{
	double wide =
		width_h > 1 ? sinh(width_h / (2 * time_h)) / (width_h * sinh(1 / (2 * time_h))) : 1;

	return 1 - wide * exp(-x_h / time_h);
}

static double raw_value(const struct shape *shape, const struct place *place)
{
	double since_h = place->t_h - shape->tau_h;
	bool first = !place->life;

	switch (shape->kind) {
	case SHAPE_HINGE:
		return fmax(since_h, 0);
	case SHAPE_AGE_FIRST:
		return first ? settled(place->age_h, place->width_h, shape->time_h) : 0;
	case SHAPE_AGE_LATER:
		return first ? 0 : settled(place->age_h, place->width_h, shape->time_h);
	case SHAPE_LOG_FIRST:
		return first ? log1p(place->age_h / shape->time_h) : 0;
	case SHAPE_LOG_LATER:
		return first ? 0 : log1p(place->age_h / shape->time_h);
	case SHAPE_SETTLING:
		return since_h > 0 ? -expm1(-since_h / shape->time_h) : 0;
	case SHAPE_STEP:
		return since_h > 0;
	}
	return 0;
}

double shape__value(const struct shape *shape, const struct track *track, size_t row,
		    double ahead_h)
{
	struct place place = place_of(track, row);

	place.t_h += ahead_h;
	place.age_h += ahead_h;
	return raw_value(shape, &place);
}
