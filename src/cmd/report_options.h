/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_REPORT_OPTIONS_H
#define MEMDRIFT_CMD_REPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/large_option.h"
#include "cmd/profile_files.h"
#include "model/live_view.h"

/* What the command line of `memdrift report` asks for. */
struct report_options {
	const char *recording; /* NULL: two reports are compared, or a history is told */
	const char *a, *b;     /* --diff */
	bool json;
	bool all;
	size_t top;
	const char *output; /* -o */
	struct profile_paths profile;
	const char *weight;        /* as it was given; NULL: it was not */
	struct live_filter filter; /* --older, --min-size, --max-size */
	bool filters;
	const char *db; /* --db: NULL: no history is reported on */
	uint32_t pid;   /* 0: any */
	const char *unit;
	double since_unix, since_s; /* --since, either; NAN and 0: not given */
	const char *series;         /* --series FILE */
	const char *evidence;       /* --evidence DIRECTORY */
	bool top_given;
	/* --large; none: as the trace had them. */
	uint64_t large[LARGE_OPTION_MAX];
	uint32_t large_count;
};

/* Returns -1 to go on, or an exit code (after a message, or the help text). */
int report_options__parse(int argc, char **argv, struct report_options *options);

#endif
