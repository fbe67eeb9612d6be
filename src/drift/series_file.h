/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_SERIES_FILE_H
#define MEMDRIFT_DRIFT_SERIES_FILE_H

#include "drift/series.h"
#include "drift/series_line.h"

/*
 * Reads series from JSON lines (contract.md, analyze), gzip or plain, by whomever they were
 * written. Series may come one after another or interleaved. Samples are folded to hours as they
 * come (hourly.h), so that four weeks of a series take 100 kB; when more than SERIES_HELD_MAX hours
 * are held, the series that was fed longest ago is handed over, and may not go on afterwards.
 */
#define SERIES_HELD_MAX 1000000ul /* hours: 170 MB */
#define SERIES_LINE_MAX 65536     /* bytes of a line; real ones have 500 */
/* Of one file, each with its name kept to the end; and hours of one series: eleven years. */
#define SERIES_COUNT_MAX 1000000ul
#define SERIES_HOURS_MAX 100000ul

/* Takes a series that is complete; it stays the reader's. Not 0 ends the reading. */
typedef int (*series_fn)(void *ctx, const struct series *series);

struct series_counts {
	size_t series, samples, lines;
	size_t odd; /* values taken as unknown: negative, or beyond all memory */
};

/*
 * path "-": standard input. 0, what take returned, or a negative errno with what is wrong, file and
 * line in error (SERIES_ERROR_MAX).
 */
int series_file__read(const char *path, series_fn take, void *ctx, struct series_counts *counts,
		      char *error);

#endif
