/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_EXPLAIN_OPTIONS_H
#define MEMDRIFT_CMD_EXPLAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line of `memdrift explain` asks for. */
struct explain_options {
	uint32_t pid;       /* 0: none */
	const char *cgroup; /* NULL: none; one of the two is there */
	const char *diff;   /* an earlier reading; NULL */
	uint64_t margin_bytes;
	bool json;
	bool all;
};

/* Returns -1 to go on, or an exit code (after a message, or the help text). */
int explain_options__parse(int argc, char **argv, struct explain_options *options);

#endif
