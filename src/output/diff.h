/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_DIFF_H
#define MEMDRIFT_OUTPUT_DIFF_H

#include <stdio.h>

#include "analysis/report_diff.h"
#include "output/result.h"

/* What changed between two reports, for people, 100 columns wide. 0, -ENOMEM or -EIO. */
int diff_text__write(FILE *out, const struct report_diff *diff, const struct text_options *options);
/* One JSON object and a newline: schema memdrift.diff/1. 0, -ENOMEM or -EIO. */
int diff_json__write(FILE *out, const struct report_diff *diff);
/*
 * Differential folded stacks, as FlameGraph's difffolded.pl writes them: "root;…;leaf a b", in
 * outstanding bytes, which add up to the totals' live bytes. 0, -ENOMEM or -EIO.
 */
int diff_folded__write(FILE *out, const struct report_diff *diff);

#endif
