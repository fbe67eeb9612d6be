/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_PROFILE_FILES_H
#define MEMDRIFT_CMD_PROFILE_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "output/profile.h"

/* The files that stacks are written to: --folded, --pprof and --svg, whoever has a result. */
struct profile_paths {
	const char *folded, *pprof, *svg; /* NULL: not asked for */
	enum profile_weight weight;       /* of folded stacks and of the flame graph */
};

struct profile_files {
	const struct profile_paths *paths;
	FILE *folded, *pprof, *svg;
};

/*
 * Opened before the work: a long trace must not end in files that cannot be written. An exit code,
 * after a message when it is not EXIT_OK; files are to be closed either way. Paths must live as
 * long as the files.
 */
int profile_files__open(struct profile_files *files, const struct profile_paths *paths);
/* Writes and closes those that are open: an exit code, after a message when it is not EXIT_OK. */
int profile_files__write(struct profile_files *files, const struct trace_result *result);
/* Closes what was not written. */
void profile_files__close(struct profile_files *files);

#endif
