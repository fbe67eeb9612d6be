/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_ANALYZE_OPTIONS_H
#define MEMDRIFT_CMD_ANALYZE_OPTIONS_H

#include <stdbool.h>

/* What the command line of `memdrift analyze` asks for. */
struct analyze_options {
	char **paths; /* of argv */
	int path_count;
	bool json;
	bool all; /* text: those that do not drift, too */
};

/* Returns -1 to go on, or an exit code (after a message, or the help text). */
int analyze_options__parse(int argc, char **argv, struct analyze_options *options);

#endif
