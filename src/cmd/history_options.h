/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_HISTORY_OPTIONS_H
#define MEMDRIFT_CMD_HISTORY_OPTIONS_H

#include "cmd/report_options.h"

/* The options of `memdrift report --db`. Each returns -1 to go on, or an exit code after a message.
 */

int history_options__parse_pid(struct report_options *options, const char *text);
/* A time ago, or a date, local. */
int history_options__parse_since(struct report_options *options, const char *text);
/* Whether one was given that needs --db. */
bool history_options__any(const struct report_options *options);
/* A history stands alone; more: there are arguments beside it. */
int history_options__check(const struct report_options *options, bool more);

#endif
