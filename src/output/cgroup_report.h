/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_CGROUP_REPORT_H
#define MEMDRIFT_OUTPUT_CGROUP_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "census/cgroup_memory.h"
#include "output/result.h"

/* For people, the answer first. 0, -ENOMEM or -EIO. */
int cgroup_text__write(FILE *out, const struct cgroup_memory *memory,
		       const struct text_options *options);

/* One object of schema "memdrift.explain-cgroup/1"; what is unknown is null. NULL when memory is
 * out. */
json_t *cgroup_json__make(const struct cgroup_memory *memory);

#endif
