/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_REPLAY_H
#define MEMDRIFT_DRIFT_REPLAY_H

#include <stddef.h>

#include "drift/judgement.h"

struct alarm_span {
	double on_s, off_s; /* NAN: still on at the end */
};

struct replay {
	struct judgement last;     /* by all of the series */
	struct alarm_span *alarms; /* owned */
	size_t alarm_count, alarm_room;
};

struct replayer; /* memory that is used again from one series to the next */
struct replayer *replayer__new(void);
void replayer__free(struct replayer *replayer);

/*
 * What watch would have said: looks each DRIFT_LOOK_S at the samples up to then, alarms by them,
 * and the judgement by all. 0 or -ENOMEM; to be freed in either case.
 */
int replay__run(struct replay *replay, struct replayer *replayer, const struct series *series);
void replay__free(struct replay *replay);

#endif
