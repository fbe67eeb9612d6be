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
/* Four sure looks raise, a day of them; the sum's bounds make a day of looks against it clear, and
 * a long calm delays a true alarm by one look. */
#define RAISE_AT  10.0
#define SUM_MOST  12.0
#define SUM_LEAST (-2.0)
#define CLEAR_AT  0.0
/* What is young has no calm that speaks against growth, and mostly grows from its start or not. */
#define YOUNG_S         (96 * 3600.0)
#define YOUNG_RAISE_AT  3.0
#define YOUNG_SUM_LEAST 0.0
/* A look that leaves so little doubt is enough then: what grows fast has grown much a look later.
 */
#define YOUNG_CERTAIN 0.999
/* In what is young, growth of less than a day is as often a day's cycle, a step or what pressure
 * took and gives back: it counts neither way. */
#define YOUNG_GROWTH_S (26 * 3600.0)

#define HUNDREDTHS 100.0

static double log_odds(double probability)
{
	double p = fmin(fmax(probability, 1e-6), 1 - 1e-6);

	return fmin(fmax(log(p / (1 - p)), -LOOK_MOST), LOOK_MOST);
}

/* What a look adds to a sum of which on says whether the alarm stands. */
static double evidence(const struct judgement *judgement, bool young, bool brief, bool on)
{
	if (brief && !on && !judgement->ends)
		return 0;
	if (judgement->ends)
		return -LOOK_MOST - LOOK_LEAST;
	if (young && judgement->drift && judgement->confidence >= YOUNG_CERTAIN)
		return YOUNG_RAISE_AT;
	if (judgement->drift || judgement->confidence < 0.5)
		return log_odds(judgement->confidence) - LOOK_LEAST;
	return -LOOK_LEAST; /* likely, and not sure */
}

enum alarm_change alarm__update(struct alarm *alarm, const struct judgement *judgement)
{
	double before = alarm->evidence / HUNDREDTHS, sum;
	bool young = judgement->span_s < YOUNG_S;
	double raise_at = young ? YOUNG_RAISE_AT : RAISE_AT;
	bool brief =
		young && judgement->drift && judgement->t_s - judgement->onset_s < YOUNG_GROWTH_S;

	if (judgement->verdict == DRIFT_INSUFFICIENT_DATA && judgement->confidence <= 0)
		return ALARM_SAME;
	sum = before + evidence(judgement, young, brief, alarm->on);
	sum = fmin(fmax(sum, young ? YOUNG_SUM_LEAST : SUM_LEAST), SUM_MOST);
	alarm->evidence = (int)lround(sum * HUNDREDTHS);
	if (alarm->on ? sum >= before : sum <= before)
		alarm->since_s = judgement->t_s;
	if (alarm->on ? sum > CLEAR_AT : sum < raise_at || !judgement->drift || brief)
		return ALARM_SAME;
	alarm->on = !alarm->on;
	/* However it was raised, it is as hard to clear. */
	if (alarm->on)
		alarm->evidence = (int)(fmax(sum, RAISE_AT) * HUNDREDTHS);
	return alarm->on ? ALARM_RAISED : ALARM_CLEARED;
}
