// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/judgement.h"

/* Two looks in a row, half a day of data apart from the first sign: one look may be a chance. */
#define RAISE_AFTER 2
/* A day of looks without drift: a leak that pauses over a quiet night is the same leak. */
#define CLEAR_AFTER 4

enum alarm_change alarm__update(struct alarm *alarm, const struct judgement *judgement)
{
	/* What cannot be told changes nothing. */
	if (judgement->verdict == DRIFT_INSUFFICIENT_DATA)
		return ALARM_SAME;
	if (judgement->drift == alarm->on) {
		alarm->streak = 0;
		return ALARM_SAME;
	}
	if (!alarm->streak++)
		alarm->since_s = judgement->t_s;
	if (alarm->streak < (alarm->on ? CLEAR_AFTER : RAISE_AFTER))
		return ALARM_SAME;
	alarm->streak = 0;
	alarm->on = !alarm->on;
	return alarm->on ? ALARM_RAISED : ALARM_CLEARED;
}
