/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_TEXT_CGROUP_H
#define MEMDRIFT_OUTPUT_TEXT_CGROUP_H

#include "output/cgroup_report.h"

/* Shared by src/output/text_cgroup*.c only. */
struct cgroup_writer {
	FILE *out;
	const struct cgroup_memory *memory;
	const struct text_options *options;
	int64_t whole; /* what shares are of */
	int err;       /* of the first table that failed */
};

/* Percent of the whole. */
double cgroup_writer__share(const struct cgroup_writer *writer, int64_t bytes);
/* Usage by what holds it, then its processes. */
void cgroup_writer__parts(struct cgroup_writer *writer);
void cgroup_writer__processes(struct cgroup_writer *writer);

#endif
