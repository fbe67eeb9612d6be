/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_RECORDING_FILE_H
#define MEMDRIFT_CMD_RECORDING_FILE_H

#include "record/recording.h"

/*
 * The file of --record. It is made beside its place under a name of its own, and takes its place
 * when it is whole: what was there before stays until then. What is no file to be replaced (a pipe,
 * /dev/stdout) is written to as it is.
 */
struct recording_file {
	const char *path; /* as given */
	char *place;      /* where links lead to; NULL: written in place */
	char *temporary;
	FILE *file;
};

/* Before the trace. An exit code, after a message when it is not EXIT_OK. path may be NULL: none.
 * It must live as long as the file. */
int recording_file__open(struct recording_file *file, const char *path);
/*
 * Asks `facts`, which the result was built with and which the source's log keeps, for what other
 * reports need, and writes. An exit code, after a message when it is not EXIT_OK.
 */
int recording_file__write(struct recording_file *file, const struct recording_source *source,
			  const struct large_facts *facts);
/* Removes what did not become a recording. */
void recording_file__close(struct recording_file *file);

#endif
