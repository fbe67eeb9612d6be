/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_EXPLAIN_H
#define MEMDRIFT_OUTPUT_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "analysis/advice.h"
#include "analysis/explain_side.h"
#include "census/explanation.h"
#include "output/result.h"

/* What `memdrift explain` writes of one process. Nothing is owned. */
struct explain_report {
	const struct explanation *explanation;
	const struct verdict *verdict;
	const struct advice_list *advice;
};

/* For people, 100 columns wide, one screen unless options->all. 0, -ENOMEM or -EIO. */
int explain_text__write(FILE *out, const struct explain_report *report,
			const struct text_options *options);

/* The object of the schema memdrift.explain/1; NULL when memory is out. */
json_t *explain_json__build(const struct explain_report *report);
/* One JSON object and a newline. 0, -ENOMEM or -EIO. */
int explain_json__write(FILE *out, const struct explain_report *report);

/* Two readings side by side; `then` is the earlier one. As above; schema memdrift.explain-diff/1.
 */
int explain_diff_text__write(FILE *out, const struct explain_side *then,
			     const struct explain_side *now, const struct text_options *options);
int explain_diff_json__write(FILE *out, const struct explain_side *then,
			     const struct explain_side *now);

#endif
