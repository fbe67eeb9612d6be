/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_SERIES_LINE_H
#define MEMDRIFT_DRIFT_SERIES_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "drift/series.h"

/* One line of a series file: the header of a series, or a sample of one. */
#define SERIES_NAME_MAX  512
#define SERIES_ERROR_MAX 1280 /* a path, a name and what is wrong */
#define SERIES_WHAT_MAX  512

struct series_line {
	bool is_sample;
	char name[SERIES_NAME_MAX];
	struct sample sample;                /* a sample's */
	double interval_s, start_unix, cpus; /* a header's */
	int64_t limit_bytes, arena_limit;
	size_t odd; /* values that are negative or too large to be true: taken as unknown */
};

/* 0, or -EINVAL with what is wrong in error (SERIES_WHAT_MAX). text may be changed. */
int series_line__parse(char *text, size_t length, struct series_line *line, char *error);

#endif
