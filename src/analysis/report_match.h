/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_REPORT_MATCH_H
#define MEMDRIFT_ANALYSIS_REPORT_MATCH_H

#include "analysis/report_diff.h"

/*
 * Fills diff->pairs from diff->a and diff->b: each process of either is in one pair, with `match`
 * and the number of those alike. 0 or -ENOMEM.
 */
int report_diff__match(struct report_diff *diff);

#endif
