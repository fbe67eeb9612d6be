/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_WORDING_H
#define MEMDRIFT_DRIFT_WORDING_H

#include "drift/attribution.h"
#include "drift/judgement.h"
#include "drift/outlook.h"

/* The lines why and todo of a judgement that is decided. */
void wording__drift(struct judgement *out, const struct series *series,
		    const struct attribution *attribution, const struct outlook *outlook);
void wording__none(struct judgement *out, const struct outlook *outlook);
/* Puts in front that it is only the latest look that says so. */
void wording__withdrawn(struct judgement *out);
void wording__still(struct judgement *out, double range_mib);
void wording__insufficient(struct judgement *out, double span_h);

#endif
