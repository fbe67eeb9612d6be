/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_REPORT_HISTORY_H
#define MEMDRIFT_CMD_REPORT_HISTORY_H

#include "cmd/report_options.h"

/* `memdrift report --db FILE`: what watch's history tells. An exit code. */
int report_history(const struct report_options *options);

#endif
