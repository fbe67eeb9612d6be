/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_REPORT_FILE_H
#define MEMDRIFT_CMD_REPORT_FILE_H

#include <stdio.h>

#include "output/result.h"

/* Where a report goes. */

/* Colours and characters that the file takes: a terminal's, as the locale says. Lines have
 * REPORT_COLUMNS. */
struct text_options report_file__options(FILE *file);
/* The same, and lines no longer than the terminal's, if it has 80 columns. */
struct text_options report_file__narrow_options(FILE *file);
/* Ends it, stdout only flushed. err is of the writing, 0 when there was none. 0 or an exit code
 * after a message. */
int report_file__close(FILE *file, const char *path, int err);

#endif
