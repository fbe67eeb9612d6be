/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_JUDGE_H
#define MEMDRIFT_DRIFT_JUDGE_H

#include "drift/grid.h"
#include "drift/judgement.h"
#include "drift/outlook.h"

/* drift__judge on a grid that is there already; series tells of its limits only. */
void judge__grid(struct outlook_work *work, const struct series *series, const struct grid *grid,
		 struct judgement *out);

/* Drift that was said is not sure enough after all: none, and why. */
void judgement__withdraw(struct judgement *judgement);

#endif
