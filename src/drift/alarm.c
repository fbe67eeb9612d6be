// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/judgement.h"

#include <math.h>

/*
 * A sum of log-odds as in a CUSUM chart. Each look's are bounded, since looks overlap: the one that
 * is surest must not decide alone.
 */
#define LOOK_MOST 3.0
/* What a look must say for drift to count as that: odds of 5 to 3. */
#define LOOK_LEAST 0.5
/* Four sure looks raise, a day of them; the sum's bounds make half a day of looks against it clear,
 * and let a long calm delay a true one by no more than two looks. */
#define RAISE_AT  8.0
#define SUM_MOST  10.0
#define SUM_LEAST (-4.0)
#define CLEAR_AT  0.0

#define HUNDREDTHS 100.0

static double log_odds(double probability)
{
	double p = fmin(fmax(probability, 1e-6), 1 - 1e-6);

	return fmin(fmax(log(p / (1 - p)), -LOOK_MOST), LOOK_MOST);
}

enum alarm_change alarm__update(struct alarm *alarm, const struct judgement *judgement)
{
	double before = alarm->evidence / HUNDREDTHS, sum;

	if (judgement->verdict == DRIFT_INSUFFICIENT_DATA && judgement->confidence <= 0)
		return ALARM_SAME;
	/* Growth that ends at a limit soon is likely, and no drift. */
	sum = judgement->drift || judgement->confidence < 0.5
		      ? before + log_odds(judgement->confidence) - LOOK_LEAST
		      : before - LOOK_LEAST;
	sum = fmin(fmax(sum, SUM_LEAST), SUM_MOST);
	alarm->evidence = (int)lround(sum * HUNDREDTHS);
	if (alarm->on ? sum >= before : sum <= before)
		alarm->since_s = judgement->t_s;
	if (alarm->on ? sum > CLEAR_AT : sum < RAISE_AT || !judgement->drift)
		return ALARM_SAME;
	alarm->on = !alarm->on;
	return alarm->on ? ALARM_RAISED : ALARM_CLEARED;
}
