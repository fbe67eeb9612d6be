/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_REPORT_RECORDING_H
#define MEMDRIFT_CMD_REPORT_RECORDING_H

#include "analysis/report_read.h"
#include "cmd/report_options.h"

/* `memdrift report RECORDING`: what the trace itself would have written. An exit code. */
int report_recording(const struct report_options *options);

/*
 * A report to be compared: what `trace --json` wrote, or a recording, of which that is made here.
 * As report__read.
 */
int report_recording__read(struct report *report, const char *path, char error[REPORT_ERROR_MAX]);

#endif
